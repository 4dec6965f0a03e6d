# SPDX-License-Identifier: Apache-2.0
"""Barriers on the speed: the limit, what the bends ahead allow, and how well the lane is known."""

from __future__ import annotations

import math
from typing import Any

from tidegate.errors import SettingsError
from tidegate.robot import GRAVITY, Car
from tidegate.safety.barrier import Barrier, Priority, Rows, State, barriers
from tidegate.safety.braking import Braking
from tidegate.safety.dual import sqrt
from tidegate.safety.lane import room
from tidegate.safety.lane_tracker import interpolate
from tidegate.settings import Settings

STEPS = 15
"""In so many steps of the speed ``sight`` knows the stopping way; between them it takes more, for S is convex."""


@barriers.register("speed")
class Speed(Barrier):
    """The speed limit.

    h = v_max − ε − v, relative degree 1: −(F/m + w) + p h ≥ 0, with w the estimated slope and drag. A v_max lowered
    while driving comes down by a_c = ``curve_deceleration`` (``Lowering``); until it is there a_c is added to w.
    Trusted inputs: wheel speed through the odometry; the estimate of w comes from the speed alone.
    Guarantee: v ≤ v_max.
    Assumption: the measured speed errs by at most ε = ``speed_margin``, w by at most ``disturbance_margin``.
    Its backup is to take the drive off at the torque rate R: from the row on it gains a²/2R, a the strongest drive down
    the steepest slope, and a/p is left there, so that gains above 2R/a are refused.
    """

    priority = Priority.SPEED
    rows = 1
    unit = "m/s²"
    gain = "speed"

    def __init__(self, settings: Settings, car: Car, parameters: Any = None) -> None:
        super().__init__(settings, car, parameters)
        self._limit = settings.vehicle.speed_max - settings.safety.speed_margin
        self._margin = settings.safety.disturbance_margin
        self._mass = car.effective_mass
        hardest = car.force_max / self._mass + GRAVITY * settings.vehicle.slope_max
        most = 2 * car.force_rate(1) / self._mass / hardest
        if settings.policy.gain_high > most:
            raise SettingsError(
                f"'policy.gain_high' is {settings.policy.gain_high:g}; it must be at most {most:.3g} [1/s], for with "
                "'vehicle.wheel_effort_rate' the drive is taken off no faster ('speed')"
            )

    def fill(self, state: State, rows: Rows) -> float:
        """See ``Barrier.fill``."""
        h = max(self._limit, state.speed_left) - state.speed
        growing = state.disturbance + state.speed_falling
        rows.set(0, -1.0 / self._mass, 0.0, growing + self._margin, h, -state.force_low / self._mass)
        return h


class Slowing(Barrier):
    """What the camera says only ever slows the car down, no harder than at ``curve_deceleration``.

    −(F/m + w) + p h ≥ the rate at which the allowed speed falls, with w the estimated slope and drag, of which
    ``disturbance_margin`` more must be expected.
    """

    priority = Priority.COMFORT
    rows = 1
    unit = "m/s²"
    gain = "speed"
    learned = True

    def __init__(self, settings: Settings, car: Car, parameters: Any = None) -> None:
        super().__init__(settings, car, parameters)
        self._braking = settings.safety.curve_deceleration
        self._margin = settings.safety.disturbance_margin
        self._mass = car.effective_mass

    def limit(self, state: State, rows: Rows, allowed: float, falling: float = 0.0) -> float:
        """Write the row for v ≤ ``allowed`` [m/s], which falls by ``falling`` [m/s²]; h."""
        h, growing = allowed - state.speed, state.disturbance + self._margin
        backup = max(-self._braking - max(growing, 0.0), state.force_low / self._mass)
        rows.set(0, -1.0 / self._mass, 0.0, falling + growing, h, -backup)
        return h


@barriers.register("curve")
class Curve(Slowing):
    """Slow enough for the bends ahead.

    h = min over the lane's knots of √(a_lat/(|κ_r| + b) + 2 a_c s) − v, relative degree 1: braking at a_c keeps every
    term; b is the curvature's error bound, up to ``curvature_cap``.
    Trusted inputs: wheel speed; the lane's curvature is *learned*.
    Guarantee: v² |κ_r| ≤ a_lat on reaching the bend, conditional on the lane estimate and its error bound.
    Assumption: curvature between the knots is linear; w errs by at most ``disturbance_margin``; the bound is true, up
    to the cap (the lateral barrier holds the commanded curvature to the same limit whatever the camera says).
    """

    def __init__(self, settings: Settings, car: Car, parameters: Any = None) -> None:
        super().__init__(settings, car, parameters)
        self._lateral = settings.vehicle.lateral_acceleration_max
        self._cap = settings.safety.lane.curvature_cap

    def fill(self, state: State, rows: Rows) -> float:
        """See ``Barrier.fill``."""
        if state.lane is None:
            return math.inf
        doubt = min(state.lane.curvature_bound, self._cap)
        lateral, twice, square = self._lateral, 2 * self._braking, math.inf
        for ahead, curvature in zip(state.lane.ahead, state.lane.curvature, strict=True):
            bend = abs(curvature) + doubt
            allowed = lateral / (1e-4 if bend < 1e-4 else bend) + twice * ahead
            if allowed < square:
                square = allowed
        allowed = sqrt(square)
        # d/dt √(c + 2 a s) = −a v/√(c + 2 a s) while the knot comes nearer
        return self.limit(state, rows, allowed, self._braking * min(state.speed / allowed, 1.0))


@barriers.register("sight")
class Sight(Slowing):
    """No faster than the car can stop inside its lane if this frame was the last.

    h = v_s − v, relative degree 1. On a way s the front axle gets further off in the remembered lane by k s²/2 + k L s
    (``LaneTracker``: offset and heading; k = ``drift_heading`` + the curvature's error bound, up to ``sight_cap``; L is
    the wheelbase), so that the room r that the offset's bound leaves lasts for the way
        R = √(L² + 2 r / k) − L,
    and v_s is the speed from which the backup stops within R: on until the camera counts as late, then as ``Braking``.
    Never below ``unsure_speed``.
    Trusted inputs: wheel speed; the error bounds are *learned*.
    Guarantee: none: the bounds may jump, and it brakes no harder than at ``curve_deceleration``. Where they do not, the
    backup on the remembered lane ends inside it, if the car is in the middle and the lane errs by no more than that.
    Assumption: heading and curvature together err by no more than k counts. Where the bound is inf there is no row.
    """

    def __init__(self, settings: Settings, car: Car, parameters: Any = None) -> None:
        super().__init__(settings, car, parameters)
        self._lane, self._room = settings.safety.lane, room(settings, car)
        braking = Braking(settings, car)
        limit = settings.vehicle.speed_max
        self._least = min(self._lane.unsure_speed, limit)
        self._speeds = tuple(index / STEPS * limit for index in range(STEPS + 1))
        late = settings.safety.camera_timeout_s
        self._ways = tuple(speed * late + braking.stop(speed, 0.0).way for speed in self._speeds)

    def fill(self, state: State, rows: Rows) -> float:
        """See ``Barrier.fill``."""
        lane = state.lane
        if lane is None or lane.offset_bound == math.inf:
            return math.inf
        length, left = self.car.wheelbase, max(self._room - lane.offset_bound, 0.0)
        bend = max(self._lane.drift_heading + min(lane.curvature_bound, self._lane.sight_cap), 1e-6)
        way = sqrt(length * length + 2 * left / bend) - length
        return self.limit(state, rows, max(interpolate(way, self._ways, self._speeds), self._least))
