# SPDX-License-Identifier: Apache-2.0
"""Torques that accelerate the tool point as wanted, keep it upright and press, by the scene's own masses.

Operational space (Khatib, A unified approach for motion and force control of robot manipulators, IEEE J. Robotics and
Automation 3(1), 1987): place and direction of the tool are five numbers, the rest of the seven joints keeps a posture.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tidegate.records import Floats
from tidegate.simulation.arm.world import ArmScene
from tidegate.simulation.engine import mujoco

TURN_STIFFNESS, TURN_DAMPING = 225.0, 30.0
"""Of the tool's direction [1/s²], [1/s]."""
POSTURE_STIFFNESS, POSTURE_DAMPING = 25.0, 10.0
"""Of the joints, in what is left to them."""
REGULAR = 1e-4
"""Added to the five numbers' mobility [1/kg]: bounds the torques near singular poses."""


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
        speed = self._data.qvel
        axis = self._data.site_xmat[self._site].reshape(3, 3)
        across, pointing = axis[:, :2].T, axis[:, 2]
        turn = TURN_STIFFNESS * np.cross(pointing, -normal) - TURN_DAMPING * (self._angular @ speed)
        rows = np.concatenate((self._linear, across @ self._angular))
        wanted = np.concatenate(
            (acceleration - self._linear_rate @ speed, across @ (turn - self._angular_rate @ speed))
        )
        inverse = np.linalg.inv(self._mass)
        posture = POSTURE_STIFFNESS * (self._posture - self._data.qpos) - POSTURE_DAMPING * speed
        mobility = rows @ inverse @ rows.T + REGULAR * np.eye(len(rows))
        joints = posture + inverse @ rows.T @ np.linalg.solve(mobility, wanted - rows @ posture)
        made: Floats = self.joint_torque(joints) + self._linear.T @ push
        return made

    def joint_torque(self, acceleration: Floats) -> Floats:
        """Torques (N,) [N·m] that give the joints ``acceleration`` (N,) [rad/s²], dry friction apart."""
        made: Floats = self._mass @ acceleration + self._data.qfrc_bias - self._data.qfrc_passive
        return made
