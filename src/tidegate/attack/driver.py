# SPDX-License-Identifier: Apache-2.0
"""A good driver's eyes and an adversary's hands."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tidegate.attack.adversary import Adversary
from tidegate.evaluation.drivers import Driver, Seen
from tidegate.records import Decision, Gains, LaneEstimate
from tidegate.simulation import Observation, Simulator

Wrong = Callable[[LaneEstimate], LaneEstimate]


class HostileDriver:
    """What ``eyes`` see, made ``wrong`` (None: it stays), and what an adversary asks for; gains inside and far outside
    their interval. ``eyes`` drive until the car is as fast as ``from_speed`` [m/s]."""

    def __init__(
        self, simulator: Simulator, eyes: Driver, adversary: Adversary, wrong: Wrong | None, from_speed: float
    ) -> None:
        self._simulator, self._eyes, self._adversary, self._wrong = simulator, eyes, adversary, wrong
        self._waits_for: float | None = from_speed
        self._names = simulator.settings.policy.gain_names
        self._last: Decision | None = None

    def look(self, sensors: Observation) -> Seen:
        """As ``Driver.look``."""
        percept, decision = self._eyes.look(sensors)
        if percept is not None and self._wrong is not None:
            percept = replace(percept, lane=self._wrong(percept.lane))
        self._last = decision or self._last
        adversary, last = self._adversary, self._last
        if last is None or not (decision is not None or adversary.every_tick):
            return percept, decision
        truth = self._simulator.truth()
        if self._waits_for is not None:
            if truth.speed < self._waits_for:
                return percept, decision
            self._waits_for = None
        stamp = sensors.odometry.stamp if adversary.every_tick else last.nominal.stamp
        nominal = adversary.wish(replace(last.nominal, stamp=stamp), truth)
        if nominal is None:
            return percept, None
        return percept, Decision(nominal, self._gains(nominal.stamp), np.zeros(0, np.float32))

    def _gains(self, stamp: int) -> Gains:
        rng, count = self._adversary.rng, len(self._names)
        drawn = rng.choice([math.nan, -10.0, 1e9], count) if rng.random() < 0.2 else rng.uniform(0.0, 8.0, count)
        return Gains(stamp, dict(zip(self._names, drawn.tolist(), strict=True)))
