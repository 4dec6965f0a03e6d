# SPDX-License-Identifier: Apache-2.0
"""Which inputs are there, sound and young enough."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tidegate.records import (
    ArmInputs,
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


@dataclass(slots=True)
class _Input:
    """One input: its ``newest`` *sound* record, ``age`` [ns] old, and the ``fault`` of what came after it, in words."""

    name: str
    sound: Callable[[Any], bool]
    oldest: int
    newest: Any = None
    age: int = -1
    seen: Any = None
    fault: str = ""

    def check(self, received: Received[Any] | None, step: int) -> None:
        """Take in what was received at a tick, ``step`` [ns] after the last one."""
        if received is not None:
            record = received.record
            if record is not self.seen:
                self.seen = record
                fault = f"{self.name} is not usable (NaN, shape, names, frame or rings)"
                self.fault = "" if _holds(self.sound, record) else fault
            if not self.fault:
                self.newest, self.age = record, received.age
                return
        if self.newest is not None:
            self.age += step

    def late(self) -> tuple[str, ...]:
        """Why it cannot be used, in words; empty = it can."""
        if self.newest is not None and self.age <= self.oldest:
            return ()
        if self.fault:
            return (self.fault,)
        if self.newest is None:
            return (f"{self.name} never arrived",)
        return (f"{self.name} is late ({self.age / 1e6:.0f} ms)",)


class Watchdog:
    """Keeps the newest *sound* record of each input; a record with NaN, of wrong shape or without its joints is none.

    Ages come with the inputs (the clock is injected): between sound records they grow with the tick's own time.
    """

    def __init__(self, settings: Settings, car: Car) -> None:
        safety = settings.safety
        camera = nanoseconds(safety.camera_timeout_s)
        trusted, ranging = nanoseconds(safety.trusted_timeout_s), nanoseconds(safety.range_timeout_s)
        self._joint_names, self._mounts = car.joint_names, car.description.mounts()
        self._knots, self._rings = len(settings.perception.preview_m), len(settings.ranging.elevation_deg)
        self._inputs = {
            "nominal": _Input("nominal", _nominal, camera),
            "gains": _Input("gains", _gains, camera),
            "lane": _Input("lane", self._lane, camera),
            "health": _Input("health", _health, camera),
            "joints": _Input("joints", self._joints, trusted),
            "odometry": _Input("odometry", _odometry, trusted),
            "imu": _Input("imu", _imu, trusted),
            "points": _Input("points", self._points, ranging),
            "manual": _Input("manual", _manual, nanoseconds(safety.manual_timeout_s)),
        }
        self._now: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Of the inputs that are watched."""
        return tuple(self._inputs)

    def check(self, inputs: SafetyInputs | ArmInputs) -> None:
        """Take in the inputs of one tick."""
        step = max(inputs.now - self._now, 0) if self._now is not None else 0
        self._now = inputs.now
        for name, kept in self._inputs.items():
            kept.check(getattr(inputs, name), step)

    def newest(self, name: str) -> Any:
        """The newest sound record of an input, whatever its age; None = never."""
        return self._inputs[name].newest

    def age(self, name: str) -> int:
        """Age [ns] of the newest sound record; -1 = never."""
        return self._inputs[name].age

    def ages(self) -> dict[str, int | None]:
        """Ages [ns] of the newest sound records by input; None = never."""
        return {name: None if kept.newest is None else kept.age for name, kept in self._inputs.items()}

    def usable(self, name: str) -> Any:
        """The newest sound record of an input if it is young enough, else None."""
        kept = self._inputs[name]
        return kept.newest if kept.age <= kept.oldest else None

    def sound(self, name: str, received: Received[Any] | None) -> bool:
        """Whether something received is sound and young enough, all that was there before left out of account."""
        kept = self._inputs[name]
        return received is not None and received.age <= kept.oldest and _holds(kept.sound, received.record)

    def late(self, name: str) -> tuple[str, ...]:
        """Why an input cannot be used, in words; empty = it can."""
        return self._inputs[name].late()

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

    def _points(self, points: Points) -> bool:
        sizes = points.xyz.ndim == 2 and points.xyz.shape[1] == 3 and points.ring.shape == points.xyz.shape[:1]
        return sizes and points.frame in self._mounts and bool(((points.ring >= 0) & (points.ring < self._rings)).all())


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


def _manual(manual: Manual) -> bool:
    return not manual.engaged or (math.isfinite(manual.force) and math.isfinite(manual.curvature))
