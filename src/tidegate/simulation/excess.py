# SPDX-License-Identifier: Apache-2.0
"""Whether the car kept its limits of joint velocity, steering angle and speed, at every physics step."""

from __future__ import annotations

from typing import Any

import numpy as np

from tidegate.robot import STEER_JOINTS, Car
from tidegate.simulation.engine import mujoco

ROUNDING = 1e-9
"""Relative excess that is arithmetic."""


class Excess:
    """Largest relative excess over each limit since the start.

    Attributes:
        found: by limit, what it was exceeded by; those that were kept are not in it.
    """

    def __init__(self, car: Car, speed_max: float, model: Any) -> None:
        """Look up the joints of ``car`` in the MuJoCo ``model``; ``speed_max`` [m/s]."""
        names = car.joint_names
        self._dofs = np.array([model.joint(name).dofadr[0] for name in names])
        self._steering = np.array([model.joint(name).qposadr[0] for name in STEER_JOINTS])
        self._velocity = np.array([car.limits[name].velocity for name in names])
        self._lower = np.array([car.limits[name].lower for name in STEER_JOINTS])
        self._upper = np.array([car.limits[name].upper for name in STEER_JOINTS])
        self._speed_max = speed_max
        self._names = [f"velocity {name}" for name in names] + [f"position {name}" for name in STEER_JOINTS] + ["speed"]
        self._worst = np.full(len(self._names), -np.inf)
        self.found: dict[str, float] = {}

    def look(self, data: mujoco.MjData, speed: float) -> None:
        """Take in the state after one physics step; ``speed`` of the car [m/s]."""
        angles = data.qpos[self._steering]
        beyond = np.maximum(angles - self._upper, self._lower - angles) / (self._upper - self._lower)
        velocity = np.abs(data.qvel[self._dofs]) / self._velocity - 1
        now = np.concatenate((velocity, beyond, (abs(speed) / self._speed_max - 1,)))
        if (now > np.maximum(self._worst, ROUNDING)).any():
            self._worst = np.maximum(self._worst, now)
            self.found = {
                name: float(value) for name, value in zip(self._names, self._worst, strict=True) if value > ROUNDING
            }
