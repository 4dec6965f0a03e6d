# SPDX-License-Identifier: Apache-2.0
"""What the arm does when the policy is not followed: brake all joints, then stand, held against gravity."""

from __future__ import annotations

import numpy as np

from tidegate.records import Floats
from tidegate.robot.arm import Arm
from tidegate.safety.arm.barrier import ArmState

BACK = 0.25
"""K/D: how soon a joint is back where it is to stand; stiffer ones swing where ticks come late."""


class ArmBackup:
    """Damped braking by the model: q̈ → −D q̇, within ±``acceleration``, changed by ``jerk`` at most; gravity is held.

    Damping alone creeps under a load that the model does not know, by q̇ = δ/D, so a place to stand a can be given too:
    q̈ → −(D + K) q̇ − D K (q − a). With a = q + q̇/D, where braking with D ends, this is −D q̇ all the same.

    Zero torque would drop an arm. The promises of ``safety.motion`` are what says that these torques, M q̈ + bias, lie
    inside box and rate (``check_promises``); they are clipped to both all the same.
    """

    def __init__(self, arm: Arm) -> None:
        motion = arm.settings.safety.motion
        self._most = np.array(motion.acceleration)
        self._step = np.array(motion.jerk) / arm.settings.safety.rate_hz
        self._damping = arm.settings.safety.filter.stop_damping
        self._back = BACK * self._damping

    def __call__(self, state: ArmState, stand: Floats | None = None) -> Floats:
        """Torques (N,) [N·m], inside the window of ``state``; ``stand``: a (N,) [rad]."""
        wanted = -self._damping * state.velocity
        if stand is not None:
            wanted = wanted - self._back * (state.velocity + self._damping * (state.position - stand))
        target = np.minimum(np.maximum(wanted, -self._most), self._most)
        change = np.minimum(np.maximum(target - state.acceleration, -self._step), self._step)
        torque = state.motion.mass @ (state.acceleration + change) + state.motion.bias
        return np.minimum(np.maximum(torque, state.low), state.high)


class Stand:
    """Where each joint is to stand: where braking ends, and what pulls it away drags that along on a short leash.

    The leash is as long as the deceleration reaches, ``acceleration``/(D K): who pushes a held arm feels a force, not a
    spring. A joint that still brakes with all it has, faster than ``acceleration``/D, stands nowhere yet.
    """

    def __init__(self, arm: Arm) -> None:
        self._damping = arm.settings.safety.filter.stop_damping
        self._fast = np.array(arm.settings.safety.motion.acceleration) / self._damping
        self._leash = self._fast / (BACK * self._damping)
        self._place: Floats | None = None

    def __call__(self, state: ArmState) -> Floats:
        """a (N,) [rad] at this tick of a stop."""
        end = state.position + state.velocity / self._damping
        if self._place is None:
            self._place = end
        dragged = np.minimum(np.maximum(self._place, end - self._leash), end + self._leash)
        self._place = np.where(np.abs(state.velocity) > self._fast, end, dragged)
        return self._place

    def leave(self) -> None:
        """The arm is moved again."""
        self._place = None
