# SPDX-License-Identifier: Apache-2.0
"""The mechanical power of all joints."""

from __future__ import annotations

import numpy as np

from tidegate.records import Floats
from tidegate.robot.arm import Arm
from tidegate.safety.arm.barrier import ArmBarrier, ArmPriority, ArmRows, ArmState, arm_barriers


@arm_barriers.register("power")
class Power(ArmBarrier):
    """Power into the arm and out of it.

    h = P_max − |τ·q̇|, relative degree 0: |τ·w| ≤ P_max − margin for w = q̇ now and as it will be ``power_horizon_s``
    from now, since torques, and with them the power, come down at their rate. The margin is what q̇ gains while τ is
    held, times the torque.
    Trusted inputs: joint velocities.
    Guarantee: |τ·q̇| ≤ P_max, while position and velocity rows do not ask for more braking power: those go first.
    Assumption: |q̈| by model and error as promised; the horizon covers how long the torques need (tried, not proved).
    """

    name = "power"
    priority = ArmPriority.POWER

    def __init__(self, arm: Arm) -> None:
        super().__init__(arm)
        limits, motion = arm.settings.safety.limits, arm.settings.safety.motion
        self._most, self._horizon = limits.power_max, limits.power_horizon_s
        self._error = np.array(motion.acceleration) - np.array(motion.braking)
        self._step = np.array(motion.jerk) * self.period
        self._velocity_error = limits.velocity_error

    def rows(self, state: ArmState) -> ArmRows:
        """See ``ArmBarrier.rows``."""
        gain = np.abs(state.acceleration) + self._step + self._error
        torque = np.maximum(np.abs(state.low), np.abs(state.high))
        margin = float(torque @ (gain * self.period + self._velocity_error))
        soon = state.velocity + self._horizon * state.acceleration
        matrix = np.array([-state.velocity, state.velocity, -soon, soon])
        reached: Floats = (np.maximum(matrix, 0.0) @ state.high) + (np.minimum(matrix, 0.0) @ state.low)
        h = self._most - abs(float(state.torque @ state.velocity))
        return ArmRows(matrix, np.minimum(margin - self._most, reached), h)
