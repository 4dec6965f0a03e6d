# SPDX-License-Identifier: Apache-2.0
"""What a policy should ask of the tool at one moment: a function of what is, not of what was asked before."""

from __future__ import annotations

import numpy as np

from tidegate.robot.task_space import DRAW, ToolAim, ToolWish
from tidegate.simulation.arm.expert import CLOSE, SPEED, around
from tidegate.simulation.arm.task import ArmTask
from tidegate.simulation.arm.world import ArmTruth

PULL = DRAW
"""Wanted speed per distance to the goal [1/s]."""


class Teacher:
    """The expert for who asks some times a second and is heard later: it looks ``ahead`` [s], the goal moved on by its
    velocity and acceleration, the tool by its velocity. Its wish is a lesson in any state that a policy gets into."""

    def __init__(self, scene: ArmTask, ahead: float) -> None:
        self._scene, self._ahead = scene, ahead

    def wish(self, truth: ArmTruth) -> ToolWish:
        """For now."""
        goal, ahead = self._scene.due(truth), self._ahead
        speed = goal.velocity + ahead * goal.acceleration
        place = goal.place + ahead * goal.velocity + ahead**2 / 2 * goal.acceleration
        way = PULL * (place - truth.tool - ahead * truth.tool_velocity)
        way *= min(1.0, SPEED / max(float(np.linalg.norm(way)), 1e-9))
        pressing = goal.force > 0 and goal.normal @ (truth.tool - goal.place) < CLOSE
        if pressing:
            way -= goal.normal * (goal.normal @ way)
        nearest = self._scene.nearest()
        wanted = way + speed if nearest is None else around(way + speed, nearest)
        return ToolWish(wanted, goal.force if pressing else 0.0)

    def aim(self, truth: ArmTruth) -> ToolAim:
        """The same as a place to be drawn to: that of the goal, and as far beyond it as its speed asks for."""
        wish = self.wish(truth)
        return ToolAim(truth.tool + self._ahead * truth.tool_velocity + wish.velocity / PULL, wish.push)
