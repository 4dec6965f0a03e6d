# SPDX-License-Identifier: Apache-2.0
"""A driver who sees the truth: the teacher of the liquid network and the yardstick of evaluation."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from tidegate.records import Floats, Nominal
from tidegate.robot import GRAVITY
from tidegate.settings import Settings
from tidegate.simulation.road import Road
from tidegate.simulation.simulator import Simulator
from tidegate.simulation.truth import Truth

SPEED = 15.0
LATERAL = 2.2
ACCELERATION = 1.8
BRAKING = 2.0
BRAKING_MOST = 6.0
TIME_GAP = 1.8
STANDSTILL = 6.0
_LOOK_AHEAD = (0.0, 1.0, 2.0, 3.0, 4.0)


def speed_profile(road: Road, top: float = SPEED) -> Floats:
    """Fastest comfortable speed (N,) [m/s] at the road's samples: lateral acceleration, then braking and driving off.

    Two sweeps against and along the direction of travel, as in time-optimal path tracking, over two laps because the
    road closes on itself.
    """
    squared = np.minimum(top**2, LATERAL / np.maximum(np.abs(road.curvature), 1e-6))
    count, gain, loss = len(squared), 2 * ACCELERATION * road.step, 2 * BRAKING * road.step
    for k in range(2 * count - 1, -1, -1):
        squared[k % count] = min(squared[k % count], squared[(k + 1) % count] + loss)
    for k in range(2 * count):
        squared[(k + 1) % count] = min(squared[(k + 1) % count], squared[k % count] + gain)
    profile: Floats = np.sqrt(squared)
    return profile


class Expert:
    """Keeps to the lane centre with preview, drives as fast as comfort allows, follows and stops.

    ``standstill`` [m] and ``time_gap`` [s]: the distance that it keeps to what is ahead.
    """

    def __init__(
        self, settings: Settings, simulator: Simulator, standstill: float = STANDSTILL, time_gap: float = TIME_GAP
    ) -> None:
        self._standstill, self._time_gap = standstill, time_gap
        self._simulator, self._car, self._road = simulator, simulator.car, simulator.road
        self._profile = speed_profile(self._road)

    def act(self, truth: Truth | None = None) -> Nominal:
        """The command for now; ``truth`` saves computing it again."""
        truth = truth or self._simulator.truth()
        free = self.wish(truth)
        return dataclasses.replace(free, force=min(free.force, self.following_force(truth)))

    def wish(self, truth: Truth) -> Nominal:
        """The command for now as if nobody else were on the road."""
        return Nominal(truth.stamp, self._force(truth, self._cruise(truth)), self._curvature(truth))

    def following_force(self, truth: Truth) -> float:
        """Most force [N] with which the distance to what is ahead is kept; infinite on a free road."""
        wanted = self._follow(truth)
        return self._force(truth, wanted) if math.isfinite(wanted) else math.inf

    def _curvature(self, truth: Truth) -> float:
        """Curvature of the lane where the steering will have answered, and feedback in path length:
        e'' = −e/l² − 2 e'/l, critically damped with l growing with speed."""
        ahead = truth.s + 0.12 * truth.speed
        lane = self._road.curvature_at(ahead)
        length = max(4.0, 0.75 * truth.speed)
        error = float(np.clip(truth.offset, -0.8, 0.8))
        slope = math.tan(float(np.clip(truth.heading, -0.6, 0.6)))
        wanted = lane * math.cos(truth.heading) / (1 - lane * truth.offset) - error / length**2 - 2 * slope / length
        most = min(self._car.curvature_max, 3.5 / max(truth.speed, 1.0) ** 2)
        return float(np.clip(wanted, -most, most))

    def _force(self, truth: Truth, wanted: float) -> float:
        """Force [N] for an acceleration ``wanted`` [m/s²] on this slope."""
        force = self._car.effective_mass * wanted + self._car.mass * GRAVITY * truth.slope
        return float(np.clip(force, self._car.force_min, self._car.force_max))

    def _cruise(self, truth: Truth) -> float:
        """Acceleration [m/s²] that follows the speed profile, with the profile's own slope fed forward."""
        step = self._road.step
        here = int(truth.s / step)
        speed, later = (float(self._profile[(here + k) % len(self._profile)]) for k in (2, 6))
        forward = (later**2 - speed**2) / (8 * step)
        if truth.speed < 0.7 * speed:  # still catching up: the slope at this place is not the car's
            forward = max(forward, 0.0)
        return float(np.clip(forward + 1.2 * (speed - truth.speed), -2.5, ACCELERATION))

    def _follow(self, truth: Truth) -> float:
        """Acceleration [m/s²] that keeps a time gap to what is ahead, or stops before it."""
        gap = self._simulator.obstacle(_LOOK_AHEAD, margin=0.3)
        if not math.isfinite(gap.distance):
            return math.inf
        room = gap.distance - self._car.front - self._standstill
        ahead = max(gap.speed, 0.0)
        keep = 0.25 * (room - self._time_gap * truth.speed) + 0.9 * (ahead - truth.speed)
        if room <= 0.1:
            return -BRAKING_MOST if truth.speed > 0.2 else min(keep, -1.0)
        needed = (truth.speed**2 - ahead**2) / (2 * room)
        if needed > 0.8 * BRAKING:
            keep = min(keep, -needed)
        keep = max(keep, -max(BRAKING, 1.15 * needed))  # no harder than the way that is left asks for
        if truth.speed < 0.5 and ahead < 0.3:
            return -1.0  # stand
        return float(np.clip(keep, -BRAKING_MOST, ACCELERATION))
