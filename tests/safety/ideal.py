# SPDX-License-Identifier: Apache-2.0
"""The model that the rows are derived from, and what a broken policy asks of it."""

from __future__ import annotations

import math

import numpy as np
from safety_plant import PERIOD, car, settings

from tidegate.robot import GRAVITY
from tidegate.safety.barrier import Ahead, State
from tidegate.safety.filter import Filter
from tidegate.safety.lane_tracker import TrackedLane

SUBSTEPS = 5


class Ideal:
    """The model that the rows are derived from, integrated finely between the ticks: no lag, no error."""

    def __init__(self, speed: float = 0.0, offset: float = 0.0, heading: float = 0.0, slope: float = 0.0) -> None:
        self.speed, self.offset, self.heading, self.along = speed, offset, heading, 0.0
        self.force = self.curvature = 0.0
        self.slope = slope
        self.lowest = math.inf

    def state(self, lane: bool = True, road: float = 0.0, ahead: float = math.inf, bound: float = 0.1) -> State:
        low, high = car().force_window(self.force, PERIOD)
        tracked = TrackedLane(self.offset, self.heading, bound, 0.02, (0.0, 36.0), (road, road), 36.0)
        return State(
            self.speed, self.force, self.curvature, low, high, -GRAVITY * self.slope,
            tracked if lane else None, Ahead(ahead), Ahead(ahead),
        )  # fmt: skip

    def hold(self, force: float, curvature: float, road: float = 0.0, free: float | None = None) -> None:
        self.force, self.curvature = force, curvature
        dt = PERIOD / SUBSTEPS
        for _ in range(SUBSTEPS):
            drift = -GRAVITY * self.slope
            self.speed += dt * (force / car().effective_mass + drift)
            if force < 0:
                self.speed = max(self.speed, 0.0)
            middle = self.heading
            self.offset += dt * self.speed * math.sin(middle)
            advance = self.speed * math.cos(middle) / (1 - road * self.offset)
            self.heading += dt * (self.speed * curvature - road * advance)
            self.along += dt * self.speed
            if free is not None:
                self.lowest = min(self.lowest, free - self.along)


def signal(rng: np.random.Generator, count: int) -> np.ndarray:
    """Nominal commands that jump, saturate and rest, as a broken policy's would."""
    hold = rng.integers(1, 60)
    raw = np.stack([rng.uniform(-20000, 9000, count), rng.normal(0, 0.1, count)], axis=1)
    return np.repeat(raw, hold, axis=0)[:count]


def gains(rng: np.random.Generator) -> dict[str, float]:
    low, high = settings().policy.gain_low, settings().policy.gain_high
    return {name: float(rng.uniform(low, high)) for name in ("lane", "distance", "speed")}


def only(*names: str) -> Filter:
    return Filter(settings(), car(), disable=frozenset(settings().safety.barriers) - set(names))
