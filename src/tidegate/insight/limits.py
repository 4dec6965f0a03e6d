# SPDX-License-Identifier: Apache-2.0
"""The limit that each barrier stands for, told by the truth and not by what the filter believed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from tidegate.robot import Car
from tidegate.safety import Filter, State
from tidegate.safety.traction import Grip
from tidegate.settings import Settings
from tidegate.simulation import Truth


class After(NamedTuple):
    """What a tick led to: the ``truth``, ``room`` [m] from the car's side to its lane's edge, the ``force`` [N] that
    was let through, and the filter's own ``state``."""

    truth: Truth
    room: float
    force: float
    state: State


Limit = Callable[[After], float]
"""By how much a limit is exceeded, in its own unit; at most 0 = it is kept."""
_EDGE = "a side of the car is over the lane's edge"
BROKEN = {
    "speed": "the car is faster than its limit",
    "curve": "the bend asks for more than the allowed lateral acceleration",
    "lateral": "the lateral acceleration exceeds what is allowed",
    "traction": "more than the allowed share of the grip is used",
    "lane": _EDGE,
    "edge": _EDGE,
    "distance": "there is contact, or less than the gap at standstill",
}
"""By type of barrier what it is to have its limit broken; others go by their own h."""
MARGINS = {
    "speed": "the error of the measured speed and of the estimated slope and drag",
    "curve": "the error bound of the bend, and gentle braking before it",
    "lateral": "what the policy asks for at this tick, whatever becomes of it",
    "traction": "what the policy asks for at this tick, whatever becomes of it",
    "lane": "the error bounds of the lane estimate",
    "edge": "the error bounds of the lane estimate, and the way until brakes and steering have answered",
    "distance": "the weakest guaranteed brakes on the steepest slope, and the noise of the range sensor",
    "sight": "a camera that may fail at any moment, and a lane that may be off by its error bound",
}
"""By type of barrier what else than the limit itself makes its row act."""


def limit_of(name: str, settings: Settings, car: Car) -> Limit:
    """The limit of the barrier ``name`` of the robot's file.

    ``speed``: the car's own [m/s]. ``curve``: lateral acceleration that the lane's bend means at this speed [m/s²].
    ``lateral``: the car's lateral acceleration [m/s²]. ``traction``: that and the force let through, against the share
    of the grip [m/s²]. ``lane``, ``edge``: a side of the car, at either axle, over the lane's edge [m]. ``distance``:
    the standstill gap, or contact [m]. Of ``sight`` and types of the user's own the truth tells nothing: −h.
    """
    kind, vehicle, share = settings.safety.barriers[name].type, settings.vehicle, Grip(settings, car).share
    lateral, gap = vehicle.lateral_acceleration_max, settings.safety.distance.standstill_gap
    known: dict[str, Limit] = {
        "speed": lambda now: now.truth.speed - vehicle.speed_max,
        "curve": lambda now: now.truth.speed**2 * abs(now.truth.curvature[0]) - lateral,
        "lateral": lambda now: abs(now.truth.lateral_acceleration) - lateral,
        "traction": lambda now: math.hypot(now.force / car.effective_mass, now.truth.lateral_acceleration) - share,
        "lane": lambda now: -now.room,
        "edge": lambda now: -now.room,
        "distance": lambda now: gap - (0.0 if now.truth.contact else now.truth.gap),
    }
    return known.get(kind) or _own(name, settings, car)


def _own(name: str, settings: Settings, car: Car) -> Limit:
    """−h, as the barrier reckons it from what the filter knows."""
    alone = Filter(settings, car, disable=frozenset(settings.safety.barriers) - {name})
    return lambda now: -float(alone.rows(now.state)[-1][0])
