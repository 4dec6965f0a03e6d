# SPDX-License-Identifier: Apache-2.0
"""From returns of things to the nearest one in the way."""

from __future__ import annotations

import math

import numpy as np

from tidegate.records import Floats, seconds
from tidegate.robot import Car
from tidegate.safety.barrier import Ahead
from tidegate.settings import Settings

Pose = tuple[float, float, float]


class Track:
    """The nearest thing in one corridor over time: its speed along the corridor, and memory for what vanishes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.safety.distance
        self._distance = math.inf  # nothing is followed; the first return sets the rest
        self._stamp: int
        self._seen: int

    def update(self, stamp: int, distance: float, driven: float) -> None:
        """One scan: nearest ``distance`` [m] (inf = free); ``driven`` [m] by the car since the scan before."""
        if math.isinf(self._distance):
            self._take(stamp, distance)
            return
        step = seconds(stamp - self._stamp)
        if math.isinf(distance):
            if seconds(stamp - self._seen) <= self._settings.memory_s:
                distance = max(self._distance - driven + min(self._speed, 0.0) * step, 0.0)
            self._distance, self._stamp = distance, stamp
            return
        predicted = self._distance - driven + self._speed * step
        if step <= 0 or abs(distance - predicted) > self._settings.track_gate:
            self._take(stamp, distance)
            return
        measured = (distance - self._distance + driven) / step
        self._scans += 1
        share = max(step / (step + self._settings.track_s), 1.0 / self._scans)
        self._speed += share * (measured - self._speed)
        self._distance = distance
        self._stamp = self._seen = stamp

    def _take(self, stamp: int, distance: float) -> None:
        """Follow another thing, whose speed is not known yet."""
        self._distance, self._speed, self._scans = distance, 0.0, 1
        self._stamp = self._seen = stamp

    def ahead(self, now: int, driven: float) -> Ahead:
        """What may be counted on at ``now``; ``driven`` [m] since the last scan."""
        if math.isinf(self._distance):
            return Ahead()
        known = self._scans >= self._settings.track_scans
        receding = max(self._speed - self._settings.receding_margin, 0.0) if known else 0.0
        approaching = -self._speed if known and -self._speed > self._settings.approach_margin else 0.0
        approaching = min(approaching, self._settings.approach_max)
        age = seconds(now - self._stamp)
        return Ahead(self._distance - driven - approaching * age, receding, approaching)


class Corridor:
    """Nearest thing on the car's arc and along its lane.

    *Arc*: between the circles of the measured and the commanded curvature, as wide as the car and a margin: where the
    car goes if nobody steers. It needs no camera. *Lane*: along the trusted lane's centre: what waits round the bend.
    The lane corridor only adds to the arc (learned perception may only tighten).
    """

    def __init__(self, settings: Settings, car: Car) -> None:
        distance = settings.safety.distance
        self._half = car.width / 2 + distance.side_margin
        self._lane_half = distance.lane_corridor
        self._front = car.front

    def on_arc(self, things: Floats, low: float, high: float) -> float:
        """Distance [m] from the bumper to the nearest of ``things`` (N, 2) between arcs ``low`` ≤ ``high`` [1/m]."""
        nearest = math.inf
        for x, y in things.tolist():  # they are few: plain numbers are quicker than arrays
            if x > self._front and beside_arc(x, y, high) <= self._half and beside_arc(x, y, low) >= -self._half:
                nearest = min(nearest, along_arc(x, y, low), along_arc(x, y, high))
        return nearest - self._front

    def along_lane(self, things: Floats, line: Floats) -> float:
        """The same along the lane's centre ``line`` (M, 3)."""
        if not len(things):
            return math.inf
        ahead = things[things[:, 0] > self._front]
        if not len(ahead):
            return math.inf
        dx, dy = ahead[:, None, 0] - line[:, 0], ahead[:, None, 1] - line[:, 1]
        near = (dx * dx + dy * dy).argmin(axis=1)
        picked = np.arange(len(ahead))
        heading = line[near, 2]
        across = -dx[picked, near] * np.sin(heading) + dy[picked, near] * np.cos(heading)
        over = dx[picked, near] * np.cos(heading) + dy[picked, near] * np.sin(heading)
        inside = (np.abs(across) <= self._lane_half) & (near < len(line) - 1)
        if not inside.any():
            return math.inf
        step = math.hypot(line[1, 0] - line[0, 0], line[1, 1] - line[0, 1])
        return float((near[inside] * step + over[inside]).min()) - self._front


def beside_arc(x: float, y: float, curvature: float) -> float:
    """Signed distance [m], left positive, of the point (x, y) from the arc through the origin; no division by κ."""
    q = 2 * y - curvature * (x * x + y * y)
    return q / (1 + math.sqrt(max(1 - curvature * q, 0.0)))


def along_arc(x: float, y: float, curvature: float) -> float:
    """Length [m] of the arc to the foot of the point (x, y)."""
    return x if abs(curvature) < 1e-6 else math.atan2(curvature * x, 1 - curvature * y) / curvature


def moved(things: Floats, then: Pose, now: Pose) -> Floats:
    """Points (N, 2) in the base frame of pose ``then`` seen from pose ``now`` (both in odometry)."""
    dx, dy = then[0] - now[0], then[1] - now[1]
    cos_now, sin_now = math.cos(now[2]), math.sin(now[2])
    turn = then[2] - now[2]
    cos_turn, sin_turn = math.cos(turn), math.sin(turn)
    turn_and_shift = np.array(
        [[cos_turn, sin_turn], [-sin_turn, cos_turn], [cos_now * dx + sin_now * dy, -sin_now * dx + cos_now * dy]]
    )
    made: Floats = things @ turn_and_shift[:2] + turn_and_shift[2]
    return made
