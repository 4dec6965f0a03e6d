# SPDX-License-Identifier: Apache-2.0
"""The truth of a drive as it grows: when it is over, and what it was worth."""

from __future__ import annotations

import math

import numpy as np

from tidegate.evaluation import metrics
from tidegate.evaluation.comfort import comfort, rms
from tidegate.evaluation.drivers import expert_speed
from tidegate.evaluation.metrics import End, Run, Trace
from tidegate.records import Floats, Mode
from tidegate.robot import Actuation, Car
from tidegate.settings import Settings
from tidegate.simulation import Simulator, Truth


class DriveLog:
    """Truth and commands of a drive, tick by tick."""

    def __init__(self, settings: Settings, car: Car, before: Floats | None = None) -> None:
        """``before`` (J,) [N·m]: the command before the first tick; None = there was none, the motors were at rest."""
        self._before = np.zeros(len(car.joint_names)) if before is None else before
        self._settings, self._rules, self._car = settings, settings.evaluation, car
        self._period = 1 / settings.safety.rate_hz
        self._actuation = Actuation(car, self._period)
        self._truths: list[Truth] = []
        self._efforts: list[Floats] = []
        self._rows: list[str] = []
        self._still = self._off_road = 0.0
        self._mode = Mode.STOPPED

    @property
    def last(self) -> Truth | None:
        """The newest truth; None before the first."""
        return self._truths[-1] if self._truths else None

    def at(self, stamp: int) -> Truth | None:
        """The truth of ``stamp`` [ns]; None where there is none."""
        return next((truth for truth in reversed(self._truths) if truth.stamp == stamp), None)

    def add(self, effort: Floats, intervened: str, mode: Mode, truth: Truth) -> None:
        """Take in one tick, and the truth that its command led to.

        Args:
            effort: (J,) of the command [N·m].
            intervened: name of the barrier that changed the command; '' = none.
            mode: rung of the ladder.
            truth: after the period in which the command was held.
        """
        self._truths.append(truth)
        self._efforts.append(effort)
        self._rows.append(intervened)
        self._mode = mode
        self._still = self._still + self._period if abs(truth.speed) < self._rules.still_speed else 0.0
        self._off_road = self._off_road + self._period if truth.wheels_off else 0.0

    def end(self) -> End | None:
        """Why the drive is over; None while it is not."""
        truth = self._truths[-1]
        if truth.contact:
            return End.CONTACT
        if truth.reached:
            return End.GOAL
        if self._off_road >= self._rules.off_road_s:
            return End.OFF_ROAD
        may_go = truth.blocked and truth.camera_ok  # what blocks the road may drive off, and the car must follow
        for_good = self._mode is Mode.STOPPED and truth.distance > 1.0 and not may_go
        if self._still >= (self._rules.stopped_s if for_good else self._rules.standing_s):
            return End.STANDING
        most = truth.goal / self._rules.slowest + 60.0
        return End.TIME_LIMIT if len(self._truths) * self._period > most else None

    def trace(self) -> Trace:
        """The whole drive as arrays."""
        truths = self._truths
        speed = np.array([truth.speed for truth in truths])
        least = self._rules.excess
        most = self._car.vehicle.speed_max * (1 + least)
        bounds = self._actuation.low, self._actuation.high, self._actuation.step
        violations = metrics.limit_violations(np.array(self._efforts), self._before, *bounds, speed, most)
        excess = np.array([max(truth.limit_excess, least) for truth in truths])
        return Trace(
            period=self._period,
            distance=np.array([truth.distance for truth in truths]),
            lane_error=np.array([truth.offset for truth in truths]),
            speed=speed,
            yaw_rate=np.array([truth.yaw_rate for truth in truths]),
            gap=np.array([truth.gap for truth in truths]),
            contact=np.array([truth.contact for truth in truths]),
            wheels_off=np.array([truth.wheels_off for truth in truths]),
            room=np.array([self.room(truth) for truth in truths]),
            violations=violations + (np.diff(excess, prepend=least) > 0),
        )

    def judge(
        self,
        scene: str,
        seed: int,
        end: End,
        state_hash: str,
        wall_s: float,
        embedded: type[Simulator] | None = Simulator,
        pace: float | None = None,
    ) -> Run:
        """Figures of the drive; the expert drives the same road for comparison if the goal was reached.

        ``embedded``: in what the expert drives; None = nobody does, and the pace is not judged. ``pace``: the expert's
        mean speed there [m/s] where it is known, so that nobody drives for it.

        Raises:
            SceneError: the scene cannot be built.
        """
        trace, last, rows = self.trace(), self._truths[-1], np.array(self._rows)
        judged = embedded if end is End.GOAL else None
        expert = None
        if judged is not None:
            expert = pace or expert_speed(self._settings, scene, seed, kind=judged)
        excused = last.blocked or not last.camera_ok
        return Run(
            seed=seed,
            scene=scene,
            completed=metrics.completed(trace, end, expert or 0.0, self._rules, excused=excused),
            end=end.value,
            distance_m=float(trace.distance[-1]),
            duration_s=len(trace) * trace.period,
            mean_speed=metrics.mean_speed(trace),
            expert_speed=expert,
            max_abs_lane_error_m=float(np.abs(trace.lane_error).max()),
            rms_lane_error_m=rms(trace.lane_error),
            off_lane_s=float(trace.off_lane.sum() * trace.period),
            off_road_s=float(trace.wheels_off.sum() * trace.period),
            collisions=last.contacts,
            min_gap_m=metrics.smallest_gap(trace),
            limit_violations=int(trace.violations.sum()),
            worst_limit=last.limit_worst if last.limit_excess > self._rules.excess else "",
            interventions=metrics.rises(rows != ""),
            intervened_s=float((rows != "").sum() * trace.period),
            interventions_by_row={row: metrics.rises(rows == row) for row in sorted(set(self._rows) - {""})},
            comfort=comfort(trace.period, trace.speed, trace.yaw_rate, trace.lane_error, self._car.wheelbase),
            state_hash=state_hash,
            wall_s=wall_s,
        )

    def room(self, truth: Truth) -> float:
        """From the side of the car, at either axle, to the lane's edge [m]."""
        side = self._car.width / 2 * math.cos(truth.heading)
        front = self._car.front_offset(truth.offset, truth.heading, float(truth.curvature[0]))
        return self._settings.safety.lane.half_width - (max(abs(truth.offset), abs(front)) + side)
