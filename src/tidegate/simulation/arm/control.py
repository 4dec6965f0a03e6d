# SPDX-License-Identifier: Apache-2.0
"""The torques of ``robot.task_space`` by the scene's own masses."""

from __future__ import annotations

from typing import Any

import numpy as np

from tidegate.records import Floats
from tidegate.robot.task_space import ToolTerms, tool_torque
from tidegate.simulation.arm.world import ArmScene
from tidegate.simulation.engine import mujoco


class ToolControl:
    """Inverse dynamics of one scene's model, payload included.

    Attributes:
        place, velocity: (3,) of the tool point at the state that was taken last [m], [m/s].
    """

    def __init__(self, scene: ArmScene, posture: Floats) -> None:
        """``posture`` (N,) [rad] is kept where the tool leaves it free."""
        self._model: Any = scene.model
        self._data: Any = mujoco.MjData(scene.model)
        self._site, self._posture = scene.model.site("tool").id, posture
        count = scene.model.nv
        self._mass = np.zeros((count, count))
        self._linear, self._angular, self._linear_rate, self._angular_rate = np.zeros((4, 3, count))
        self.place, self.velocity = np.zeros(3), np.zeros(3)

    def take(self, position: Floats, velocity: Floats) -> None:
        """Work out the terms at joint ``position`` (N,) [rad] and ``velocity`` (N,) [rad/s]."""
        model, data = self._model, self._data
        data.qpos[:], data.qvel[:] = position, velocity
        mujoco.mj_fwdPosition(model, data)
        mujoco.mj_fwdVelocity(model, data)
        mujoco.mj_fullM(model, data, self._mass)
        mujoco.mj_jacSite(model, data, self._linear, self._angular, self._site)
        body, place = model.site_bodyid[self._site], data.site_xpos[self._site]
        mujoco.mj_jacDot(model, data, self._linear_rate, self._angular_rate, place, body)
        self.place, self.velocity = place.copy(), self._linear @ data.qvel

    def torque(self, acceleration: Floats, normal: Floats, push: Floats) -> Floats:
        """Torques (N,) [N·m] at the state that was taken.

        Args:
            acceleration: (3,) wanted of the tool point [m/s²].
            normal: (3,) unit vector that the tool is to point against.
            push: (3,) force [N] on what it touches.
        """
        data = self._data
        terms = ToolTerms(
            data.qpos,
            data.qvel,
            self._mass,
            np.linalg.inv(self._mass),
            data.qfrc_bias - data.qfrc_passive,
            self._linear,
            self._angular,
            self._linear_rate @ data.qvel,
            self._angular_rate @ data.qvel,
            data.site_xmat[self._site].reshape(3, 3),
        )
        return tool_torque(terms, self._posture, acceleration, normal, push)

    def joint_torque(self, acceleration: Floats) -> Floats:
        """Torques (N,) [N·m] that give the joints ``acceleration`` (N,) [rad/s²], dry friction apart."""
        made: Floats = self._mass @ acceleration + self._data.qfrc_bias - self._data.qfrc_passive
        return made
