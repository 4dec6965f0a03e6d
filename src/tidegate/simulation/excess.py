# SPDX-License-Identifier: Apache-2.0
"""Whether the car kept its limits of joint velocity, steering angle and speed, at every physics step."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.robot import Car

ROUNDING = 1e-9
"""Relative excess that is arithmetic."""


class Excess:
    """Largest relative excess over each limit since the start.

    Attributes:
        found: by limit, what it was exceeded by; those that were kept are not in it.
    """

    def __init__(self, car: Car, speed_max: float) -> None:
        """``speed_max`` [m/s]."""
        limits = car.limits
        velocities = [(f"velocity {name}", limits[name].velocity) for name in car.joint_names]
        self._limits = [(name, -most, most, most) for name, most in [*velocities, ("speed", speed_max)]]
        for name in car.steer_joints:
            low, high = limits[name].lower, limits[name].upper
            self._limits.append((f"position {name}", low, high, high - low))
        self.found: dict[str, float] = {}

    def look(self, velocities: Sequence[float], angles: Sequence[float], speed: float) -> None:
        """Take in the state after one physics step.

        Args:
            velocities: of every joint, in the order of ``car.joint_names`` [rad/s].
            angles: of the steering joints [rad].
            speed: of the car [m/s].
        """
        for value, (name, low, high, unit) in zip((*velocities, speed, *angles), self._limits, strict=True):
            if not low <= value <= high:
                excess = max(value - high, low - value) / unit
                if excess > max(self.found.get(name, 0.0), ROUNDING):
                    self.found[name] = excess
