# SPDX-License-Identifier: Apache-2.0
"""What a policy should ask of the tool at one moment: a function of what is, not of what was asked before."""

from __future__ import annotations

import numpy as np

from tidegate.records import Floats
from tidegate.robot.task_space import DRAW, ToolAim, ToolWish
from tidegate.simulation.arm.expert import CLOSE, SPEED, around
from tidegate.simulation.arm.task import ArmTask, Goal
from tidegate.simulation.arm.world import ArmTruth

PULL = DRAW
"""Wanted speed per distance to the goal [1/s]."""
WIDE = 0.09
"""Distance to keep from an obstacle [m]: more than the expert, for who learns it does it less exactly."""


class Teacher:
    """The expert for who asks some times a second and is heard later: it looks ``ahead`` [s], the goal moved on by its
    velocity and acceleration, the tool by its velocity. Its wish is a lesson in any state that a policy gets into."""

    def __init__(self, scene: ArmTask, ahead: float) -> None:
        self._scene, self._ahead = scene, ahead

    def wish(self, truth: ArmTruth) -> ToolWish:
        """For now."""
        goal, place, speed = self._to_come(truth)
        way = PULL * (place - truth.tool - self._ahead * truth.tool_velocity)
        way *= min(1.0, SPEED / max(float(np.linalg.norm(way)), 1e-9))
        pressing = self._presses(goal, truth)
        if pressing:
            way -= goal.normal * (goal.normal @ way)
        nearest = self._scene.nearest()
        wanted = way + speed if nearest is None else around(way + speed, nearest, WIDE)
        return ToolWish(wanted, goal.force if pressing else 0.0)

    def aim(self, truth: ArmTruth) -> ToolAim:
        """As a place to be drawn to: the goal's, and as far beyond it as its speed asks for, wherever the tool is.
        Where something is in the way, a place near the tool that draws it as ``wish`` says."""
        if self._scene.nearest() is not None:
            wish = self.wish(truth)
            return ToolAim(truth.tool + self._ahead * truth.tool_velocity + wish.velocity / PULL, wish.push)
        goal, place, speed = self._to_come(truth)
        return ToolAim(place + speed / PULL, goal.force if self._presses(goal, truth) else 0.0)

    def _to_come(self, truth: ArmTruth) -> tuple[Goal, Floats, Floats]:
        """The goal; where it will be and how fast (3,) each."""
        goal, ahead = self._scene.due(truth), self._ahead
        place = goal.place + ahead * goal.velocity + ahead**2 / 2 * goal.acceleration
        return goal, place, goal.velocity + ahead * goal.acceleration

    @staticmethod
    def _presses(goal: Goal, truth: ArmTruth) -> bool:
        return goal.force > 0 and float(goal.normal @ (truth.tool - goal.place)) < CLOSE
