# SPDX-License-Identifier: Apache-2.0
"""What the arm does when the policy is not followed: brake all joints, then stand, held against gravity."""

from __future__ import annotations

import numpy as np

from tidegate.records import Floats
from tidegate.robot.arm import Arm
from tidegate.safety.arm.barrier import ArmState


class ArmBackup:
    """Damped braking by the model: q̈ → −D q̇, within ±``acceleration``, changed by ``jerk`` at most; gravity is held.

    Zero torque would drop an arm. The promises of ``safety.motion`` are what says that these torques, M q̈ + bias, lie
    inside box and rate (``check_promises``); they are clipped to both all the same.
    """

    def __init__(self, arm: Arm) -> None:
        motion = arm.settings.safety.motion
        self._most = np.array(motion.acceleration)
        self._step = np.array(motion.jerk) / arm.settings.safety.rate_hz
        self._damping = arm.settings.safety.filter.stop_damping

    def __call__(self, state: ArmState) -> Floats:
        """Torques (N,) [N·m], inside the window of ``state``."""
        target = np.minimum(np.maximum(-self._damping * state.velocity, -self._most), self._most)
        change = np.minimum(np.maximum(target - state.acceleration, -self._step), self._step)
        torque = state.motion.mass @ (state.acceleration + change) + state.motion.bias
        return np.minimum(np.maximum(torque, state.low), state.high)
