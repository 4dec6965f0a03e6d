# SPDX-License-Identifier: Apache-2.0
"""The whole stack without ROS: sensors in, joint efforts out, in exactly the order of the lock-step graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tidegate.evaluation.drivers import Driver
from tidegate.records import Decision, Mode, Percept, Received, SafetyInputs, Tick
from tidegate.safety import Supervisor
from tidegate.simulation import Observation, Truth


@dataclass(frozen=True, slots=True)
class Step:
    """All that one tick made; ``percept`` and ``decision`` only where a frame came."""

    inputs: SafetyInputs
    tick: Tick
    percept: Percept | None
    decision: Decision | None


@dataclass(frozen=True, slots=True)
class Moment:
    """One tick as a watcher sees it; ``truth`` is the state before the command acted."""

    sensors: Observation
    step: Step
    truth: Truth


Tamper = Callable[[SafetyInputs], SafetyInputs]
"""Changes what the filter hears, tick by tick; may keep what it saw."""


class Pilot:
    """Driver first, then one tick of the safety filter on the newest of everything, with ages told by stamps.

    The filter starts STOPPED; a reset is asked for until it drives for the first time, as an operator would.

    Attributes:
        tamper: stands between the newest records and the filter; for attacks.
    """

    def __init__(self, driver: Driver, supervisor: Supervisor) -> None:
        self._driver, self._supervisor = driver, supervisor
        self.tamper: Tamper = lambda inputs: inputs
        self._newest: dict[str, Any] = {}
        self._started = False

    def tick(self, now: int, sensors: Observation) -> Step:
        """Take what arrived by ``now`` [ns] and compute the command of this tick."""
        newest = self._newest
        newest |= {"joints": sensors.joints, "odometry": sensors.odometry, "imu": sensors.imu}
        if sensors.points is not None:
            newest["points"] = sensors.points
        percept, decision = self._driver.look(sensors)
        if percept is not None:
            newest |= {"lane": percept.lane, "health": percept.health}
        if decision is not None:
            newest |= {"nominal": decision.nominal, "gains": decision.gains}
        received: dict[str, Any] = {name: Received(record, now - record.stamp) for name, record in newest.items()}
        inputs = self.tamper(SafetyInputs(now, **received, reset_requested=not self._started))
        tick = self._supervisor.tick(inputs)
        self._started = self._started or tick.mode is Mode.NORMAL
        return Step(inputs, tick, percept, decision)
