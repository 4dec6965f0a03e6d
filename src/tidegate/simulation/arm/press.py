# SPDX-License-Identifier: Apache-2.0
"""Press: a pad of unknown stiffness, tilted, and a force that changes with time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tidegate.records import Floats
from tidegate.robot.arm import surface_normal
from tidegate.simulation.arm.furniture import SIGNAL, opaque
from tidegate.simulation.arm.surface import Plane, Surface
from tidegate.simulation.arm.task import ARM_SCENES, ArmTask, Bound, Goal
from tidegate.simulation.arm.world import ArmTruth
from tidegate.simulation.engine import mujoco

CENTRE = np.array([0.51, 0.0, 0.25])
"""Of the pad's top [m]."""
TILT = 0.12
"""Most [rad]."""
SOFTEST = 2000.0
"""Least stiffness [N/m]; the most is what the settings say."""
HALF = (0.07, 0.07, 0.02)


@ARM_SCENES.register("press")
class Press(ArmTask):
    """The stiffness is drawn between ``SOFTEST`` and what the filter was told; the wanted force is told."""

    name, seconds, scored = "press", 5.0, 2.0
    passing = (Bound("force_share", most=0.1),)

    def draw(self, rng: np.random.Generator) -> None:
        """See ``ArmTask.draw``."""
        tilt, way = TILT * math.sqrt(rng.uniform()), rng.uniform(0, 2 * math.pi)
        slope = math.sin(tilt)
        normal = np.array([slope * math.cos(way), slope * math.sin(way), math.cos(tilt)])
        told = self.settings.safety.surface.stiffness
        self.stiffness = float(np.exp(rng.uniform(math.log(min(SOFTEST, told)), math.log(told))))
        self._mean, self._swing = rng.uniform(6.0, 9.0), rng.uniform(0.0, 2.0)
        self._rate, self._phase = 2 * math.pi * rng.uniform(0.2, 0.5), rng.uniform(0, 2 * math.pi)
        self.tell("surface", enabled=True, clearance=0.0, normal=tuple(normal.tolist()), offset=float(normal @ CENTRE))

    def surface(self) -> Surface:
        """See ``ArmTask.surface``."""
        told = self.settings.safety.surface
        damping = self.settings.simulator.surface_damping
        return Plane(self.stiffness, damping, surface_normal(self.settings), told.offset)

    def furnish(self, spec: Any) -> None:
        """See ``ArmTask.furnish``."""
        normal = surface_normal(self.settings)
        pad = spec.worldbody.add_body(name="pad", pos=CENTRE - HALF[2] * normal, quat=_turned(normal))
        pad.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=HALF, rgba=opaque((0.25, 0.45, 0.62)))
        disc = mujoco.mjtGeom.mjGEOM_CYLINDER
        pad.add_geom(type=disc, size=[0.02, 0.0005, 0], pos=[0, 0, HALF[2]], rgba=opaque(SIGNAL))

    def wanted(self, time: float) -> float:
        """Force [N] at ``time`` [s]."""
        return float(self._mean + self._swing * math.sin(self._rate * time + self._phase))

    def goal(self) -> Goal:
        """See ``ArmTask.goal``."""
        still = np.zeros(3)
        return Goal(CENTRE, still, still, surface_normal(self.settings), self.wanted(self.time))

    def restart(self) -> None:
        """See ``ArmTask.restart``."""
        self._squares, self._wanted, self._count = 0.0, 0.0, 0

    def watch(self, truth: ArmTruth) -> None:
        """See ``ArmTask.watch``."""
        if self.time >= self.scored:
            wanted = self.wanted(self.time)
            self._squares += (truth.force - wanted) ** 2
            self._wanted, self._count = self._wanted + wanted**2, self._count + 1

    def score(self) -> dict[str, float]:
        """Error of the force from ``scored`` on, and as a share of the wanted force's rms."""
        if not self._count:
            return {"force_rms_n": math.nan, "force_share": math.nan}
        return {
            "force_rms_n": math.sqrt(self._squares / self._count),
            "force_share": math.sqrt(self._squares / self._wanted),
        }


def _turned(normal: Floats) -> list[float]:
    """Quaternion (4,) that turns z to ``normal``, the shortest way."""
    made = np.array([1 + normal[2], -normal[1], normal[0], 0.0])
    quaternion: list[float] = (made / np.linalg.norm(made)).tolist()
    return quaternion
