# SPDX-License-Identifier: Apache-2.0
"""The barrier that keeps the front wheels in the lane where the car is too slow for the lane barrier."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from tidegate.robot import Car
from tidegate.safety.barrier import Barrier, Priority, Rows, State, barriers
from tidegate.safety.braking import Braking, Stop
from tidegate.safety.dual import cos, sin, sqrt
from tidegate.safety.lane import room
from tidegate.settings import Settings

RETURN = 0.1
"""The course [m/m] that leads back in well enough; the backup turns the wheels no further."""


class Course(NamedTuple):
    """The front axle's way outward per metre driven, ``straight`` + ``by_curvature`` · κ; the car turns along with the
    road where κ is ``parallel`` [1/m]."""

    straight: float
    by_curvature: float
    parallel: float

    def at(self, curvature: float) -> float:
        """The course at a path curvature [1/m]."""
        return self.straight + self.by_curvature * curvature


@barriers.register("edge")
class Edge(Barrier):
    """Front wheels stay between the lane's edges, from standstill on.

    Seen from each side of the lane, outward positive: the front axle is y = d + L sin μ from the centre, and a metre
    driven takes it c = sin(μ + β) + L cos μ (κ − κ̃) further, κ̃ = κ_r cos μ / (1 − κ_r d), β the heading's error bound
    and κ_r less its own, up to ``lane.curvature_cap``.
    h = w − y − E, w = half lane − half car − error bound (offset's + L β), and E how far it still gets while the car
    brakes (way S, never faster than v̂) and turns the wheels back at the steering's rate r:
        E = max(c, 0) · min(S, v̂ c / 2ω),  ω = cos μ (L r − v̂ max(κ − κ̃, 0)), the least rate at which c falls;
    c S alone where κ at the steering's limit, or ``lateral``'s, does not reach c = 0. Relative degree 1 in discrete
    time: h(next | F, κ) ≥ (1 − p T) h, p = ``policy.gain_high``; the chords of E over this tick's windows of F and κ
    make the row linear in both.
    Off from v = max(p₁ L, √(p a_lat / r)) on (p₁ = ``lane.inner_gain``): ψ₁ ≥ 0 of the lane barrier says y ≤ w and more
    above p₁ L, and the steering brings up a_lat within 1/p, as fast as the lane's row may ask.
    Trusted inputs: none alone; the lane is *learned* (offset, heading, curvature), carried on by odometry.
    Guarantee: the backup, to brake and turn the wheels back, satisfies its own row. The front wheels stay inside; so do
    the rear ones, which move outward only where μ > 0, behind the front axle. **Conditional on the stated error
    bounds**, offset and heading together up to ``lane.bound_cap``. From outside it takes the backup until the course
    leads back in.
    Assumption: as ``distance`` of the brakes; the steering turns at ``Car.curvature_rate``; the road's curvature stays
    as it is for E; start inside. Not covered: rolling backwards; a heading beyond the steering's lock, which no car
    without a reverse gear gets out of.
    """

    priority = Priority.EDGE
    rows = 2
    unit = "m"
    learned = True

    def __init__(self, settings: Settings, car: Car, parameters: Any = None) -> None:
        super().__init__(settings, car, parameters)
        self._cap, self._bend_cap = settings.safety.lane.bound_cap, settings.safety.lane.curvature_cap
        self._room = room(settings, car)
        self._crawl = settings.safety.ladder.standstill_speed
        self._lock = settings.safety.steering_share * car.curvature_max
        self._lateral = settings.vehicle.lateral_acceleration_max
        self._gain_high = settings.policy.gain_high
        self._fast = settings.safety.lane.inner_gain * car.wheelbase
        self._decay = settings.policy.gain_high * self.period
        self._braking = Braking(settings, car)

    def fill(self, state: State, rows: Rows) -> float:
        """See ``Barrier.fill``."""
        lane, speed = state.lane, max(state.speed, 0.0)
        lateral = max(self._lateral, state.lateral_left)
        if lane is None or lane.offset_bound == math.inf or speed >= max(self._fast, self._turns(lateral)):
            return math.inf
        length = self.car.wheelbase
        doubt = min(lane.heading_bound, self._cap / length)
        bend = min(lane.curvature_bound, self._bend_cap)
        width = max(self._room - min(lane.offset_bound + length * doubt, self._cap), 0.1)
        low, high = state.force_low, max(state.force_high, state.force_low + 1.0)
        now, driven = self._braking.stop(speed, state.force), self._braking.next_stop(speed, high)
        way = self.period * max(speed, self._crawl)  # at standstill too, so that a car that is held turns its wheels
        turn = self.period * self.car.curvature_rate
        lock = min(self._lock, lateral / max(driven.peak, 1.0) ** 2)
        nearest = math.inf
        for row, side in enumerate((1.0, -1.0)):
            offset, heading, road = side * lane.offset, side * lane.heading, side * lane.curvature[0] - bend
            curvature = side * state.curvature
            back, out = max(curvature - turn, -self._lock), min(curvature + turn, self._lock)
            beyond = max(-road, 0.0) * length * length / 2  # in a bend the front axle is outside of the tangent
            free = width - offset - length * sin(heading) - beyond
            ahead = self._course(offset, heading, doubt, road)
            course = self._course(offset, heading + way * (curvature - road), doubt, road)
            turns = course.at(-lock) < 0 < self._falls(driven, course, out) and (
                now.peak * ahead.at(curvature) < 2 * now.way * self._falls(now, ahead, curvature)
            )  # the smaller E now bounds the smaller one at the next tick, and has a chord
            h = free - self._excursion(now, ahead, curvature, turns)
            nearest = min(nearest, h)
            kept = h * (1 - self._decay)
            most = self._excursion(driven, course, out, turns)
            if free - way * course.at(out) - most >= kept:
                continue  # whatever is commanded
            braked = self._braking.next_stop(speed, low)
            least, turned = (self._excursion(braked, course, at, turns) for at in (back, out))
            by_force = (most - turned) / (high - low)
            chord = (turned - least) / (out - back)
            by_curvature = chord + way * course.by_curvature
            # free − way c(κ) − E(F, κ) ≥ (1 − p T) h
            fixed = kept - free + way * course.straight + least - by_force * low - chord * back
            backup = max(self.car.effective_mass * self._braking.backup(speed), low)
            inward = -(course.straight + RETURN) / course.by_curvature
            cap = -by_force * backup - by_curvature * max(back, min(inward, out))
            rows.set(row, -by_force, -side * by_curvature, fixed, 0.0, cap)
        return nearest

    def _turns(self, lateral: float) -> float:
        """The speed [m/s] from which on the steering brings up an acceleration ``lateral`` [m/s²] within 1/p."""
        return sqrt(self._gain_high * lateral / self.car.curvature_rate)

    def _course(self, offset: float, heading: float, doubt: float, road: float) -> Course:
        cosine = cos(heading)
        parallel = road * cosine / max(1.0 - road * offset, 0.2)
        lever = self.car.wheelbase * cosine
        return Course(sin(heading + doubt) - lever * parallel, lever, parallel)

    def _falls(self, stop: Stop, course: Course, curvature: float) -> float:
        """ω [1/s] with the wheels at ``curvature`` [1/m]."""
        yaw = stop.peak * max(curvature - course.parallel, 0.0)
        return course.by_curvature * (self.car.curvature_rate - yaw / self.car.wheelbase)

    def _excursion(self, stop: Stop, course: Course, curvature: float, turns: bool) -> float:
        """E [m] with the wheels at ``curvature`` [1/m], until the car stands or ``turns`` back."""
        outward = course.at(curvature)
        if outward <= 0:
            return 0.0
        way = stop.peak * outward / (2 * self._falls(stop, course, curvature)) if turns else stop.way
        return outward * way
