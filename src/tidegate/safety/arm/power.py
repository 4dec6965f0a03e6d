# SPDX-License-Identifier: Apache-2.0
"""The mechanical power of all joints, and what of it must be left for braking."""

from __future__ import annotations

import numpy as np

from tidegate.records import Floats
from tidegate.robot.arm import Arm
from tidegate.robot.dynamics import Motion
from tidegate.safety.arm.barrier import ArmBarrier, ArmPriority, ArmRows, ArmState, arm_barriers
from tidegate.safety.arm.viability import speed_bound

SIDES = np.array([1.0, -1.0])
"""Power into the arm, and out of it."""


def power_demand(motion: Motion, velocity: Floats, acceleration: Floats) -> tuple[Floats, Floats]:
    """Largest power that a joint acceleration within ±``acceleration`` (N,) [rad/s²] can take at ``velocity`` (N,).

    τ·q̇ = (M q̇)·q̈ + b·q̇, so that w± = Σ_i |M q̇|_i A_i ± b·q̇, into the arm and out of it. |x| is √(x² + ε²) here, never
    less, so that the gradient does not jump; ε is what x gains in a millisecond.

    Returns:
        w (2,) [W], and its gradient by q̇ (2, N), with b taken as constant.
    """
    momentum = motion.mass @ velocity
    size = np.hypot(momentum, 1e-3 * (motion.mass @ acceleration))
    slope = motion.mass @ (acceleration * momentum / size)
    return size @ acceleration + SIDES * float(motion.bias @ velocity), slope + np.outer(SIDES, motion.bias)


@arm_barriers.register("power")
class Power(ArmBarrier):
    """Power into the arm and out of it.

    h = P_max − max(|τ·q̇|, w), relative degree 0 and 1. |τ·q̇| ≤ P_max − m, with m what q̇ gains while τ is held, times
    the torque; and in discrete time, as ``velocity``, w ≤ P_max − m: w is the most that any acceleration within
    ±``acceleration`` takes (``power_demand``), so that whatever other rows ask for can be had. ẇ = (∂w/∂q̇)·q̈ + drift.
    Trusted inputs: joint positions and velocities.
    Guarantee: |τ·q̇| ≤ P_max at all times, between the samples too; braking needs no more.
    Assumption: the promises of ``safety.motion``; w changes by no more than ``power_drift`` beyond its gradient.
    """

    name = "power"
    priority = ArmPriority.POWER

    def __init__(self, arm: Arm) -> None:
        super().__init__(arm)
        limits, motion = arm.settings.safety.limits, arm.settings.safety.motion
        self._limit, self._drift = limits.power_max, limits.power_drift
        self._most = np.array(motion.acceleration)
        self._error = self._most - np.array(motion.braking)
        self._jerk = np.array(motion.jerk) - np.array(motion.drift)
        self._step = np.array(motion.jerk) * self.period
        self._damping = arm.settings.safety.filter.stop_damping
        self._velocity_error = limits.velocity_error

    def rows(self, state: ArmState) -> ArmRows:
        """See ``ArmBarrier.rows``."""
        velocity, now = state.velocity, state.acceleration
        gain = (np.abs(now) + self._step + self._error) * self.period + self._velocity_error
        limit = self._limit - float(np.maximum(-state.low, state.high) @ gain)
        reached = float(np.minimum(velocity * state.low, velocity * state.high).sum())  # least power of this tick
        most = float(np.maximum(velocity * state.low, velocity * state.high).sum())
        demand, slope = power_demand(state.motion, velocity, self._most)
        size = np.abs(slope)
        room = limit - demand - size.sum(axis=1) * self._velocity_error
        allowed = speed_bound(room, self.period, size @ self._jerk) - size @ self._error - self._drift
        target = np.minimum(np.maximum(-self._damping * velocity, -self._most), self._most)
        backup = now + np.minimum(np.maximum(target - now, -self._step), self._step)
        lower = slope @ state.free - np.maximum(allowed, slope @ backup)
        matrix = np.concatenate((-velocity[None], velocity[None], -(slope @ state.motion.inverse)))
        lower = np.concatenate((np.minimum(-limit, (-reached, most)), lower))
        h = self._limit - max(abs(float(state.torque @ velocity)), float(demand.max()))
        return ArmRows(matrix, lower, h)
