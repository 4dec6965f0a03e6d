# SPDX-License-Identifier: Apache-2.0
"""The barrier that stops before what the range sensor sees."""

from __future__ import annotations

import math
from typing import Any

from tidegate.robot import Car
from tidegate.safety.barrier import Barrier, Priority, Rows, State, barriers
from tidegate.safety.braking import Braking
from tidegate.safety.traction import Grip
from tidegate.settings import Settings
from tidegate.settings.barriers import DistanceParameters


@barriers.register("distance")
class Distance(Barrier):
    """Stop before what the range sensor sees.

    h = D − S(v, F) − D₀ with S the distance in which the car stops if it goes from the force F commanded last to full
    guaranteed braking at the brake's torque rate, on the steepest slope, after the brake's lag, through which F goes on
    acting; D₀ is the gap at standstill, ``extra_gap`` and ``noise_m``. Relative degree 1 in discrete time: h(next | F)
    ≥ (1 − p T) h. What approaches counts with its way while the car stops. Both are convex in F, so their chord over
    this tick's slew window bounds them from above and the row is linear: no sampled-data margin is left out, the hold
    is inside the row.
    Trusted inputs: range sensor, wheel speed, odometry. The corridor is the car's arc (odometry and commanded
    curvature); the trusted lane's corridor adds a second row that can only tighten.
    Guarantee: the backup, full braking, satisfies its own row (S shrinks by what is driven), so it never has to give
    way; no contact with what stands or recedes in the corridor.
    Assumption: ``brake_guaranteed`` is reached on every slope while steering; a thing stands at most at its measured
    place ± ``noise_m``; what comes towards us by itself does so at its measured speed (up to ``approach_max``) for
    the whole stopping time. Not covered: what enters the corridor nearer than S; what no two rings hit (below
    about 35 m a car is always hit by two); the arc bending away from the road ahead without a lane estimate.
    """

    Parameters = DistanceParameters
    priority = Priority.DISTANCE
    rows = 2
    unit = "m/s²"
    gain = "distance"

    def __init__(self, settings: Settings, car: Car, parameters: Any = None) -> None:
        super().__init__(settings, car, parameters)
        self._distance = settings.safety.distance
        self._gap = self._distance.standstill_gap + self.parameters.extra_gap
        self._mass = car.effective_mass
        self._braking = Braking(settings, car)
        self._grip, self._lateral = Grip(settings, car), settings.vehicle.lateral_acceleration_max
        self._hardest = 0.9 * self._grip.share
        self._hold = settings.safety.ladder.hold_deceleration
        self._standstill = settings.safety.ladder.standstill_speed

    def fill(self, state: State, rows: Rows) -> float:
        """See ``Barrier.fill``."""
        low, high = state.force_low, max(state.force_high, state.force_low + 1.0)
        ahead = state.arc, state.along_lane
        if ahead[0].distance == math.inf == ahead[1].distance:
            return math.inf
        way, time, _ = self._braking.stop(state.speed, state.force)
        way_low, time_low, _ = self._braking.next_stop(state.speed, low)
        way_high, time_high, _ = self._braking.next_stop(state.speed, high)
        h_least = math.inf
        for row, thing in enumerate(ahead):
            if thing.distance == math.inf:
                continue
            reserve = self._gap + self._distance.noise_m
            h = thing.distance - thing.approaching * time - way - reserve
            h_least = min(h, h_least)
            if state.speed < self._standstill and h < self._distance.rest_m:
                rows.set(row, -1.0 / self._mass, 0.0, self._hold, 0.0, -max(-self._hold, low / self._mass))
                continue
            closing = max(state.speed - thing.receding, 0.0) + thing.approaching
            # h at the next tick for F = low
            free = h + way - self.period * closing - way_low + thing.approaching * (time - time_low)
            more = way_high - way_low + thing.approaching * (time_high - time_low)
            chord = max(more / (high - low), 1e-9)
            scale = 1.0 / (chord * self._mass)
            # free − chord (F − low) ≥ h − p T h
            fixed = (h - free) * scale - low / self._mass
            backup = self._backup(h, state)
            cap = -max(backup, low / self._mass)
            if row == 0:  # the arc is trusted and needs no caution beyond the fastest gain
                fixed -= self.settings.policy.gain_high * self.period * h * scale
                rows.set(row, -1.0 / self._mass, 0.0, fixed, 0.0, cap)
            else:
                rows.set(row, -1.0 / self._mass, 0.0, fixed, self.period * h * scale, cap)
        return h_least

    def _backup(self, h: float, state: State) -> float:
        """Acceleration [m/s²]; where it is late already, harder than guaranteed, as far as the bend leaves grip."""
        guaranteed = self._braking.backup(state.speed)
        if h >= 0 or state.speed < self._standstill:
            return guaranteed
        bend = abs(state.curvature) if state.lane is None else abs(state.lane.curvature[0]) + state.lane.curvature_bound
        left = self._grip.hardest(state.speed, min(bend, self._lateral / max(state.speed, 1.0) ** 2)) / self._mass
        return min(guaranteed, max(left, -self._hardest))
