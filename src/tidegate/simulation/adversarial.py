# SPDX-License-Identifier: Apache-2.0
"""Traffic that does its worst within what ``docs/safety.md`` assumes of others: scenes for attacks."""

from __future__ import annotations

import math

import numpy as np

from tidegate.records import Floats
from tidegate.simulation.road import LANE_WIDTH, OTHER_LANE, Place, Road
from tidegate.simulation.scene import SCENES, Scene, TruckScene
from tidegate.simulation.traffic import Actor, LaneCar, Progress

BRAKING = 9.0
"""Hardest braking of another car on a dry road [m/s²]."""
BUMPER = 3.4
"""From ``base_link`` to the front bumper of the car under test, rounded up [m]."""


def stated_gap(speed: float) -> float:
    """Gap [m] that a car keeps which moves in ahead of one that drives at ``speed`` [m/s]: more than its stopping
    distance from full throttle, and the gap that is kept at standstill."""
    return 5.0 + 0.7 * speed + speed**2 / 9.0


class CutInCar(LaneCar):
    """Drives ahead in the other lane, moves in at the stated gap, brakes as hard as it can, stops, moves out again.

    ``spare`` ≥ 1 times the stated gap is what it keeps; it takes ``across_s`` [s] to change lanes.
    """

    def __init__(self, road: Road, rng: np.random.Generator, s: float) -> None:
        super().__init__(road, rng, s, cruise=0.0)
        self.lateral, self.braking = OTHER_LANE, BRAKING
        self._rng = rng
        self.spare, self.across_s = float(rng.uniform(1.0, 1.3)), float(rng.uniform(1.2, 2.5))
        self._inside = self.body.width + LANE_WIDTH / 2  # nearer to the lane's centre than this it is in the lane
        self._due = 0.0
        self._wait()

    def advance(self, dt: float, ego: Progress) -> None:
        self.time += dt
        gap = (self.s - ego.s) % self.road.length - self.body.front - BUMPER
        needed = self.spare * stated_gap(ego.speed)
        step = OTHER_LANE / self.across_s * dt
        if self.time < self._due:  # waits in the other lane, a little farther than it may be
            self.lateral = min(self.lateral + step, OTHER_LANE)
            wanted = 0.0 if gap > 60.0 else max(0.0, ego.speed + 0.8 * (needed + 2.0 - gap))
        elif self.lateral > 0.0:  # moves in; once in the lane it does not turn back
            entering = self.lateral > self._inside
            if not entering or (gap >= needed and ego.speed > 3.0):
                self.lateral = max(self.lateral - step, 0.0)
            wanted = max(0.0, ego.speed + 0.8 * (needed + 0.5 - gap)) if entering else 0.0
        else:
            wanted = 0.0
            if self.speed == 0.0:
                self._wait()
        self._roll(dt, wanted, 4.0)

    def footprint(self, road: Road, place: Place, ahead_s: float) -> tuple[Floats, Floats] | None:
        away = math.remainder(self.s + self.speed * ahead_s - place.s, road.length)
        if abs(away) > 160.0:
            return None
        x, sides = self.body.front, np.linspace(-self.body.width, self.body.width, 5)
        return away + np.repeat([-x, x], len(sides)), self.lateral + np.tile(sides, 2)

    def _wait(self) -> None:
        """Move in after some seconds, and not before the other lane is reached again."""
        self._due = self.time + self.across_s + float(self._rng.uniform(4.0, 9.0))


class DriftingCar(LaneCar):
    """An oncoming car that weaves from edge to edge of its own lane."""

    SPARE = 0.05

    def __init__(self, road: Road, rng: np.random.Generator, s: float, cruise: float) -> None:
        super().__init__(road, rng, s, cruise, direction=-1)
        self._swing = LANE_WIDTH / 2 - self.body.width - self.SPARE
        self._rate = float(rng.uniform(0.5, 1.5))

    def advance(self, dt: float, ego: Progress) -> None:
        self.lateral = OTHER_LANE + self._swing * math.sin(self._rate * self.time + self.sway)
        super().advance(dt, ego)


class Halted(Actor):
    """Another vehicle that has stopped at once where it was and stands, as the stopping distance of ``distance``
    counts with of all that is ahead."""

    def __init__(self, vehicle: Actor) -> None:
        super().__init__(vehicle.body)
        self.x, self.y, self.yaw = vehicle.x, vehicle.y, vehicle.yaw
        self._vehicle = vehicle
        vehicle.speed = 0.0

    def advance(self, dt: float, ego: Progress) -> None:
        """Stand."""

    def footprint(self, road: Road, place: Place, ahead_s: float) -> tuple[Floats, Floats] | None:
        return self._vehicle.footprint(road, place, ahead_s)


@SCENES.register("lead_brakes")
class LeadBrakes(Scene):
    """A fast car ahead that brakes to a stop as hard as it can, again and again."""

    def build(self) -> None:
        lead = LaneCar(self.road, self.rng, self.start + 25.0, float(self.rng.uniform(8.0, 15.0)))
        lead.braking = BRAKING
        lead.brake_now_and_then(self.rng, every_s=(6.0, 15.0))
        self.actors.append(lead)


@SCENES.register("cut_in")
class CutIn(Scene):
    """A car moves in from the other lane at the stated gap and brakes to a stop as hard as it can, again and again."""

    def build(self) -> None:
        self.actors.append(CutInCar(self.road, self.rng, self.start + 25.0))


@SCENES.register("truck_standing")
class TruckStanding(TruckScene):
    """The white truck stands across the road from the start; by seed another part of the trailer is in the lane."""

    DISTANCE = (160.0, 300.0)  # beyond what the expert would wait for

    def build(self) -> None:
        self.add_truck(math.inf).stand(float(self.rng.uniform(0.0, 3.5)))


@SCENES.register("oncoming_drift")
class OncomingDrift(Scene):
    """Oncoming cars that weave from edge to edge of their own lane."""

    def build(self) -> None:
        first = float(self.rng.uniform(60.0, 120.0))
        for k in range(5):
            s = self.start + first + k * self.road.length / 5
            self.actors.append(DriftingCar(self.road, self.rng, s, float(self.rng.uniform(8.0, 14.0))))
