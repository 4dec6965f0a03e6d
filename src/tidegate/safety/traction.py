# SPDX-License-Identifier: Apache-2.0
"""Barriers on what the tyres are asked for: grip and lateral acceleration."""

from __future__ import annotations

import math
from typing import Any

from tidegate.robot import GRAVITY, Car
from tidegate.safety.barrier import Barrier, Priority, Rows, State, barriers
from tidegate.safety.dual import hypot
from tidegate.settings import Settings

SIDES = 12
"""So many leave a car of the shipped file its whole lateral limit beside the braking that is guaranteed."""


class Grip:
    """What may be asked of the tyres, (F/m, v² κ), as a polygon in the friction circle.

    Attributes:
        share: the circle's radius [m/s²]; ``inner``: that of its sides.
        normals: of each side, by force [1/kg] and by lateral acceleration.
    """

    def __init__(self, settings: Settings, car: Car) -> None:
        self._mass = car.effective_mass
        self.share = settings.safety.traction_share * settings.vehicle.tyre_friction * GRAVITY
        corners = [2 * math.pi * (side + 0.5) / SIDES for side in range(SIDES)]
        self.normals = [(-math.cos(angle) / self._mass, -math.sin(angle)) for angle in corners]
        self.inner = self.share * math.cos(math.pi / SIDES)

    def hardest(self, speed: float, curvature: float) -> float:
        """The strongest braking force [N] that the polygon leaves beside a path; 0 where it leaves none."""
        lateral = max(speed, 1.0) ** 2 * curvature
        return min(max((-self.inner - across * lateral) / along for along, across in self.normals if along > 0), 0.0)


@barriers.register("traction")
class Traction(Barrier):
    """The friction circle, as an inscribed polygon.

    h = share · μ_f g − ‖(F/m, v² κ)‖, relative degree 0: ``SIDES`` rows linear in u at the measured speed.
    Trusted inputs: wheel speed.
    Guarantee: never more than the stated share of the grip is asked for.
    Assumption: the road grips with at least ``tyre_friction``; load transfer and the unloading on a crest are inside
    the share that is kept back.
    """

    priority = Priority.GRIP
    rows = SIDES
    unit = "m/s²"

    def __init__(self, settings: Settings, car: Car, parameters: Any = None) -> None:
        super().__init__(settings, car, parameters)
        self._mass, self._grip = car.effective_mass, Grip(settings, car)

    def fill(self, state: State, rows: Rows) -> float:
        """See ``Barrier.fill``; h is the grip left by the last command [m/s²]."""
        square, least = max(state.speed, 1.0) ** 2, -self._grip.inner
        rows.set_all([(along, across * square, least, 0.0, math.inf) for along, across in self._grip.normals])
        return self._grip.share - hypot(state.force / self._mass, square * state.curvature)


@barriers.register("lateral")
class Lateral(Barrier):
    """Lateral acceleration of the commanded path.

    h = a_lat − v² |κ|, relative degree 0: two rows, κ within ±a_lat/v².
    Trusted inputs: wheel speed.
    Guarantee: the commanded curvature never asks for more than ``lateral_acceleration_max`` at the present speed,
    whatever the policy or the camera says.
    Assumption: steady cornering; while the limit shrinks faster than the steering's slew (hard acceleration in a
    bend) the slew wins and the relaxation is reported.
    """

    priority = Priority.GRIP
    rows = 2
    unit = "m/s²"

    def __init__(self, settings: Settings, car: Car, parameters: Any = None) -> None:
        super().__init__(settings, car, parameters)
        self._limit = settings.vehicle.lateral_acceleration_max

    def fill(self, state: State, rows: Rows) -> float:
        """See ``Barrier.fill``."""
        square, limit = max(state.speed, 1.0) ** 2, max(self._limit, state.lateral_left)
        rows.set(0, 0.0, -square, -limit)
        rows.set(1, 0.0, square, -limit)
        return limit - square * abs(state.curvature)
