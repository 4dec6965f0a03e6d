# SPDX-License-Identifier: Apache-2.0
"""From range returns to the nearest thing in the way, and the barrier that stops before it."""

from __future__ import annotations

import math

import numpy as np

from tidegate.records import Floats, Points, seconds
from tidegate.robot import GRAVITY, Car
from tidegate.safety.barrier import Ahead, Barrier, Priority, Rows, State, barriers
from tidegate.settings import Settings

Pose = tuple[float, float, float]


class GroundFilter:
    """Splits returns of several scan planes into road and things.

    In one azimuth sector the rings of a plane-scanning sensor meet the road one behind the other: from the height H
    ring i reaches it at H/tan(−elevation_i), and in a sag of ±6 % grade neighbouring returns still rise by no more
    than about 0.16 per metre of distance (change of grade 0.12, pitch of the car 2°). On something that stands up,
    neighbouring rings return from nearly the same distance. A pair of rings counts as a thing where the upper return
    lies less than Δz/``steepness`` behind the lower one, or before it (a trailer's floor that lower rings pass
    under). A single return counts where it is higher than ``rise_max`` of its distance: no road climbs so fast.
    """

    def __init__(self, settings: Settings, car: Car) -> None:
        ranging, self._distance = settings.ranging, settings.safety.distance
        (self._x, _, self._z), _ = car.description.origin("range_link")
        self._rings = len(ranging.elevation_deg)
        order = np.argsort(ranging.elevation_deg)
        self._row = np.empty(self._rings, np.intp)
        self._row[order] = np.arange(self._rings)
        self._half = math.radians(ranging.azimuth_deg)
        self._beams = ranging.beams
        self._sector = 2 * self._half / (ranging.beams - 1)

    def things(self, points: Points) -> Floats:
        """Nearest return of a thing per azimuth sector, (N, 2) x and y in the base frame [m]."""
        xyz, ring = points.xyz.astype(np.float64), points.ring
        good = np.isfinite(xyz).all(axis=1) & (ring >= 0) & (ring < self._rings)
        xyz, ring = xyz[good], ring[good]
        x, y, z = xyz[:, 0] - self._x, xyz[:, 1], xyz[:, 2]
        sector = np.rint((np.arctan2(y, x) + self._half) / self._sector).astype(np.intp)
        inside = (sector >= 0) & (sector < self._beams)
        cell = self._row[ring[inside]], sector[inside]
        far = np.full((self._rings, self._beams), np.inf)
        height = np.zeros((self._rings, self._beams))
        far[cell], height[cell] = np.hypot(x, y)[inside], z[inside]
        thing = (height > self._distance.rise_max * far) & np.isfinite(far)
        for gap in (1, 2):  # the next ring, and the one after it where a return is missing
            lower, upper = far[:-gap], far[gap:]
            with np.errstate(invalid="ignore"):
                stands = upper - lower <= (height[gap:] - height[:-gap]) / self._distance.steepness
            stands &= np.isfinite(upper) & np.isfinite(lower)
            if gap == 2:
                stands &= ~np.isfinite(far[1:-1])
            thing[gap:] |= stands
            thing[:-gap] |= stands & (lower <= upper + 1.0)
        thing &= height < self._distance.height_max
        nearest = np.where(thing, far, np.inf).min(axis=0)
        hit = np.flatnonzero(np.isfinite(nearest))
        azimuth = hit * self._sector - self._half
        return np.stack([self._x + nearest[hit] * np.cos(azimuth), nearest[hit] * np.sin(azimuth)], axis=1)


class Track:
    """The nearest thing in one corridor over time: its speed along the corridor, and memory for what vanishes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.safety.distance
        self.reset()

    def reset(self) -> None:
        """Nothing seen yet."""
        self._distance, self._stamp, self._seen, self._speed, self._scans = math.inf, 0, 0, 0.0, 0

    def update(self, stamp: int, distance: float, driven: float) -> None:
        """One scan: nearest ``distance`` [m] (inf = free); ``driven`` [m] by the car since the scan before."""
        step = seconds(stamp - self._stamp)
        predicted = self._distance - driven + self._speed * step
        if math.isinf(distance):
            if math.isfinite(self._distance) and seconds(stamp - self._seen) <= self._settings.memory_s:
                self._distance, self._stamp = max(self._distance - driven + min(self._speed, 0.0) * step, 0.0), stamp
            else:
                self.reset()
            return
        if math.isinf(self._distance) or step <= 0 or abs(distance - predicted) > self._settings.track_gate:
            self._speed, self._scans = 0.0, 1
        else:
            measured = (distance - self._distance + driven) / step
            self._scans += 1
            share = max(step / (step + self._settings.track_s), 1.0 / self._scans)
            self._speed += share * (measured - self._speed)
        self._distance, self._stamp, self._seen = distance, stamp, stamp

    def ahead(self, now: int, driven: float) -> Ahead:
        """What may be counted on at ``now``; ``driven`` [m] since the last scan."""
        if math.isinf(self._distance):
            return Ahead()
        known = self._scans >= 4
        receding = max(self._speed - self._settings.receding_margin, 0.0) if known else 0.0
        approaching = -self._speed if known and -self._speed > self._settings.approach_margin else 0.0
        approaching = min(approaching, self._settings.approach_max)
        age = seconds(now - self._stamp)
        return Ahead(self._distance - driven - approaching * age, receding, approaching)


class Corridor:
    """Nearest thing on the car's arc and along its lane.

    *Arc*: between the circles of the measured and the commanded curvature, as wide as the car and a margin: where the
    car goes if nobody steers. It needs no camera. *Lane*: along the trusted lane's centre: what waits round the bend.
    The lane corridor only adds to the arc (learned perception may only tighten).
    """

    def __init__(self, settings: Settings, car: Car) -> None:
        distance = settings.safety.distance
        self._half = car.width / 2 + distance.side_margin
        self._lane_half = distance.lane_corridor
        self._front = car.front

    def on_arc(self, things: Floats, low: float, high: float) -> float:
        """Distance [m] from the bumper to the nearest of ``things`` (N, 2) between arcs ``low`` ≤ ``high`` [1/m]."""
        if not len(things):
            return math.inf
        x: Floats = things[:, 0]
        y: Floats = things[:, 1]
        square = np.asarray(x * x + y * y, np.float64)
        inside = (_beside(y, square, low) >= -self._half) & (_beside(y, square, high) <= self._half) & (x > self._front)
        if not inside.any():
            return math.inf
        nearest = min(float(_along(x[inside], y[inside], bend).min()) for bend in (low, high))
        return nearest - self._front

    def along_lane(self, things: Floats, line: Floats) -> float:
        """The same along the lane's centre ``line`` (M, 3)."""
        if not len(things):
            return math.inf
        ahead = things[things[:, 0] > self._front]
        if not len(ahead):
            return math.inf
        dx, dy = ahead[:, None, 0] - line[:, 0], ahead[:, None, 1] - line[:, 1]
        near = (dx * dx + dy * dy).argmin(axis=1)
        picked = np.arange(len(ahead))
        heading = line[near, 2]
        across = -dx[picked, near] * np.sin(heading) + dy[picked, near] * np.cos(heading)
        over = dx[picked, near] * np.cos(heading) + dy[picked, near] * np.sin(heading)
        inside = (np.abs(across) <= self._lane_half) & (near < len(line) - 1)
        if not inside.any():
            return math.inf
        step = math.hypot(line[1, 0] - line[0, 0], line[1, 1] - line[0, 1])
        return float((near[inside] * step + over[inside]).min()) - self._front


def _beside(y: Floats, square: Floats, curvature: float) -> Floats:
    """Signed distance [m], left positive, of points from a circle through the origin, without dividing by κ."""
    q = 2 * y - curvature * square
    return q / (1 + np.sqrt(np.maximum(1 - curvature * q, 0)))


def _along(x: Floats, y: Floats, curvature: float) -> Floats:
    """Length [m] of the arc to the foot of each point."""
    if abs(curvature) < 1e-6:
        return x
    return np.arctan2(curvature * x, 1 - curvature * y) / curvature


def moved(things: Floats, then: Pose, now: Pose) -> Floats:
    """Points (N, 2) in the base frame of pose ``then`` seen from pose ``now`` (both in odometry)."""
    dx, dy = then[0] - now[0], then[1] - now[1]
    cos_now, sin_now = math.cos(now[2]), math.sin(now[2])
    turn = then[2] - now[2]
    cos_turn, sin_turn = math.cos(turn), math.sin(turn)
    rotation = np.array([[cos_turn, sin_turn], [-sin_turn, cos_turn]])
    made: Floats = np.matmul(things, rotation)
    made[:, 0] += cos_now * dx + sin_now * dy
    made[:, 1] += -sin_now * dx + cos_now * dy
    return made


@barriers.register("distance")
class Distance(Barrier):
    """Stop before what the range sensor sees.

    h = D − S(v, F) − D₀ with S the distance in which the car stops if it goes from the force F commanded last to full
    guaranteed braking at the brake's torque rate, on the steepest slope, after the brake's lag. Relative degree 1 in
    discrete time: h(next | F) ≥ (1 − p T) h. S is convex in F, so its chord over this tick's slew window bounds it
    from above and the row is linear: no sampled-data margin is left out, the hold is inside the row.
    Trusted inputs: range sensor, wheel speed, odometry. The corridor is the car's arc (odometry and commanded
    curvature); the trusted lane's corridor adds a second row that can only tighten.
    Guarantee: the backup, full braking, satisfies its own row (S shrinks by what is driven), so it never has to give
    way; no contact with what stands or recedes in the corridor.
    Assumption: ``brake_guaranteed`` is reached on every slope while steering; a thing stands at most at its measured
    place ± ``noise_m``; what comes towards us by itself does so at its measured speed (up to ``approach_max``) for
    the whole stopping time. Not covered: what enters the corridor nearer than S; what no two rings hit (below
    about 35 m a car is always hit by two); the arc bending away from the road ahead without a lane estimate.
    """

    name = "distance"
    priority = Priority.DISTANCE
    rows = 2
    gain = "distance"

    def __init__(self, settings: Settings, car: Car) -> None:
        super().__init__(settings, car)
        vehicle, self._distance = settings.vehicle, settings.safety.distance
        self._mass = car.effective_mass
        self._slope = GRAVITY * vehicle.slope_max
        self._braking = vehicle.brake_guaranteed
        rate = vehicle.wheel_effort_rate / car.wheel_radius / self._mass
        self._release, self._build = rate * len(vehicle.driven), rate * 4
        self._hardest = settings.vehicle.tyre_friction * GRAVITY * settings.safety.traction_share * 0.9
        self._hold = settings.safety.ladder.hold_deceleration
        self._standstill = settings.safety.ladder.standstill_speed

    def stopping(self, speed: float, force: float) -> tuple[float, float]:
        """Stopping distance [m] and time [s] from ``speed`` [m/s] with ``force`` [N] applied, brake lag included."""
        speed = max(speed, 0.0)
        acceleration = force / self._mass
        way, time = speed * self._distance.lag_s, self._distance.lag_s
        if acceleration > 0:  # take the drive off
            t = acceleration / self._release
            way += t * (speed + t * (0.5 * (acceleration + self._slope) - self._release * t / 6))
            speed += t * (0.5 * acceleration + self._slope)
            time += t
            acceleration = 0.0
        acceleration += self._slope
        if acceleration > -self._braking:  # build the brake up
            t = (acceleration + self._braking) / self._build
            way += t * (speed + t * (0.5 * acceleration - self._build * t / 6))
            speed += t * (acceleration - self._build * t / 2)
            time += t
        speed = max(speed, 0.0)
        return max(way, 0.0) + speed * speed / (2 * self._braking), time + speed / self._braking

    def fill(self, state: State, rows: Rows) -> float:
        """See ``Barrier.fill``."""
        low, high = state.force_low, max(state.force_high, state.force_low + 1.0)
        ahead = state.arc, state.along_lane
        if math.isinf(ahead[0].distance) and math.isinf(ahead[1].distance):
            return math.inf
        way, time = self.stopping(state.speed, state.force)
        worst = self._slope * self.period
        way_low, _ = self.stopping(state.speed + self.period * low / self._mass + worst, low)
        way_high, _ = self.stopping(state.speed + self.period * high / self._mass + worst, high)
        chord = max((way_high - way_low) / (high - low), 1e-9)
        h_least = math.inf
        for row, thing in enumerate(ahead):
            if math.isinf(thing.distance):
                continue
            reserve = self._distance.standstill_gap + self._distance.noise_m
            h = thing.distance - thing.approaching * time - way - reserve
            h_least = min(h, h_least)
            if state.speed < self._standstill and h < self._distance.rest_m:
                rows.set(row, -1.0 / self._mass, 0.0, self._hold, 0.0, -max(-self._hold, low / self._mass))
                continue
            closing = max(state.speed - thing.receding, 0.0) + thing.approaching
            free = h + way - self.period * closing - way_low  # h at the next tick for F = low
            scale = 1.0 / (chord * self._mass)
            # free − chord (F − low) ≥ h − p T h
            fixed = (h - free) * scale - low / self._mass
            gain = self.settings.policy.gain_high if row == 0 else 1.0
            backup = self._backup(h, state.speed)
            cap = -max(backup, low / self._mass)
            if row == 0:  # the arc is trusted and needs no caution beyond the fastest gain
                rows.set(row, -1.0 / self._mass, 0.0, fixed - gain * self.period * h * scale, 0.0, cap)
            else:
                rows.set(row, -1.0 / self._mass, 0.0, fixed, self.period * h * scale, cap)
        return h_least

    def _backup(self, h: float, speed: float) -> float:
        if speed < self._standstill:
            return -self._hold
        return -(self._braking + self._slope) if h >= 0 else -self._hardest
