# SPDX-License-Identifier: Apache-2.0
"""Barriers of the tool point: its speed; and with a surface, the force on it and how fast it may be touched."""

from __future__ import annotations

import math

import numpy as np

from tidegate.records import Floats
from tidegate.robot.arm import Arm, surface_normal
from tidegate.robot.car import GRAVITY
from tidegate.safety.arm.barrier import LIGHTEST, ArmBarrier, ArmPriority, ArmRows, ArmState, arm_barriers
from tidegate.safety.arm.viability import speed_bound, stop_bound, stop_delay

STILL = 1e-3
"""A slower tool has no direction [m/s]."""
ONES = np.ones(3)
BOX = 0.95, 0.22, 0.22
"""Half sides of a box in the ball of the tool's speeds, as shares of its radius: along, across, across."""


class ToolBarrier(ArmBarrier):
    """One row: the acceleration of the tool point against a direction x, −x·p̈ ≤ bound, with p̈ = J q̈ + J̇ q̇.

    The backup takes it to −``tool_braking`` at ``tool_jerk``, of which drift leaves ``tool_jerk`` − ``tool_drift``, and
    beyond the model's error e: a payload that is off by Δ pushes the tool point with (I/Δ ∓ J M⁻¹ Jᵀ)⁻¹ (p̈ − g), and
    the torque balance errs.
    """

    def __init__(self, arm: Arm) -> None:
        super().__init__(arm)
        self._limits = arm.settings.safety.limits
        self._step = self._limits.tool_jerk * self.period
        self._jerk = self._limits.tool_jerk - self._limits.tool_drift
        self._payload_error = arm.settings.arm.payload_error
        self._torque_error = np.array(arm.settings.arm.torque_error)
        self._unsure = np.full(len(self._torque_error), self._limits.velocity_error)

    def row(self, state: ArmState, away: Floats, allowed: float, h: float) -> ArmRows:
        """−x·p̈ ≤ ``allowed`` [m/s²], whatever the model's error, but no less than the backup reaches; x (3,) is
        ``away`` from the limit."""
        along = away.dot(state.reach)
        error = float(self._errors(state, away[None], along[None])[0])
        free, now = (-away.dot(state.tool)).tolist()
        return ArmRows(along[None], np.array((self._lower(free, now, allowed, error),)), h)

    def _lower(self, free: float, now: float, allowed: float, error: float) -> float:
        """Of a row, from the accelerations towards the limit without torque and now; ``error`` is e."""
        backup = max(now - self._step, -self._limits.tool_braking - error)
        return free - max(allowed - error, backup)

    def _errors(self, state: ArmState, away: Floats, along: Floats) -> Floats:
        """e (K,) [m/s²] against each direction x of ``away`` (K, 3); ``along`` (K, N) is x·J M⁻¹."""
        most = state.tool_size + GRAVITY + self._step + self._limits.tool_braking
        # the model's own payload is part of 1/mobility, so that this is below 1
        share = self._payload_error * state.mobility_most
        push = self._payload_error / (1 - share) * most
        pushed = away.dot(state.mobility)
        error: Floats = push * np.sqrt((pushed * pushed).dot(ONES)) + np.abs(along).dot(self._torque_error)
        return error


@arm_barriers.register("tool_speed")
class ToolSpeed(ToolBarrier):
    """The speed of the tool point.

    h = v_max − ‖ṗ‖, relative degree 1, in discrete time. Six rows keep ṗ inside a box in the ball of v_max, each as
    ``velocity``: along where ṗ goes once its acceleration is taken off, ṗ + p̈ ‖p̈‖/(2 j), and across. Along ṗ alone a
    slow tool could be accelerated across without bound, and turns within a few periods.
    Trusted inputs: joint positions and velocities.
    Guarantee: ‖ṗ‖ ≤ v_max.
    Assumption: the joints can brake the tool as ``tool_braking`` and ``tool_jerk`` say; their own limits go first.
    """

    name = "tool_speed"
    priority = ArmPriority.TOOL_SPEED

    def rows(self, state: ArmState) -> ArmRows:
        """See ``ArmBarrier.rows``."""
        limits, velocity = self._limits, state.motion.velocity
        later = velocity + state.tool[:, 1] * (state.tool_size / (2 * self._jerk))
        frame = _frame(later)
        along, speed = frame.dot(state.reach), frame.dot(velocity)
        unsure = np.abs(frame.dot(state.motion.jacobian)).dot(self._unsure)
        lower = []
        for (free, now), moving, error, model, share in zip(
            frame.dot(state.tool).tolist(),
            speed.tolist(),
            unsure.tolist(),
            self._errors(state, frame, along).tolist(),
            BOX,
            strict=True,
        ):
            for side in (1.0, -1.0):
                room = share * limits.tool_speed_max - side * moving - error
                allowed = speed_bound(room, self.period, self._jerk)
                lower.append(self._lower(side * free, side * now, allowed, model))
        h = limits.tool_speed_max - math.hypot(*velocity.tolist())
        return ArmRows(np.stack((-along, along), axis=1).reshape(6, -1), np.array(lower), h)


def _frame(direction: Floats) -> Floats:
    """Three unit vectors (3, 3), the first along ``direction`` (3,), where it has one."""
    size = math.hypot(*direction.tolist())
    first = direction / size if size > STILL else np.array((1.0, 0.0, 0.0))
    least = np.zeros(3)
    least[int(np.abs(first).argmin())] = 1.0
    second = _cross(first, least)
    second /= math.hypot(*second.tolist())
    return np.stack((first, second, _cross(first, second)))


def _cross(a: Floats, b: Floats) -> Floats:
    """np.cross takes ten times as long."""
    (x, y, z), (u, v, w) = a.tolist(), b.tolist()
    return np.array((y * w - z * v, z * u - x * w, x * v - y * u))


class SurfaceBarrier(ToolBarrier):
    """What the rows of the surface share; they need ``safety.surface.enabled``."""

    priority = ArmPriority.FORCE

    def __init__(self, arm: Arm) -> None:
        super().__init__(arm)
        self._surface, self._normal = arm.settings.safety.surface, surface_normal(arm.settings)

    def gap(self, state: ArmState) -> float:
        """From the tool point to where it must stop or may touch [m]."""
        return float(self._normal.dot(state.motion.position)) - self._surface.offset - self._surface.clearance

    def lightness(self, state: ArmState) -> float:
        """λ = n·J M⁻¹ Jᵀ n [1/kg], the inverse of the tool's effective mass along the normal."""
        return max(float(self._normal.dot(state.mobility).dot(self._normal)), 0.0)  # rounding may leave less


@arm_barriers.register("force")
class Force(SurfaceBarrier):
    """The force that the tool presses with.

    h = F_s − f, relative degree 0. Pressing without friction on a rigid surface, n·p̈ = 0 gives
    f = −(n·J M⁻¹ Jᵀ n)⁻¹ (n·J M⁻¹(τ − bias) + n·J̇ q̇), linear in τ (Featherstone 2008, ch. 11): f ≤ F_s − margin.
    Trusted inputs: joint positions and velocities, the surface's place.
    Guarantee: the static force is at most F_s = ``static_share`` · ``force_max``, once the blow of touching is over.
    Assumption: normal and place of the surface as told, no friction; torque balance and payload err as told. It is a
    static row: the blow is the matter of ``approach``.
    """

    name = "force"

    def __init__(self, arm: Arm) -> None:
        super().__init__(arm)
        self._most = self._surface.static_share * self._surface.force_max

    def rows(self, state: ArmState) -> ArmRows:
        """See ``ArmBarrier.rows``."""
        if not self._surface.enabled or self.gap(state) > self._surface.zone:
            return self.nothing()
        lightness = max(self.lightness(state), LIGHTEST)
        now = -float(self._normal.dot(state.tool[:, 1]))
        return self.row(state, self._normal, self._most * lightness, self._most - now / lightness)


@arm_barriers.register("approach")
class Approach(SurfaceBarrier):
    """How fast the tool may come near the surface; with a ``clearance``, that it stays off.

    h = min over the way of the allowed speed less −n·ṗ, relative degree 2, in discrete time. Touching with the speed v
    while pressing with F_s gives F_s + √(F_s² + k m v²) on a linear spring k, m = λ⁻¹: at most F_max for
    v ≤ c = F_max √(1 − 2 F_s/F_max)/√(k m). Either the tool can always be kept slower than c (as ``velocity``), or it
    can brake to c before it touches (as ``position``). With a clearance c is 0 and it stops before.
    Trusted inputs: joint positions and velocities, the surface's place.
    Guarantee: the tool touches with at most c, so that the peak is at most F_max; or does not touch.
    Assumption: stiffness at most k, place of the surface and tool point as told; the joints can brake the tool as
    ``tool_braking`` and ``tool_jerk`` say; another link does not touch.
    """

    name = "approach"

    def __init__(self, arm: Arm) -> None:
        super().__init__(arm)
        acceleration = arm.settings.safety.motion.acceleration
        self._most = np.array([(self._limits.velocity_error, most) for most in acceleration])  # of each joint
        share, surface = arm.settings.safety.surface.static_share, arm.settings.safety.surface
        self._blow = surface.force_max * math.sqrt((1 - 2 * share) / surface.stiffness)

    def rows(self, state: ArmState) -> ArmRows:
        """See ``ArmBarrier.rows``."""
        surface, limits = self._surface, self._limits
        if not surface.enabled:
            return self.nothing()
        motion = state.motion
        error, pushed = np.abs(self._normal.dot(motion.jacobian)).dot(self._most).tolist()
        speed = error - float(self._normal.dot(motion.velocity))
        gap = self.gap(state) - limits.tool_position_error
        touching = 0.0 if surface.clearance > 0 else self.touching(state)
        way = touching * touching / (2 * limits.tool_braking)
        most = pushed + abs(float(self._normal.dot(motion.drift)))
        delay = stop_delay(self.period, most + limits.tool_braking, self._jerk)
        left = gap if surface.clearance > 0 else max(gap, 0.0) + way
        allowed = stop_bound(left, speed, delay, limits.tool_braking)
        if touching > 0:
            allowed = max(allowed, speed_bound(touching - speed, self.period, self._jerk))
        return self.row(state, self._normal, allowed, math.sqrt(2 * limits.tool_braking * max(left, 0.0)) - speed)

    def touching(self, state: ArmState) -> float:
        """c [m/s], the speed with which the surface may be touched."""
        lightness = self.lightness(state)  # 0 where no joint moves the tool along the normal
        return self._blow * math.sqrt(lightness / (1 + lightness * self.settings.arm.payload_error))
