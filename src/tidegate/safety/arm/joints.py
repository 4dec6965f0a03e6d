# SPDX-License-Identifier: Apache-2.0
"""Barriers of the joints: acceleration, velocity, position; each two rows per joint, towards its upper and lower end.

q̈ = M⁻¹(τ − bias) is affine in τ, so "q̈_i at most that" is a row. The true q̈_i may differ from the model's by
e_i = ``acceleration`` − ``braking`` of the settings' promises: payload, torque balance, and drift while τ is held.
The backup takes a joint's acceleration to −``acceleration`` at ``jerk``; the model's error leaves at least ``braking``
of it and its drift ``jerk`` − ``drift``.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import numpy as np

from tidegate.records import Floats
from tidegate.robot.arm import Arm, surface_normal
from tidegate.safety.arm.barrier import (
    LIGHTEST,
    ArmBarrier,
    ArmPriority,
    ArmRows,
    ArmState,
    Carried,
    arm_barriers,
    lowest,
    toward,
)
from tidegate.safety.arm.viability import SpeedBounds, StopBounds, stop_delay


def both(array: Floats) -> Floats:
    """(2N,): towards the upper ends, then towards the lower ones, of what is the same either way."""
    return np.concatenate((array, array))


class JointBarrier(ArmBarrier):
    """Rows q̈_i ≤ bound and −q̈_i ≤ bound; a bound is never below what the backup reaches in this period."""

    contact: ClassVar[bool] = False
    """Whether the rows must hold for the arm against the surface as well."""

    def __init__(self, arm: Arm) -> None:
        super().__init__(arm)
        motion = arm.settings.safety.motion
        self._most = both(np.array(motion.acceleration))
        self._least = -self._most
        self._step = both(np.array(motion.jerk)) * self.period
        self._normal, self._identity = surface_normal(arm.settings), np.eye(len(arm.joint_names))
        surface, self._limits = arm.settings.safety.surface, arm.settings.safety.limits
        self._touched = surface.offset if surface.enabled else -math.inf

    @abstractmethod
    def bound(self, state: ArmState) -> tuple[Floats, float]:
        """Largest acceleration (2N,) [rad/s²] by the model, towards the upper ends, then the lower; and h."""

    def rows(self, state: ArmState) -> ArmRows:
        """See ``ArmBarrier.rows``."""
        bound, h = self.bound(state)
        matrix, lower = state.matrix, self._lower(bound, state.free_toward, state.now_toward)
        if self.contact and self._touches(state):
            if state.carried is None:
                state.carried = self._carried(state)
            matrix, free, now = state.carried
            lower = np.concatenate((lower, self._lower(bound, free, now)))
        return ArmRows(matrix, lower, h)

    def _lower(self, bound: Floats, free: Floats, now: Floats) -> Floats:
        """Lower ends (2N,) of rows on an acceleration that is ``free`` without torque and ``now`` with the last."""
        lower: Floats = free - np.maximum(bound, np.maximum(now - self._step, self._least))
        return lower

    def _touches(self, state: ArmState) -> bool:
        """Whether the tool point may be as low as the surface."""
        return lowest(state, self._normal, self._limits) <= self._touched

    def _carried(self, state: ArmState) -> Carried:
        """On a rigid surface q̈ is P q̈_free − p, for the tool point has no acceleration along n."""
        motion = state.motion
        along = self._normal.dot(motion.jacobian)
        push = motion.inverse.dot(along)
        push /= max(float(along.dot(push)), LIGHTEST)
        held, left = self._identity - push[:, None] * along, push * float(self._normal.dot(motion.drift))
        inverse = held.dot(motion.inverse)
        free, now = held.dot(state.free) - left, held.dot(state.acceleration) - left
        return Carried(np.concatenate((state.matrix, -inverse, inverse)), toward(free), toward(now))


@arm_barriers.register("acceleration")
class Acceleration(JointBarrier):
    """The joints' acceleration.

    h = min over joints of A_i − |q̈_i|, relative degree 0: |q̈_i(τ)| ≤ A_i.
    Trusted inputs: joint positions and velocities, for the model.
    Guarantee: |q̈_i| ≤ A_i by the model without contact, at each sample.
    Assumption: the promises of ``safety.motion``, on which all other rows count.
    """

    name = "acceleration"
    priority = ArmPriority.ACCELERATION

    def bound(self, state: ArmState) -> tuple[Floats, float]:
        """See ``JointBarrier.bound``."""
        return self._most, min((self._most - state.now_toward).tolist())


class Foreseen(JointBarrier):
    """Joint rows that count on the promised braking, whatever the model's error; velocities that are older go astray by
    it, and positions.

    Where the tool may touch the surface they hold twice, for the free arm and for one that a rigid surface carries: a
    surface that pushes with anything from nothing to the static force leaves an acceleration between the two.
    """

    contact = True

    def __init__(self, arm: Arm) -> None:
        super().__init__(arm)
        motion, limits = arm.settings.safety.motion, arm.settings.safety.limits
        self._braking = both(np.array(motion.braking))
        self._error = self._most - self._braking
        self._jerk = both(np.array(motion.jerk) - np.array(motion.drift))
        self._position_error, self._velocity_error = limits.position_error, limits.velocity_error


@arm_barriers.register("velocity")
class Velocity(Foreseen):
    """The joints' velocity limits.

    h = min over joints of q̇_max − |q̇|, relative degree 1, in discrete time: q̇ + T a + a₊²/(2 j) ≤ q̇_max − ε with
    a = q̈(τ) + e, for the acceleration comes off at the rate j and no faster.
    Trusted inputs: joint positions and velocities.
    Guarantee: |q̇_i| ≤ q̇_max at all times, between the samples too.
    Assumption: the promises of ``safety.motion``; measured velocities err by at most ε = ``velocity_error``; nothing
    but the torques and the payload pushes the arm.
    """

    name = "velocity"
    priority = ArmPriority.VELOCITY

    def __init__(self, arm: Arm) -> None:
        super().__init__(arm)
        self._fastest = both(arm.velocity) - self._velocity_error
        self._allowed = SpeedBounds(self.period, self._jerk)

    def bound(self, state: ArmState) -> tuple[Floats, float]:
        """See ``JointBarrier.bound``."""
        room = self._fastest - state.velocity_toward - self._error * state.age
        return self._allowed(room) - self._error, min(room.tolist())


@arm_barriers.register("position")
class Position(Foreseen):
    """The joints' position limits, by the braking parabola.

    h = min over joints of (q_max − q) − q̇₊²/(2 b), relative degree 2, in discrete time: with a = q̈(τ) + e held for the
    delay d (period and ramp of the brakes) and then braking with b, the joint stops before q_max − ε. Nothing in it
    vanishes at rest: it bounds the acceleration of a standing joint as well.
    Trusted inputs: joint positions and velocities.
    Guarantee: q_min ≤ q ≤ q_max at all times.
    Assumption: as of ``velocity``; measured positions err by at most ε = ``position_error``; the arm was engaged where
    the backup stops it inside.
    """

    name = "position"
    priority = ArmPriority.POSITION

    def __init__(self, arm: Arm) -> None:
        super().__init__(arm)
        self._ends = np.concatenate((arm.upper, -arm.lower)) - self._position_error
        self._twice, self._standing = 2 * self._braking, np.zeros(len(self._braking))
        self._margin = np.full(len(self._braking), self._velocity_error)
        delay = stop_delay(self.period, self._most + self._error + self._braking, self._jerk)
        self._allowed = StopBounds(delay, self._braking)

    def bound(self, state: ArmState) -> tuple[Floats, float]:
        """See ``JointBarrier.bound``."""
        astray = self._error * state.age
        gap = self._ends - state.position_toward - astray * (state.age / 2)
        speed = state.velocity_toward + self._margin + astray
        way = np.square(np.maximum(speed, self._standing)) / self._twice
        return self._allowed(gap, speed) - self._error, min((gap - way).tolist())
