# SPDX-License-Identifier: Apache-2.0
"""The lane barrier: a high-order control barrier function of relative degree 2."""

from __future__ import annotations

import math
from typing import Any

from tidegate.robot import Car
from tidegate.safety.barrier import Barrier, Priority, Row, Rows, State, barriers
from tidegate.safety.dual import cos, sin
from tidegate.settings import Settings

LEEWAY = 1.1
"""What is left for steering between the two sides' rows: this many times the gain at which they just fit together."""


@barriers.register("lane")
class Lane(Barrier):
    """Wheels stay between the lane's edges.

    h± = w ∓ d, w = half lane − half car − error bound, relative degree 2. ψ₁ = ḣ + p₁ h with p₁ a constant of the
    robot; rows ḧ + (p₁ + p₂) ḣ + p₁ p₂ h ≥ margin, written ψ̇₁ ≥ margin − p₂(t) ψ₁, linear in (F, κ) through
    d̈ = (F/m + s) sin μ + v cos μ (v κ − κ_r v cos μ / (1 − κ_r d)), s the estimated slope and drag, for each side with
    μ further out and κ_r further in by their error bounds. Xiao & Belta 2019, design §5. Of a bend's outer side w is
    less by L² κ_r/2, the front axle being outside of the tangent by so much, with the sharpest κ_r up to the next knot;
    how that changes is not in the row. There μ is further out by the rear axle's side slip too, ``drift_offset`` ·
    v² |κ| / a_lat with the κ commanded last; how that changes is not in the row either.
    Each side counts with errors that take room from the other. With a low p₂ no steering might keep both rows, and both
    would give way; so inside the set p₂ is never below the gain at which they fit, up to ``policy.gain_high``.
    Trusted inputs: none alone; the lane is *learned* (offset, heading, curvature), carried on by odometry.
    Guarantee: {h ≥ 0, ψ₁ ≥ 0} is kept, **conditional on the stated error bound** of the lane estimate.
    Assumption: the bounds are true up to ``bound_cap``, ``heading_cap`` at the camera's frame, and ``curvature_cap`` (a
    larger one narrows the corridor no further: it would be empty); the rear axle slips by at most ``drift_offset``; the
    road's curvature changes by at most ``curvature_slope`` per metre; start inside the set. Outside it, the row steers
    back as far as grip and slew allow. No row below ``crawl_speed``, where v² κ has no authority and the barrier
    ``edge`` alone holds, nor where the bound is inf (unknown).
    Where driving off would bring the car back, the row takes F at its lowest: the lane is not bought with speed.
    The margin covers the hold of one period: ψ̇₁ + p₂ ψ₁ changes by at most T (|d⃛| + (p₁+p₂)|d̈| + p₁p₂|ḋ|) in it.
    """

    priority = Priority.LANE
    rows = 2
    unit = "m/s²"
    gain = "lane"
    learned = True
    least_gain = True

    def __init__(self, settings: Settings, car: Car, parameters: Any = None) -> None:
        super().__init__(settings, car, parameters)
        self._lane = settings.safety.lane
        self._room = room(settings, car)
        self._lateral = settings.vehicle.lateral_acceleration_max
        self._gain_high = settings.policy.gain_high
        self._beyond = car.wheelbase**2 / 2

    def fill(self, state: State, rows: Rows) -> float:
        """See ``Barrier.fill``."""
        lane, speed = state.lane, state.speed
        if lane is None or lane.offset_bound == math.inf:
            return math.inf
        width = max(self._room - min(lane.offset_bound, self._lane.bound_cap), 0.1)
        if speed < self._lane.crawl_speed:
            return width - abs(lane.offset)
        inner, mass = self._lane.inner_gain, self.car.effective_mass
        grown, curvature = lane.heading_growth, lane.curvature[0]
        doubt = min(lane.heading_bound - grown, self._lane.heading_cap) + grown
        lateral, slips = max(self._lateral, state.lateral_left), self._lane.drift_offset
        slip = slips * speed * speed * state.curvature / lateral
        bend = min(lane.curvature_bound, self._lane.curvature_cap)
        cosine, near = cos(lane.heading), lane.curvature[:2]
        by_curvature, leftmost, rightmost = speed * speed * cosine, max(near), min(near)
        sides: list[Row] = []
        nearest = math.inf
        for side, sharpest in ((1.0, -rightmost), (-1.0, leftmost)):
            # the car may move further out, by the heading's error and the slip, and the road bend further in
            out = doubt + (min(-side * slip, slips) if side * slip < 0.0 else 0.0)
            sine, road = sin(lane.heading + side * out), curvature - side * bend
            rate, by_force = speed * sine, sine / mass
            turning = speed * cosine * road * speed * cosine / max(1.0 - road * lane.offset, 0.2)
            drift = state.disturbance * sine - turning
            margin = self._hold_margin(speed, rate, lateral)
            # in a bend the front axle is outside of the tangent, by what comes within the next knot too
            beyond = max(bend + sharpest, 0.0) * self._beyond
            h, h_rate = width - beyond - side * lane.offset, -side * rate
            nearest = min(nearest, h)
            # −side·(drift + by_force F + by_curvature κ) + p1 ḣ + p2 ψ1 ≥ margin
            fixed, push = margin + side * drift - inner * h_rate, -side * by_force
            if push > 0:  # driving off would help: not counted on, or speed and bends would give way to it
                push, fixed = 0.0, fixed - push * state.force_low
            sides.append((push, -side * by_curvature, fixed, h_rate + inner * h, math.inf))
        least = self._least_gain(sides[0], sides[1], max(state.force_high, 0.0))
        rows.set_all([(*one[:4], one[2] - least * one[3] if one[3] > 0 else math.inf) for one in sides])
        return nearest

    def _least_gain(self, left: Row, right: Row, force: float) -> float:
        """The gain [1/s] from which on some steering keeps both rows under a ``force`` [N]."""
        asked, inside = left[2] + right[2] - (left[0] + right[0]) * force, left[3] + right[3]
        if inside <= 0 or LEEWAY * asked >= self._gain_high * inside:
            return self._gain_high
        return LEEWAY * asked / inside

    def _hold_margin(self, speed: float, rate: float, lateral: float) -> float:
        inner, outer = self._lane.inner_gain, self._gain_high
        jerk = speed**3 * self._lane.curvature_slope
        bound = jerk + (inner + outer) * lateral + inner * outer * abs(rate)
        return self.period * bound


def room(settings: Settings, car: Car) -> float:
    """Distance [m] from the car's side to the lane's edge while it drives in the middle."""
    tyre = car.description.links[car.description.joint(car.wheel_joints[2]).child].size[1]
    return settings.safety.lane.half_width - max(car.width, car.track + tyre) / 2
