# SPDX-License-Identifier: Apache-2.0
"""Torques for an arm of which somebody asks by ``ToolAim``, at a camera's rate and heard later: a policy's episode."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from tidegate.records import Floats
from tidegate.robot.arm import surface_normal
from tidegate.robot.task_space import ToolAim, ToolSenses
from tidegate.robot.tool_law import ToolLaw
from tidegate.simulation.arm.task import ArmTask
from tidegate.simulation.arm.teacher import Teacher
from tidegate.simulation.arm.world import ArmTruth

Ask = Callable[[ArmTruth, ToolSenses], ToolAim]
"""Called at each picture; what it gives is heard ``camera.latency_s`` later."""


class ToolDriver:
    """Turns what ``ask`` says into torques, by the robot's own model, from joints as they are measured."""

    def __init__(self, scene: ArmTask, ask: Ask) -> None:
        safety = scene.settings.safety
        self._scene, self._ask, self._law = scene, ask, ToolLaw(scene.arm, scene.start)
        self._normal, self._offset = surface_normal(scene.settings), safety.surface.offset
        camera = scene.settings.camera
        self._every = round(safety.rate_hz / camera.rate_hz)
        self._latency = round(safety.rate_hz * camera.latency_s)
        self._errors = safety.limits.position_error, safety.limits.velocity_error
        self._rng = np.random.default_rng([scene.seed, 34])
        self._waiting: deque[tuple[int, ToolAim]] = deque()
        self._aim: ToolAim | None = None
        self._tick = 0

    def act(self, truth: ArmTruth) -> Floats:
        """Torques (N,) [N·m] for now, of joints that are measured as wrong as they may be, anew each time."""
        wrong = [error * self._rng.uniform(-1, 1, len(truth.position)) for error in self._errors]
        return self.torque(truth, truth.position + wrong[0], truth.velocity + wrong[1])

    def torque(self, truth: ArmTruth, position: Floats, velocity: Floats) -> Floats:
        """Torques (N,) [N·m] for joints (N,) as they are measured [rad], [rad/s]; one call per tick of the filter."""
        if self._tick % self._every == 0:
            aim = self._ask(truth, self._senses(truth, position, velocity))
            self._waiting.append((self._tick + self._latency, aim))
        if self._waiting and self._waiting[0][0] <= self._tick:
            self._aim = self._waiting.popleft()[1]
        self._tick += 1
        aim = ToolAim(self._law.place) if self._aim is None else self._aim
        return self._law(position, velocity, aim, truth.force)

    def _senses(self, truth: ArmTruth, position: Floats, velocity: Floats) -> ToolSenses:
        self._law.terms(position, velocity)
        height = float(self._normal @ self._law.place) - self._offset
        return ToolSenses(self._law.place, self._law.velocity, truth.force, self._scene.goal().force, height)


def teacher_of(scene: ArmTask) -> Teacher:
    """The one whose aims are lessons for who asks so: it looks ahead by the latency and half a period."""
    camera = scene.settings.camera
    return Teacher(scene, camera.latency_s + 0.5 / camera.rate_hz)
