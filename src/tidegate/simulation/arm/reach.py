# SPDX-License-Identifier: Apache-2.0
"""Reach: keep the tool above a ball that rolls about on the table."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tidegate.records import Floats
from tidegate.simulation.arm.furniture import SIGNAL, opaque
from tidegate.simulation.arm.task import ARM_SCENES, ArmTask, Bound, Goal
from tidegate.simulation.arm.world import ArmTruth
from tidegate.simulation.engine import mujoco

RADIUS = 0.03
"""Of the ball [m]."""
HOVER = 0.08
"""Wanted height of the tool above the ball's centre [m]."""
CENTRE = (0.50, 0.0)
UP = np.array([0.0, 0.0, 1.0])


@ARM_SCENES.register("reach")
class Reach(ArmTask):
    """The ball's x and y are each a slow and a faster oscillation, at most 0.3 m/s; the camera sees it."""

    name, seconds, scored = "reach", 5.0, 1.5
    passing = (Bound("tracking_rms_m", most=0.005),)
    table = 0.25

    def draw(self, rng: np.random.Generator) -> None:
        """See ``ArmTask.draw``."""
        self._reach = rng.uniform([[0.05, 0.05], [0.01, 0.01]], [[0.08, 0.14], [0.02, 0.03]])  # (2, 2) of each, x y
        self._rate = 2 * math.pi * rng.uniform([[0.10], [0.30]], [[0.20], [0.45]], (2, 2))
        self._phase = rng.uniform(0, 2 * math.pi, (2, 2))

    def furnish(self, spec: Any) -> None:
        """See ``ArmTask.furnish``."""
        ball = spec.worldbody.add_body(name="ball", mocap=True)
        ball.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[RADIUS, 0, 0], rgba=opaque(SIGNAL))

    def move(self, time: float) -> None:
        """See ``ArmTask.move``."""
        self.data.mocap_pos[0] = self._ball(time, 0) + [0, 0, self.table + RADIUS]

    def goal(self) -> Goal:
        """See ``ArmTask.goal``."""
        place = self._ball(self.time, 0) + [0, 0, self.table + RADIUS + HOVER]
        return Goal(place, self._ball(self.time, 1), self._ball(self.time, 2), UP, 0.0)

    def restart(self) -> None:
        """See ``ArmTask.restart``."""
        self._squares, self._count, self._most = 0.0, 0, 0.0

    def watch(self, truth: ArmTruth) -> None:
        """See ``ArmTask.watch``."""
        if self.time >= self.scored:
            error = math.dist(truth.tool, self.goal().place)
            self._squares, self._count, self._most = self._squares + error**2, self._count + 1, max(self._most, error)

    def score(self) -> dict[str, float]:
        """Error of the tool's place from ``scored`` on."""
        rms = math.sqrt(self._squares / self._count) if self._count else math.nan
        return {"tracking_rms_m": rms, "tracking_most_m": self._most}

    def _ball(self, time: float, order: int) -> Floats:
        """(3,) the ball's place on the table, or its derivative of that order; z is 0."""
        angle = self._rate * time + self._phase + order * math.pi / 2
        x, y = (self._reach * self._rate**order * np.sin(angle)).sum(axis=0)
        here = CENTRE if order == 0 else (0.0, 0.0)
        return np.array([here[0] + x, here[1] + y, 0.0])
