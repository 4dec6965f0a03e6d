# SPDX-License-Identifier: Apache-2.0
"""The whole stack without ROS: sensors in, joint efforts out, in exactly the order of the lock-step graph."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Any, Protocol

from tidegate.bundle import Bundle
from tidegate.liquid import LiquidPolicy
from tidegate.perception import Perception
from tidegate.records import (
    Decision,
    Frame,
    ImageHealth,
    Imu,
    JointStates,
    Level,
    Odometry,
    Percept,
    Points,
    Received,
    SafetyInputs,
    Tick,
)
from tidegate.robot import Car
from tidegate.safety import Supervisor
from tidegate.settings import Settings


class Sensors(Protocol):
    """What a tick may bring; None = nothing new of that kind."""

    frame: Frame | None
    joints: JointStates | None
    odometry: Odometry | None
    imu: Imu | None
    points: Points | None


@dataclass(frozen=True, slots=True)
class Flown:
    """All that one tick made; ``percept`` and ``decision`` only where a frame came."""

    inputs: SafetyInputs
    tick: Tick
    percept: Percept | None = None
    decision: Decision | None = None


class Pilot:
    """Perception, policy and safety filter, each called as its node calls it.

    A frame is read when it arrives; the policy then runs on its features with the newest odometry that is not later
    than the frame; the filter ticks last, on the newest of everything, with ages told by stamps.
    """

    def __init__(self, bundle: Bundle, settings: Settings, car: Car, *, image_health: bool = True) -> None:
        """``image_health`` off takes every image for a good one, to show what that part is for.

        Raises:
            BundleError: the bundle cannot be run.
        """
        self._perception = Perception(bundle, settings)
        self._policy = LiquidPolicy(bundle, settings)
        self._supervisor = Supervisor(settings, car)
        self._image_health = image_health
        self._odometry: deque[Odometry] = deque(maxlen=round(settings.safety.rate_hz))
        self._newest: dict[str, Any] = {}

    def tick(self, now: int, sensors: Sensors) -> Flown:
        """Take what arrived by ``now`` [ns] and compute the command of this tick."""
        newest = self._newest
        for name in ("joints", "odometry", "imu", "points"):
            record = getattr(sensors, name)
            if record is not None:
                newest[name] = record
        if sensors.odometry is not None:
            self._odometry.append(sensors.odometry)
        percept = decision = None
        if sensors.frame is not None:
            percept = self._perception.process(sensors.frame)
            if not self._image_health:
                percept = replace(percept, health=ImageHealth(percept.health.stamp, Level.OK))
            newest |= {"lane": percept.lane, "health": percept.health}
            decision = self._decide(percept)
            if decision is not None:
                newest |= {"nominal": decision.nominal, "gains": decision.gains}
        received = {name: Received(record, now - record.stamp) for name, record in newest.items()}
        inputs = SafetyInputs(now, **received)
        return Flown(inputs, self._supervisor.tick(inputs), percept, decision)

    def _decide(self, percept: Percept) -> Decision | None:
        stamp = percept.features.stamp
        known = [odometry for odometry in self._odometry if odometry.stamp <= stamp]
        return self._policy.step(percept.features, known[-1]) if known else None
