# SPDX-License-Identifier: Apache-2.0
"""Both barriers keep the contract of tidegate's own."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tidegate.robot import Car
from tidegate.safety.contract import CHECKS, Contract, IdealCar, draw
from tidegate.settings import Settings, load_settings

SETTINGS = load_settings(Path(__file__).parents[1] / "car.yaml")
SCHOOL = SETTINGS.safety.barriers["school"]


def near_school(rng: np.random.Generator, settings: Settings, car: Car) -> IdealCar:
    """A car up to 60 m from the school, on its way there."""
    away, bearing = rng.uniform(0.0, 60.0), rng.uniform(-math.pi, math.pi)
    place = {
        "x": SCHOOL.x + away * math.cos(bearing),
        "y": SCHOOL.y + away * math.sin(bearing),
        "yaw": bearing + math.pi + rng.normal(0.0, 0.5),
    }
    return draw(rng, settings, car, **place)


# the margin: 0.15 m/s² for the estimate of the slope, the rest for the hold
ZONE = Contract(SETTINGS, "school", near_school, speeds=(2.0, 15.0), margin=0.2, beside=("lateral",))
# the speed grows a little between the command and the next tick
BENDS = Contract(SETTINGS, "gentle_bends", reserve=0.05, beside=("lateral",))


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("contract", [ZONE, BENDS], ids=lambda contract: contract.name)
def test_the_contract_is_kept(contract: Contract, check: str) -> None:
    getattr(contract, check)()
