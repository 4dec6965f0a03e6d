# SPDX-License-Identifier: Apache-2.0
"""What the safety filter goes by, as shapes in the car's frame: lane with its bound, stop, commands, verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tidegate.messages import Shape
from tidegate.records import Floats, LaneEstimate, Mode, Odometry, SafetyState, seconds
from tidegate.robot import Car
from tidegate.safety.braking import Braking
from tidegate.safety.lane_tracker import LaneTracker, TrackedLane, centre_line
from tidegate.settings import Settings
from tidegate.settings.barriers import DistanceParameters

GREEN, YELLOW, RED, DARK_RED = (0.2, 0.8, 0.4, 1.0), (1.0, 0.75, 0.1, 1.0), (0.95, 0.25, 0.2, 1.0), (0.6, 0.1, 0.1, 1.0)
WHITE, GREY, BLUE, FAINT = (1.0, 1.0, 1.0, 1.0), (0.65, 0.7, 0.75, 0.9), (0.25, 0.75, 0.9, 1.0), (0.3, 0.8, 0.9, 0.35)
MODE_COLOUR = {Mode.NORMAL: GREEN, Mode.HOLD: YELLOW, Mode.STOPPING: RED, Mode.STOPPED: DARK_RED}
LANE_M = 40.0
"""How far the lane is drawn, and no farther than it is known [m]."""
COURSE_S, COURSE_M = 1.5, 4.0
"""A commanded course is drawn for this time at the present speed, and at least for this length."""
FULL_ARROW_M = 3.0
"""Length of the arrow of the strongest braking that is guaranteed [m]."""
OLD_S = 1.0
"""Records that far apart are not drawn together."""


class Scene:
    """Keeps lane and motion of one car; ``shapes`` draws them with the verdict of a tick."""

    def __init__(self, settings: Settings, car: Car) -> None:
        self._settings, self._car = settings, car
        self._tracker, self._braking = LaneTracker(settings), Braking(settings, car)
        self._odometry: Odometry | None = None
        self._lane_stamp: int | None = None
        own = settings.safety.barriers["distance"]
        extra = own.extra_gap if isinstance(own, DistanceParameters) else 0.0
        self._gap = settings.safety.distance.standstill_gap + extra + settings.safety.distance.noise_m

    def moved(self, odometry: Odometry) -> None:
        """Carry the remembered lane on; time that goes back begins anew."""
        if self._odometry is not None and odometry.stamp < self._odometry.stamp:
            self._tracker.reset()
            self._lane_stamp = None
        self._odometry = odometry
        self._tracker.odometry(odometry.stamp, odometry.speed, odometry.yaw_rate)

    def saw(self, lane: LaneEstimate) -> None:
        """Take a new lane estimate of a frame that can be trusted; without one, the remembered lane is carried on."""
        if self._lane_stamp is None or lane.stamp > self._lane_stamp:
            self._lane_stamp = lane.stamp
            self._tracker.offer(lane, gated=False)

    def shapes(self, state: SafetyState) -> Iterator[Shape]:
        """Everything that is known at the tick of ``state``."""
        odometry = self._odometry
        if odometry is not None and abs(seconds(state.stamp - odometry.stamp)) > OLD_S:
            odometry = None
        lane = None if odometry is None else self._tracker.lane()
        if lane is not None and lane.remaining > 0 and math.isfinite(lane.offset_bound):
            yield from self._lane(lane)
        if odometry is not None:
            yield from self._stop(state, odometry)
            yield from self._courses(state, odometry)
        yield self._verdict(state)

    def _lane(self, lane: TrackedLane) -> Iterator[Shape]:
        """Centre, edges, and within each edge how far in the edge may really be, by the stated error bounds.

        To first order the bound grows along the way s as b + β s + k s²/2 (offset, heading, curvature). It is drawn as
        far as it is narrower than half the lane.
        """
        line = centre_line(lane, min(LANE_M, lane.remaining))
        way = np.arange(len(line), dtype=np.float64)
        bound = lane.offset_bound + lane.heading_bound * way + lane.curvature_bound * way**2 / 2
        half = self._settings.safety.lane.half_width
        told = int((bound < half).sum())  # it only grows
        yield Shape("lane", "centre", "line", _beside(line, 0.0), GREY, 0.06)
        for side, name in ((1.0, "left"), (-1.0, "right")):
            yield Shape("lane", f"{name} edge", "line", _beside(line, side * half), WHITE, 0.12)
            for sign, place in ((-1.0, "inner"), (1.0, "outer")):
                if told > 1:
                    points = _beside(line[:told], side * (half + sign * bound[:told]))
                    yield Shape("lane_bound", f"{name} {place}", "line", points, FAINT, 0.08)

    def _stop(self, state: SafetyState, odometry: Odometry) -> Iterator[Shape]:
        """Where the bumper comes to stand if the car brakes now, what must be free beyond, and the thing ahead."""
        force, curvature = state.allowed
        if not math.isfinite(force):
            return
        way = self._braking.stop(odometry.speed, force).way
        half = self._car.width / 2
        yield Shape("stop", "stands here", "line", self._across(self._car.front + way, curvature, half), YELLOW, 0.15)
        needed = self._car.front + way + self._gap
        yield Shape("stop", "free up to here", "line", self._across(needed, curvature, half), RED, 0.15)
        h = next((barrier.h for barrier in state.barriers if barrier.name == "distance"), math.inf)
        if math.isfinite(h):  # h = D − S − D₀, so this is where the filter counts the nearest thing to be
            thing = max(needed + h, self._car.front)
            yield Shape("stop", "thing", "line", self._across(thing, curvature, 1.5 * half), BLUE, 0.25)

    def _across(self, ahead: float, curvature: float, half: float) -> Floats:
        """A bar across the arc, ``ahead`` [m] of the rear axle on it."""
        end = _arc(curvature, np.array([ahead]))
        return np.concatenate([_beside(end, half), _beside(end, -half)])

    def _courses(self, state: SafetyState, odometry: Odometry) -> Iterator[Shape]:
        """Curvature as an arc from the rear axle, force as an arrow along the car, before and after the filter."""
        way = np.linspace(0.0, max(COURSE_S * odometry.speed, COURSE_M), 16)
        full = self._settings.vehicle.brake_guaranteed * self._car.effective_mass
        for (force, curvature), name, colour, side in (
            (state.wanted, "wanted", GREY, 0.25),
            (state.allowed, "allowed", BLUE, -0.25),
        ):
            if not (math.isfinite(force) and math.isfinite(curvature)):
                continue
            height = 0.05 if name == "wanted" else 0.1
            yield Shape("command", f"{name} course", "line", _beside(_arc(curvature, way), 0.0, height), colour, 0.15)
            length = FULL_ARROW_M * force / full
            if abs(length) > 0.02:
                start = np.array([self._car.front / 2, side, 1.6])
                yield Shape(
                    "command", f"{name} force", "arrow", np.stack([start, start + [length, 0, 0]]), colour, 0.12
                )

    def _verdict(self, state: SafetyState) -> Shape:
        """Mode, the barrier that acts, those that give way, and the value of each, above the car."""
        lines = [state.mode.name]
        if state.intervened:
            lines.append(f"{state.intervened} acts")
        relaxed = [barrier.name for barrier in state.barriers if barrier.relaxed]
        if relaxed:
            lines.append(f"gives way: {', '.join(relaxed)}")
        lines += [f"{one.name} {one.h:.2f}" for one in state.barriers if math.isfinite(one.h)]
        place = np.array([[0.0, self._car.width + 1.0, 2.5]])
        return Shape("verdict", "verdict", "text", place, MODE_COLOUR[state.mode], 0.35, "\n".join(lines))


def _arc(curvature: float, way: Floats) -> Floats:
    """Points (N, 3): x, y [m] and heading [rad] on the circle through the origin, at ``way`` (N,) [m] along it."""
    heading = curvature * way
    # sin(a)/κ and (1 − cos(a))/κ without a division by κ
    x = way * np.sinc(heading / math.pi)
    y = way * np.sinc(heading / (2 * math.pi)) * np.sin(heading / 2)
    return np.stack([x, y, heading], axis=1)


def _beside(line: Floats, left: Floats | float, height: float = 0.05) -> Floats:
    """Points (N, 3) in space, ``left`` [m] of a ``line`` (N, 3) of x, y and heading."""
    x = line[:, 0] - left * np.sin(line[:, 2])
    y = line[:, 1] + left * np.cos(line[:, 2])
    return np.stack([x, y, np.full(len(line), height)], axis=1)
