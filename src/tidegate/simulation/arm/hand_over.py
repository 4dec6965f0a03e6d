# SPDX-License-Identifier: Apache-2.0
"""Hand-over: bring something to a hand while something else moves in between."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tidegate.records import Floats
from tidegate.settings.arm import ArmSettings
from tidegate.simulation.arm.furniture import SIGNAL, SKIN, SLEEVE, STEEL, opaque
from tidegate.simulation.arm.task import ARM_SCENES, ELBOW_UP, ArmTask, Bound, Goal, Nearest
from tidegate.simulation.arm.world import ArmTruth
from tidegate.simulation.engine import mujoco

OBSTACLE = 0.05
"""Radius of the knob [m]."""
TURN = 0.65
"""The arm begins turned so far away from the middle [rad]."""
NEAR, SLOW = 0.02, 0.10
"""Handed over where the tool is within so much of its place [m] and slower than this [m/s]."""
FAR = 0.6
"""Beyond this it is not told how far the obstacle is [m]."""
UP = np.array([0.0, 0.0, 1.0])


@ARM_SCENES.register("hand_over")
class HandOver(ArmTask):
    """A hand waits on the other side of the table, and a knob on a post goes to and fro across the way."""

    name, seconds, scored = "hand_over", 4.0, 0.0
    passing = (Bound("distance_least_m", least=0.02), Bound("handed_over_s", most=4.0))
    table = 0.25

    def __init__(self, settings: ArmSettings, seed: int, payload: float | None = None) -> None:
        super().__init__(settings, seed, payload)
        self._things = [self.model.geom(name).id for name in ("obstacle", "post")]
        body = self.model.geom_bodyid
        self._shapes = np.flatnonzero((self.model.body_weldid[body] > 0) & (self.model.body_mocapid[body] < 0)).tolist()

    def draw(self, rng: np.random.Generator) -> None:
        """See ``ArmTask.draw``."""
        side = float(rng.choice((-1.0, 1.0)))
        self.start = np.array(ELBOW_UP)
        self.start[0] = side * TURN
        self.place_wanted = np.array(
            [rng.uniform(0.38, 0.46), -side * rng.uniform(0.28, 0.36), rng.uniform(0.40, 0.50)]
        )
        way = np.array([1.0, rng.uniform(-0.4, 0.4), 0.0])
        self._middle = np.array([rng.uniform(0.42, 0.50), rng.uniform(-0.08, 0.08), rng.uniform(0.36, 0.44)])
        self._swing = rng.uniform(0.10, 0.16) * way / np.linalg.norm(way)
        self._rate = 2 * math.pi * rng.uniform(0.2, 0.35)
        # across the straight way at about the time at which the tool would be there
        self._phase = float(rng.choice((0.0, math.pi)) - self._rate * rng.uniform(0.5, 1.1))

    def furnish(self, spec: Any) -> None:
        """See ``ArmTask.furnish``."""
        capsule, sphere = mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_SPHERE
        cube, down = mujoco.mjtGeom.mjGEOM_BOX, -0.035
        spec.body("tool").add_geom(
            name="carried", type=cube, size=[0.02, 0.02, 0.02], pos=[0, 0, 0.012], rgba=opaque(SIGNAL), mass=0
        )
        side = math.copysign(1.0, self.place_wanted[1])
        hand = spec.worldbody.add_body(name="hand", pos=self.place_wanted + [0, 0, down - 0.02])
        hand.add_geom(type=mujoco.mjtGeom.mjGEOM_ELLIPSOID, size=[0.045, 0.055, 0.016], rgba=opaque(SKIN))
        for finger in range(4):
            x = 0.024 * (finger - 1.5)
            bent = [x, -side * 0.035, 0, 1.15 * x, -side * 0.095, 0.016]
            hand.add_geom(type=capsule, size=[0.0105, 0, 0], fromto=bent, rgba=opaque(SKIN))
        hand.add_geom(
            type=capsule, size=[0.012, 0, 0], fromto=[0.035, 0, 0, 0.065, -side * 0.03, 0.02], rgba=opaque(SKIN)
        )
        arm = [0, side * 0.05, 0, 0.10, side * 0.36, -0.12]
        hand.add_geom(type=capsule, size=[0.036, 0, 0], fromto=arm, rgba=opaque(SLEEVE))
        thing = spec.worldbody.add_body(name="obstacle", mocap=True)
        thing.add_geom(name="obstacle", type=sphere, size=[OBSTACLE, 0, 0], rgba=opaque((0.75, 0.13, 0.16)))
        post = [0, 0, -OBSTACLE, 0, 0, self.table - self._middle[2]]
        thing.add_geom(name="post", type=capsule, size=[0.012, 0, 0], fromto=post, rgba=opaque(STEEL))

    def move(self, time: float) -> None:
        """See ``ArmTask.move``."""
        self.data.mocap_pos[0] = self._middle + self._swing * math.sin(self._rate * time + self._phase)

    def goal(self) -> Goal:
        """See ``ArmTask.goal``."""
        still = np.zeros(3)
        return Goal(self.place_wanted, still, still, UP, 0.0)

    def nearest(self) -> Nearest:
        """See ``ArmTask.nearest``: of all shapes of the arm and what it carries, to knob and post."""
        best, line, here = FAR, np.array([0.0, 0.0, -FAR, 0.0, 0.0, 0.0]), np.zeros(6)
        for thing in self._things:
            for shape in self._shapes:
                found = mujoco.mj_geomDistance(self.model, self.data, thing, shape, best, here)
                if found < best:
                    best, line = found, here.copy()
        away = (line[3:] - line[:3]) * math.copysign(1.0, best)
        rate = self._rate * math.cos(self._rate * self.time + self._phase)
        return Nearest(best, away / max(float(np.linalg.norm(away)), 1e-9), self._swing * rate)

    def sights(self) -> Floats:
        """See ``ArmTask.sights``."""
        return np.array([*self.place_wanted, 0.0, *self.data.mocap_pos[0]])

    def restart(self) -> None:
        """See ``ArmTask.restart``."""
        self._least, self._handed = math.inf, math.inf

    def watch(self, truth: ArmTruth) -> None:
        """See ``ArmTask.watch``."""
        self._least = min(self._least, self.nearest().distance)
        there = math.dist(truth.tool, self.place_wanted) <= NEAR and math.hypot(*truth.tool_velocity.tolist()) <= SLOW
        if there and math.isinf(self._handed):
            self._handed = self.time

    def score(self) -> dict[str, float]:
        """Least distance from arm to obstacle (negative: they touched), and when it was handed over (inf: not yet)."""
        return {"distance_least_m": self._least, "handed_over_s": self._handed}
