# SPDX-License-Identifier: Apache-2.0
"""Barriers of the tool point: its speed; and with a surface, the force on it and how fast it may be touched."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tidegate.records import Floats
from tidegate.robot.arm import Arm, surface_normal
from tidegate.robot.car import GRAVITY
from tidegate.safety.arm.barrier import LIGHTEST, ArmBarrier, ArmPriority, ArmRows, ArmState, arm_barriers, lowest
from tidegate.safety.arm.viability import speed_bound, stop_bound, stop_delay

STILL = 1e-3
"""A slower tool has no direction [m/s]."""
BOX = 0.95, 0.22, 0.22
"""Half sides of a box in the ball of the tool's speeds, as shares of its radius: along, across, across."""
Vector = tuple[float, float, float]
NOW = -3
"""Column of ``ArmState.tool``."""


class Along(NamedTuple):
    """What the tool point does along a direction x, and how far that may err.

    ``mobility`` (3,) x·J M⁻¹ Jᵀ [1/kg]; acceleration ``free`` without torque and ``now`` [m/s²]; ``speed`` [m/s];
    ``drift`` x·J̇ q̇ [m/s²]. Errors: ``error`` of the acceleration [m/s²], ``unsure`` of the speed [m/s]; ``most``
    [m/s²], what the joints' accelerations can do.
    """

    mobility: Vector
    free: float
    now: float
    speed: float
    drift: float
    error: float
    unsure: float
    most: float


class ToolBarrier(ArmBarrier):
    """Rows on the acceleration of the tool point against a direction x, −x·p̈ ≤ bound, with p̈ = J q̈ + J̇ q̇.

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
        self._still = GRAVITY + self._step + self._limits.tool_braking
        self._joints = len(arm.effort)
        self._doubts = np.zeros((2 * self._joints, 3))  # of x·J M⁻¹, then x·J: the last fields of ``Along``
        self._doubts[: self._joints, 0] = arm.settings.arm.torque_error
        self._doubts[self._joints :, 1] = self._limits.velocity_error
        self._doubts[self._joints :, 2] = arm.settings.safety.motion.acceleration

    def along(self, state: ArmState, directions: Floats) -> tuple[Floats, list[Along]]:
        """x·J M⁻¹ (K, N) of each x of ``directions`` (K, 3), and what else there is to know."""
        seen = directions.dot(state.tool)
        # the model's own payload is part of 1/mobility, so that this share is below 1
        push = self._payload_error / (1 - self._payload_error * state.mobility_most) * (state.tool_size + self._still)
        told = []
        for (x, y, z, free, now, speed, drift), (balance, unsure, most) in zip(
            seen[:, 2 * self._joints :].tolist(),
            np.abs(seen[:, : 2 * self._joints]).dot(self._doubts).tolist(),
            strict=True,
        ):
            error = push * math.sqrt(x * x + y * y + z * z) + balance
            told.append(Along((x, y, z), free, now, speed, drift, error, unsure + error * state.age, most))
        return seen[:, : self._joints], told

    def lower(self, free: float, now: float, allowed: float, error: float) -> float:
        """Of the row −x·p̈ ≤ ``allowed`` [m/s²], whatever the model's ``error``, but no less than the backup reaches;
        from the accelerations towards the limit, −x·p̈, ``free`` and ``now``."""
        backup = max(now - self._step, -self._limits.tool_braking - error)
        return free - max(allowed - error, backup)


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
        limit, taken_off = self._limits.tool_speed_max, state.tool_size / (2 * self._jerk)
        now, velocity = state.tool[:, NOW].tolist(), state.motion.velocity.tolist()
        later = [speed + taken_off * acceleration for speed, acceleration in zip(velocity, now, strict=True)]
        reach, told = self.along(state, np.array(_frame(*later)))
        upper: list[float] = []
        lower: list[float] = []
        for one, share in zip(told, BOX, strict=True):
            room = share * limit - one.unsure
            for bounds, side in ((upper, 1.0), (lower, -1.0)):
                allowed = speed_bound(room - side * one.speed, self.period, self._jerk)
                bounds.append(self.lower(side * one.free, side * one.now, allowed, one.error))
        return ArmRows(np.concatenate((-reach, reach)), np.array(upper + lower), limit - math.hypot(*velocity))


def _frame(x: float, y: float, z: float) -> tuple[Vector, Vector, Vector]:
    """Three unit vectors, the first along (x, y, z), where that is a direction."""
    size = math.hypot(x, y, z)
    x, y, z = (x / size, y / size, z / size) if size > STILL else (1.0, 0.0, 0.0)
    # across it and across the axis that is farthest from it
    u, v, w = (0.0, z, -y) if abs(x) <= min(abs(y), abs(z)) else (-z, 0.0, x) if abs(y) <= abs(z) else (y, -x, 0.0)
    size = math.hypot(u, v, w)
    u, v, w = u / size, v / size, w / size
    return (x, y, z), (u, v, w), (y * w - z * v, z * u - x * w, x * v - y * u)


class SurfaceBarrier(ToolBarrier):
    """What the rows of the surface share; they need ``safety.surface.enabled``."""

    priority = ArmPriority.FORCE

    def __init__(self, arm: Arm) -> None:
        super().__init__(arm)
        self._surface, self._normal = arm.settings.safety.surface, surface_normal(arm.settings)
        self._away: Floats = self._normal[None]
        self._across: Vector = tuple(self._normal.tolist())

    def gap(self, state: ArmState) -> float:
        """From the tool point to where it must stop or may touch [m], at the least."""
        return lowest(state, self._normal, self._limits) - self._surface.offset - self._surface.clearance

    def lightness(self, along: Along) -> float:
        """λ = n·J M⁻¹ Jᵀ n [1/kg], the inverse of the tool's effective mass ``along`` the normal."""
        (x, y, z), (a, b, c) = along.mobility, self._across
        return max(x * a + y * b + z * c, 0.0)  # rounding may leave less

    def row(self, reach: Floats, along: Along, allowed: float, h: float) -> ArmRows:
        """−n·p̈ ≤ ``allowed`` [m/s²], of what is known ``along`` the normal."""
        return ArmRows(reach, np.array((self.lower(-along.free, -along.now, allowed, along.error),)), h)


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
        reach, (along,) = self.along(state, self._away)
        lightness = max(self.lightness(along), LIGHTEST)
        return self.row(reach, along, self._most * lightness, self._most + along.now / lightness)


@arm_barriers.register("approach")
class Approach(SurfaceBarrier):
    """How fast the tool may come near the surface; with a ``clearance``, that it stays off.

    h = min over the way of the allowed speed less −n·ṗ, relative degree 2, in discrete time. Touching with the speed v
    while pressing with F_s gives F_s + √(F_s² + k m v²) on a linear spring k, m = λ⁻¹: at most F_max for
    v ≤ c = F_max √(1 − 2 F_s/F_max)/√(k m). Either the tool can always be kept slower than c (as ``velocity``), or it
    can brake to c before it touches (as ``position``). With a clearance c is 0 and it stops before.
    Trusted inputs: joint positions and velocities, the surface's place.
    Guarantee: the tool touches with at most c, so that the peak is at most F_max; or does not touch.
    Assumption: stiffness at most k, place of the surface as told; joint positions err by ``position_error`` at most,
    the tool point by the model by ``tool_position_error`` besides; the joints can brake the tool as ``tool_braking``
    and ``tool_jerk`` say; another link does not touch.
    """

    name = "approach"

    def __init__(self, arm: Arm) -> None:
        super().__init__(arm)
        share, surface = arm.settings.safety.surface.static_share, arm.settings.safety.surface
        self._blow = surface.force_max * math.sqrt((1 - 2 * share) / surface.stiffness)

    def rows(self, state: ArmState) -> ArmRows:
        """See ``ArmBarrier.rows``."""
        surface, limits = self._surface, self._limits
        if not surface.enabled:
            return self.nothing()
        reach, (along,) = self.along(state, self._away)
        speed = along.unsure - along.speed
        gap = self.gap(state) - along.error * state.age * state.age / 2
        touching = 0.0 if surface.clearance > 0 else self.touching(along)
        way = touching * touching / (2 * limits.tool_braking)
        change = along.most + abs(along.drift) + limits.tool_braking
        delay = stop_delay(self.period, change, self._jerk)
        left = gap if surface.clearance > 0 else max(gap, 0.0) + way
        allowed = stop_bound(left, speed, delay, limits.tool_braking)
        if touching > 0:
            allowed = max(allowed, speed_bound(touching - speed, self.period, self._jerk))
        return self.row(reach, along, allowed, math.sqrt(2 * limits.tool_braking * max(left, 0.0)) - speed)

    def touching(self, along: Along) -> float:
        """c [m/s], the speed with which the surface may be touched."""
        lightness = self.lightness(along)  # 0 where no joint moves the tool along the normal
        return self._blow * math.sqrt(lightness / (1 + lightness * self.settings.arm.payload_error))
