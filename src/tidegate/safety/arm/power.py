# SPDX-License-Identifier: Apache-2.0
"""The mechanical power of all joints, and what of it must be left for braking."""

from __future__ import annotations

import numpy as np

from tidegate.records import Floats
from tidegate.robot.arm import Arm
from tidegate.robot.dynamics import Motion
from tidegate.safety.arm.barrier import ArmBarrier, ArmPriority, ArmRows, ArmState, arm_barriers
from tidegate.safety.arm.viability import speed_bound


def power_demand(motion: Motion, velocity: Floats, acceleration: Floats) -> tuple[Floats, Floats]:
    """Largest power that a joint acceleration within ±``acceleration`` (N,) [rad/s²] can take at ``velocity`` (N,).

    τ·q̇ = (M q̇)·q̈ + b·q̇, so that w± = Σ_i |M q̇|_i A_i ± b·q̇, into the arm and out of it. |x| is √(x² + ε²) here, never
    less, so that the gradient does not jump; ε is what x gains in a millisecond.

    Returns:
        w (2,) [W], and its gradient by q̇ (2, N), with b taken as constant.
    """
    mass, bias = motion.mass, motion.bias
    momentum = mass.dot(velocity)
    size = np.hypot(momentum, 1e-3 * mass.dot(acceleration))
    slope = mass.dot(acceleration * momentum / size)
    both, side = float(size.dot(acceleration)), float(bias.dot(velocity))
    return np.array((both + side, both - side)), np.array((slope + bias, slope - bias))


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
        self._least = -self._most
        self._step = np.array(motion.jerk) * self.period
        self._brakes = np.full(len(self._most), -arm.settings.safety.filter.stop_damping)
        self._period = np.array(self.period)
        self._error = error = self._most - np.array(motion.braking)
        self._gain = (self._step + error) * self.period + limits.velocity_error
        jerk = np.array(motion.jerk) - np.array(motion.drift)
        self._rates = np.stack((jerk, error, np.full(len(jerk), limits.velocity_error)), axis=1)

    def rows(self, state: ArmState) -> ArmRows:
        """See ``ArmBarrier.rows``."""
        velocity, now, low, high = state.velocity, state.acceleration, state.low, state.high
        gained = np.abs(now) * self._period + self._gain + self._error * state.age
        limit = self._limit - float(np.maximum(-low, high).dot(gained))
        middle, reach = float(velocity.dot(low + high)) / 2, float(np.abs(velocity).dot(high - low)) / 2
        # no power row asks for more than all torques at their ends give
        lower = [min(-limit, reach - middle), min(-limit, reach + middle)]
        demand, slope = power_demand(state.motion, velocity, self._most)
        target = (self._brakes * velocity).clip(self._least, self._most)
        backup = target.clip(now - self._step, now + self._step)
        for taken, (jerk, error, still), free, least in zip(
            demand.tolist(),
            np.abs(slope).dot(self._rates).tolist(),
            slope.dot(state.free).tolist(),
            slope.dot(backup).tolist(),
            strict=True,
        ):
            room = limit - taken - still - error * state.age
            allowed = speed_bound(room, self.period, jerk) - error - self._drift
            lower.append(free - max(allowed, least))
        matrix = np.concatenate((state.velocity_toward.reshape(2, -1), slope.dot(state.motion.inverse)))
        h = self._limit - max(abs(float(state.torque.dot(velocity))), *demand.tolist())
        return ArmRows(-matrix, np.array(lower), h)
