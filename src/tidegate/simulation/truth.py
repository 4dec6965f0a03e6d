# SPDX-License-Identifier: Apache-2.0
"""What really happens: only evaluation, the expert and training labels may read it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, get_type_hints

import numpy as np

from tidegate.records import Floats


@dataclass(frozen=True, slots=True)
class Truth:
    """True state of the car and the road at one tick.

    Attributes:
        stamp: [ns].
        x, y, z, yaw: pose of ``base_link`` in the world [m, rad].
        speed, acceleration: along the car [m/s, m/s²]; ``yaw_rate`` [rad/s].
        s: arc length along the lane [m]; ``distance`` driven along it since the start [m]; ``laps`` of it.
        offset: left of the lane centre [m]; ``heading`` relative to it [rad]; ``curvature`` (K,) [1/m] of the lane at
            ``perception.preview_m`` ahead.
        slope: rise over run along the car.
        wheels_off: a tyre stands beyond the paved edge.
        gap: from the front bumper to the nearest thing in the corridor of the car's width along the lane [m], inf when
            there is none within 150 m; ``gap_speed``: its speed along the lane [m/s].
        contact: the body touches a vehicle now; ``contacts``: how many times that began since the start.
        blocked: something slower than 0.5 m/s stands across the lane within 30 m.
        limit_excess: largest relative excess over a joint or speed limit at any physics step since the start;
            ``limit_worst`` names it ('' = none).
        goal: distance to drive [m]; ``reached`` whether it was.
        camera_ok: the camera works.
        sink_braking: the actuators brake by themselves because no command came.
    """

    stamp: int
    x: float
    y: float
    z: float
    yaw: float
    speed: float
    acceleration: float
    yaw_rate: float
    s: float
    distance: float
    laps: float
    offset: float
    heading: float
    curvature: Floats
    slope: float
    wheels_off: bool
    gap: float
    gap_speed: float
    contact: bool
    contacts: int
    limit_excess: float
    limit_worst: str
    goal: float
    camera_ok: bool
    sink_braking: bool

    @property
    def blocked(self) -> bool:
        """Something stands across the lane within 30 m."""
        return self.gap < 30.0 and abs(self.gap_speed) < 0.5

    @property
    def reached(self) -> bool:
        """The goal was reached."""
        return self.distance >= self.goal

    @property
    def lateral_acceleration(self) -> float:
        """Speed times yaw rate [m/s²]."""
        return self.speed * self.yaw_rate

    @property
    def gap_known(self) -> bool:
        """Something is on the path."""
        return math.isfinite(self.gap)

    def to_values(self) -> dict[str, float]:
        """Numbers and flags by name, for the topic ``truth``: ``curvature_0`` …, ``limit_worst/…`` = 1 for a text."""
        values: dict[str, float] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, np.ndarray):
                values |= {f"{item.name}_{index}": float(one) for index, one in enumerate(value)}
            elif isinstance(value, str):
                values |= {f"{item.name}/{value}": 1.0} if value else {}
            elif item.name != "stamp":
                values[item.name] = float(value)
        return values

    @classmethod
    def from_values(cls, stamp: int, values: Mapping[str, float]) -> Truth:
        """Undo ``to_values``.

        Raises:
            KeyError: a number is missing.
        """
        worst = [key.partition("/")[2] for key in values if key.startswith("limit_worst/")]
        made: dict[str, Any] = {"stamp": stamp, "limit_worst": "".join(worst)}
        for name, kind in _kinds().items():
            if name == "curvature":
                count = sum(key.startswith("curvature_") for key in values)
                made[name] = np.array([values[f"curvature_{index}"] for index in range(count)])
            elif name not in made:
                made[name] = kind(values[name])
        return cls(**made)


@cache
def _kinds() -> dict[str, Any]:
    return get_type_hints(Truth)
