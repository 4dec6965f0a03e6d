# SPDX-License-Identifier: Apache-2.0
"""Whether the car kept its limits of joint velocity, steering angle and speed, at every physics step."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.robot import STEER_JOINTS, Car

ROUNDING = 1e-9
"""Relative excess that is arithmetic."""


class Excess:
    """Largest relative excess over each limit since the start.

    Attributes:
        found: by limit, what it was exceeded by; those that were kept are not in it.
    """

    def __init__(self, car: Car, speed_max: float) -> None:
        """``speed_max`` [m/s]."""
        names = car.joint_names
        self._velocity = [car.limits[name].velocity for name in names]
        self._range = [(car.limits[name].lower, car.limits[name].upper) for name in STEER_JOINTS]
        self._speed_max = speed_max
        self._names = [f"velocity {name}" for name in names] + [f"position {name}" for name in STEER_JOINTS] + ["speed"]
        self.found: dict[str, float] = {}

    def look(self, velocities: Sequence[float], angles: Sequence[float], speed: float) -> None:
        """Take in the state after one physics step.

        Args:
            velocities: of every joint, in the order of ``car.joint_names`` [rad/s].
            angles: of the steering joints [rad].
            speed: of the car [m/s].
        """
        now = [abs(velocity) / most - 1 for velocity, most in zip(velocities, self._velocity, strict=True)]
        now += [
            max(angle - upper, lower - angle) / (upper - lower)
            for angle, (lower, upper) in zip(angles, self._range, strict=True)
        ]
        now.append(abs(speed) / self._speed_max - 1)
        if max(now) > ROUNDING:
            for name, value in zip(self._names, now, strict=True):
                if value > max(self.found.get(name, 0.0), ROUNDING):
                    self.found[name] = value
