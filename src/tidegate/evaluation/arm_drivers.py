# SPDX-License-Identifier: Apache-2.0
"""Who asks for an arm's torques: the expert at every period, or its wishes for the tool at a camera's rate."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from tidegate.records import Floats
from tidegate.robot.task_space import ToolWish
from tidegate.robot.tool_law import FOLLOW, ToolLaw
from tidegate.simulation.arm import ArmTask, ArmTruth, Expert
from tidegate.simulation.arm.teacher import Teacher

RATE_HZ, LATENCY_S = 20.0, 0.02
"""Of the pictures that a policy would see [1/s], and from a picture to what is asked for because of it [s]."""


class TeacherDriver:
    """What a policy could do at best that asks by ``ToolWish``: it sees the truth, but at a camera's rate and latency,
    and its wishes become torques by the robot's own model, from joints as they are measured."""

    def __init__(self, scene: ArmTask) -> None:
        rate, limits = scene.settings.safety.rate_hz, scene.settings.safety.limits
        self._law = ToolLaw(scene.arm, scene.start)
        self._teacher = Teacher(scene, LATENCY_S + 0.5 / RATE_HZ + 1 / FOLLOW)
        self._every, self._latency = round(rate / RATE_HZ), round(rate * LATENCY_S)
        self._errors = limits.position_error, limits.velocity_error
        self._rng = np.random.default_rng([scene.seed, 34])
        self._waiting: deque[tuple[int, ToolWish]] = deque()
        self._wish, self._tick = ToolWish(np.zeros(3)), 0

    def act(self, truth: ArmTruth) -> Floats:
        """Torques (N,) [N·m] for now; one call per tick of the filter."""
        if self._tick % self._every == 0:
            self._waiting.append((self._tick + self._latency, self._teacher.wish(truth)))
        if self._waiting and self._waiting[0][0] <= self._tick:
            self._wish = self._waiting.popleft()[1]
        self._tick += 1
        wrong = [error * self._rng.uniform(-1, 1, len(truth.position)) for error in self._errors]
        return self._law(truth.position + wrong[0], truth.velocity + wrong[1], self._wish, truth.force)


DRIVERS: dict[str, Callable[[ArmTask], Callable[[ArmTruth], Floats]]] = {
    "expert": lambda scene: Expert(scene).act,
    "teacher": lambda scene: TeacherDriver(scene).act,
}
"""By name; each makes what asks for torques in a scene."""
