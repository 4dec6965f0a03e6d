# SPDX-License-Identifier: Apache-2.0
"""Sees what is about to cross: things beside the corridor that move towards it."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from tidegate.records import Floats, seconds
from tidegate.robot import Car
from tidegate.safety.corridor import Pose, along_arc, beside_arc
from tidegate.settings import Settings


@dataclass(slots=True)
class _Edge:
    """The edge of a thing that is nearest to the corridor, over the last scans: (stamp, x, y) in odometry."""

    places: deque[tuple[int, float, float]] = field(default_factory=lambda: deque(maxlen=64))


class Crossing:
    """Follows the nearest edges of things beside the arc and says which of them will be in the way.

    A thing counts as crossing where its edge moved towards the arc, over ``crossing_window_s``, by more than one beam
    of azimuth and the noise can make up, and mainly sideways (oncoming traffic moves along). It counts as in the way
    where it reaches the corridor before the car has passed, with ``crossing_margin_s`` to spare. Only ever tightens.
    """

    def __init__(self, settings: Settings, car: Car) -> None:
        self.adjust(settings)
        self._side = car.width / 2
        self._front = car.front
        self._beam = math.radians(2 * settings.ranging.azimuth_deg / (settings.ranging.beams - 1))
        self._edges: list[_Edge] = []

    def adjust(self, settings: Settings) -> None:
        """Go by other margins from the next scan on."""
        self._settings = settings.safety.distance

    def nearest(self, stamp: int, things: Floats, pose: Pose, curvature: float, speed: float) -> float:
        """Distance [m] from the bumper to the nearest thing that is about to cross; inf where nothing is.

        Args:
            stamp: of the scan [ns].
            things: (N, 2) returns in the base frame, by azimuth.
            pose: of the car at the scan, in odometry.
            curvature: of the car's arc [1/m].
            speed: of the car [m/s].
        """
        found, half = math.inf, self._side + self._settings.side_margin
        kept: list[_Edge] = []
        for cluster in self._clusters(things):
            across = [beside_arc(x, y, curvature) for x, y in cluster]
            along = [along_arc(x, y, curvature) for x, y in cluster]
            aside = [abs(distance) for distance in across]
            if min(aside) <= half or min(along) > self._settings.crossing_reach_m:
                continue
            near = aside.index(min(aside))
            x, y = cluster[near]
            edge = self._match(stamp, *_to_odometry(x, y, pose))
            kept.append(edge)
            heading = pose[2] + curvature * along[near]
            velocity = self._velocity(edge, heading, math.copysign(1.0, across[near]))
            if velocity is None:
                continue
            towards, forward, time = velocity
            sure = self._beam * math.hypot(x, y) + self._settings.crossing_noise_m
            if towards * time < sure or abs(forward) > 0.7 * towards + 1.0:
                continue
            enters = (aside[near] - half) / towards
            distance = max(min(along) - self._front, 0.0)
            if enters <= distance / max(speed, 1.0) + self._settings.crossing_margin_s:
                found = min(found, distance)
        self._edges = kept
        return found

    def _clusters(self, things: Floats) -> list[list[list[float]]]:
        """Things that lie side by side, (x, y) each [m]."""
        clusters: list[list[list[float]]] = []
        for thing in things.tolist():
            if clusters and math.dist(thing, clusters[-1][-1]) <= self._settings.track_gate:
                clusters[-1].append(thing)
            else:
                clusters.append([thing])
        return clusters

    def _match(self, stamp: int, x: float, y: float) -> _Edge:
        """The known edge nearest to (x, y), or a new one; each is handed out once."""
        best, least = None, self._settings.track_gate
        for edge in self._edges:
            away = math.hypot(edge.places[-1][1] - x, edge.places[-1][2] - y)
            if away < least:
                best, least = edge, away
        if best is None:
            best = _Edge()
        else:
            self._edges.remove(best)
        best.places.append((stamp, x, y))
        return best

    def _velocity(self, edge: _Edge, heading: float, side: float) -> tuple[float, float, float] | None:
        """Speed towards the arc and along it [m/s] over the window, and its true length [s]; None if too short."""
        now, x, y = edge.places[-1]
        window = (place for place in edge.places if seconds(now - place[0]) <= self._settings.crossing_window_s)
        then, old_x, old_y = next(window)
        time = seconds(now - then)
        if time < 0.6 * self._settings.crossing_window_s:
            return None
        vx, vy = (x - old_x) / time, (y - old_y) / time
        left = -vx * math.sin(heading) + vy * math.cos(heading)
        return -side * left, vx * math.cos(heading) + vy * math.sin(heading), time


def _to_odometry(x: float, y: float, pose: Pose) -> tuple[float, float]:
    cos, sin = math.cos(pose[2]), math.sin(pose[2])
    return pose[0] + cos * x - sin * y, pose[1] + sin * x + cos * y
