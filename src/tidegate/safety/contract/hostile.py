# SPDX-License-Identifier: Apache-2.0
"""What a broken policy asks for, and drives of the ideal car under it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tidegate.safety.contract.ideal import IdealCar
from tidegate.safety.filter import Filter
from tidegate.settings import Settings

Wish = tuple[float, float]
"""Force [N] and curvature [1/m]."""


def wish(rng: np.random.Generator, car: IdealCar) -> Wish:
    """Full throttle, coasting or brakes; lock to lock, straight on, or as it is."""
    low, high, lock = car.car.force_min, car.car.force_max, car.car.curvature_max
    force = rng.choice([high, 0.0, rng.uniform(low, high)], p=[0.6, 0.2, 0.2])
    return float(force), float(rng.choice([-lock, lock, car.curvature, rng.normal(0.0, 0.05)]))


def gains(rng: np.random.Generator, settings: Settings) -> dict[str, float]:
    """The policy's gains [1/s], anywhere in their interval."""
    policy = settings.policy
    return {name: float(rng.uniform(policy.gain_low, policy.gain_high)) for name in policy.gain_names}


def drive(
    rng: np.random.Generator, car: IdealCar, kept: Filter | None, speeds: tuple[float, float], ticks: int
) -> Iterator[IdealCar]:
    """``car`` after each tick of wishes that change at random times; ``kept`` filters them, None lets all pass.

    Outside ``speeds`` [m/s] the wish brakes, or drives.
    """
    until, asked, tuned = 0, (0.0, 0.0), gains(rng, car.settings)
    for tick in range(ticks):
        if tick >= until:
            until, asked, tuned = tick + int(rng.integers(1, 200)), wish(rng, car), gains(rng, car.settings)
        force = asked[0] if car.speed >= speeds[0] else car.car.force_max
        command = force if car.speed <= speeds[1] else car.car.force_min, asked[1]
        if kept is not None:
            told = kept(car.state(), command, tuned, car.box())
            command = told.force, told.curvature
        car.hold(*car.box().clip(*command))
        yield car
