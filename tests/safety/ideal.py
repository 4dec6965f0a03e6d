# SPDX-License-Identifier: Apache-2.0
"""The model that the rows are derived from, for the shipped car, and what a broken policy asks of it."""

from __future__ import annotations

import math

import numpy as np
from safety_plant import car, settings

from tidegate.safety.contract import IdealCar
from tidegate.safety.filter import Filter


def ideal(
    speed: float = 0.0,
    offset: float = 0.0,
    heading: float = 0.0,
    slope: float = 0.0,
    road: float = 0.0,
    bound: float = 0.1,
    free: float = math.inf,
) -> IdealCar:
    """The shipped car on a road of constant curvature."""
    return IdealCar(
        settings(), car(), speed, offset, heading, slope, bends=(road, road), bound=(bound, 0.02, 0.0), free=free
    )


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
