# SPDX-License-Identifier: Apache-2.0
"""Which inputs are there, sound and young enough."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tidegate.records import (
    Floats,
    Gains,
    ImageHealth,
    Imu,
    JointStates,
    LaneEstimate,
    Manual,
    Nominal,
    Odometry,
    Points,
    Received,
    SafetyInputs,
    nanoseconds,
)
from tidegate.robot import Car
from tidegate.settings import Settings

# Larger numbers are not measurements of a car; refusing them keeps the arithmetic downstream finite.
PLACE_POSSIBLE, SPEED_POSSIBLE, TURN_POSSIBLE, CURVATURE_POSSIBLE = 1e7, 200.0, 50.0, 10.0


class Watchdog:
    """Keeps the newest *sound* record of each input; a record with NaN, of wrong shape or without its joints is none.

    Ages come with the inputs (the clock is injected): between sound records they grow with the tick's own time.
    """

    def __init__(self, settings: Settings, car: Car) -> None:
        safety = settings.safety
        camera = nanoseconds(safety.late_periods / settings.camera.rate_hz)
        trusted, ranging = nanoseconds(safety.trusted_timeout_s), nanoseconds(safety.range_timeout_s)
        self._joint_names = car.joint_names
        self._knots = len(settings.perception.preview_m)
        self._sound: dict[str, Callable[[Any], bool]] = {
            "nominal": _nominal,
            "gains": _gains,
            "lane": self._lane,
            "health": _health,
            "joints": self._joints,
            "odometry": _odometry,
            "imu": _imu,
            "points": _points,
            "manual": _manual,
        }
        self._limits = {
            "nominal": camera,
            "lane": camera,
            "health": camera,
            "gains": camera,
            "joints": trusted,
            "odometry": trusted,
            "imu": trusted,
            "points": ranging,
            "manual": nanoseconds(safety.manual_timeout_s),
        }
        self._kept: dict[str, tuple[Any, int]] = {}
        self._seen: dict[str, Any] = {}
        self._faults: dict[str, str] = {}
        self._now: int | None = None

    def check(self, inputs: SafetyInputs) -> None:
        """Take in the inputs of one tick."""
        step = max(inputs.now - self._now, 0) if self._now is not None else 0
        self._now = inputs.now
        for name, sound in self._sound.items():
            received: Received[Any] | None = getattr(inputs, name)
            if received is not None:
                record = received.record
                if record is self._seen.get(name):  # checked before
                    if name not in self._faults:
                        self._kept[name] = record, received.age
                        continue
                else:
                    self._seen[name] = record
                    if _holds(sound, record):
                        self._faults.pop(name, None)
                        self._kept[name] = record, received.age
                        continue
                    self._faults[name] = f"{name} is not usable (NaN, shape or names)"
            if name in self._kept:
                record, age = self._kept[name]
                self._kept[name] = record, age + step

    def newest(self, name: str) -> Any:
        """The newest sound record of an input, whatever its age; None = never."""
        return self._kept[name][0] if name in self._kept else None

    def age(self, name: str) -> int:
        """Age [ns] of the newest sound record; -1 = never."""
        return self._kept[name][1] if name in self._kept else -1

    def fresh(self, name: str) -> bool:
        """Whether an input is there, sound and young enough."""
        return name in self._kept and self._kept[name][1] <= self._limits[name]

    def late(self, name: str) -> tuple[str, ...]:
        """Why an input cannot be used, in words; empty = it can."""
        if self.fresh(name):
            return ()
        if name in self._faults:
            return (self._faults[name],)
        if name not in self._kept:
            return (f"{name} never arrived",)
        return (f"{name} is late ({self._kept[name][1] / 1e6:.0f} ms)",)

    def _lane(self, lane: LaneEstimate) -> bool:
        return (
            lane.curvature.shape == (self._knots,)
            and lane.bound.shape == (2 + self._knots,)
            and abs(lane.offset) < PLACE_POSSIBLE
            and abs(lane.heading) < TURN_POSSIBLE
            and bool((np.abs(lane.curvature) < CURVATURE_POSSIBLE).all())
            and bool((lane.bound >= 0).all())
        )

    def _joints(self, joints: JointStates) -> bool:
        count = (len(joints.names),)
        return (
            (joints.names == self._joint_names or all(name in joints.names for name in self._joint_names))
            and joints.position.shape == count
            and joints.velocity.shape == count
            and _possible(joints.position)
            and _possible(joints.velocity)
        )


def _holds(sound: Callable[[Any], bool], record: Any) -> bool:
    try:
        return bool(sound(record))
    except (AttributeError, TypeError, ValueError):
        return False


def _possible(values: Floats) -> bool:
    return all(abs(value) < PLACE_POSSIBLE for value in values.tolist())


def _nominal(nominal: Nominal) -> bool:
    return math.isfinite(nominal.force) and math.isfinite(nominal.curvature)


def _gains(gains: Gains) -> bool:
    return isinstance(gains.values, dict)


def _health(health: ImageHealth) -> bool:
    return int(health.level) in (0, 1, 2, 3)


def _odometry(odometry: Odometry) -> bool:
    return (
        abs(odometry.x) < PLACE_POSSIBLE
        and abs(odometry.y) < PLACE_POSSIBLE
        and abs(odometry.yaw) < PLACE_POSSIBLE
        and abs(odometry.speed) < SPEED_POSSIBLE
        and abs(odometry.yaw_rate) < TURN_POSSIBLE
    )


def _imu(imu: Imu) -> bool:
    parts = imu.angular_velocity, imu.linear_acceleration
    return all(part.shape == (3,) and _possible(part) for part in parts)


def _points(points: Points) -> bool:
    return points.xyz.ndim == 2 and points.xyz.shape[1] == 3 and points.ring.shape == points.xyz.shape[:1]


def _manual(manual: Manual) -> bool:
    return not manual.engaged or math.isfinite(manual.force + manual.curvature)
