# SPDX-License-Identifier: Apache-2.0
"""Other vehicles: what they look like, the scripts they follow, and how far away the nearest one on the path is."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tidegate.records import Floats
from tidegate.simulation.car import CHASSIS_BIT
from tidegate.simulation.engine import mujoco
from tidegate.simulation.road import OTHER_LANE, Place, Road

GROUP_SOLID = 3
"""What the range sensor sees besides the ground."""
PREFIX = "vehicle"

Paint = tuple[float, float, float]
Box = tuple[tuple[float, float, float], tuple[float, float, float], Paint, bool]
"""Centre, half sizes [m], colour, whether it is solid (else trim)."""

_RUBBER: Paint = (0.06, 0.06, 0.06)
_GLASS: Paint = (0.10, 0.12, 0.15)
TRAILER_FLOOR = 1.2


@dataclass(frozen=True, slots=True)
class Body:
    """Boxes and wheels (centre, radius) of a vehicle, and its outline: ``front``, ``rear`` x, half ``width`` [m]."""

    boxes: tuple[Box, ...]
    wheels: tuple[tuple[float, float, float], ...]
    front: float
    rear: float
    width: float


def car_body(paint: Paint) -> Body:
    """A saloon, origin on the ground below its centre."""
    return Body(
        boxes=(
            ((0.0, 0.0, 0.58), (2.1, 0.88, 0.33), paint, True),
            ((-0.2, 0.0, 1.18), (1.1, 0.78, 0.28), paint, True),
            ((-1.3, 0.0, 1.20), (0.02, 0.70, 0.20), _GLASS, False),
            ((0.9, 0.0, 1.20), (0.02, 0.70, 0.20), _GLASS, False),
            ((-2.1, 0.65, 0.70), (0.02, 0.12, 0.07), (0.8, 0.05, 0.05), False),
            ((-2.1, -0.65, 0.70), (0.02, 0.12, 0.07), (0.8, 0.05, 0.05), False),
        ),
        wheels=tuple((x, y, 0.32) for x in (-1.3, 1.3) for y in (-0.8, 0.8)),
        front=2.1,
        rear=-2.1,
        width=0.88,
    )


def truck_body() -> Body:
    """A white articulated truck: under the trailer's floor, 1.2 m above the road, there is nothing but air."""
    white = (0.95, 0.95, 0.95)
    return Body(
        boxes=(
            ((-1.5, 0.0, TRAILER_FLOOR + 1.35), (6.0, 1.25, 1.35), white, True),
            ((5.9, 0.0, 1.75), (1.1, 1.2, 1.3), white, True),
            ((5.2, 0.0, 0.75), (1.9, 0.5, 0.2), _RUBBER, True),
            ((7.0, 0.0, 2.3), (0.02, 1.05, 0.4), _GLASS, False),
        ),
        wheels=tuple((x, y, 0.5) for x in (-6.2, -4.9, 4.0, 6.0) for y in (-1.05, 1.05)),
        front=7.0,
        rear=-7.5,
        width=1.25,
    )


def add_body(spec: Any, name: str, body: Body) -> None:
    """Add a vehicle as a mocap body to a ``MjSpec``; it goes where its script says and cannot be pushed."""
    made = spec.worldbody.add_body(name=name, mocap=True)
    spec.add_material(name=f"{name}_paint", emission=0.3, specular=0.2)  # painted metal shines in the shade too
    for index, (centre, half, paint, solid) in enumerate(body.boxes):
        made.add_geom(
            name=f"{name}_box{index}",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=centre,
            size=half,
            rgba=[*paint, 1],
            material=f"{name}_paint",
            group=GROUP_SOLID,
            contype=0,
            conaffinity=CHASSIS_BIT if solid else 0,
        )
    for index, (x, y, radius) in enumerate(body.wheels):
        made.add_geom(
            name=f"{name}_wheel{index}",
            type=mujoco.mjtGeom.mjGEOM_CYLINDER,
            pos=[x, y, radius],
            size=[radius, 0.12, 0],
            quat=[math.sqrt(0.5), math.sqrt(0.5), 0, 0],
            rgba=[*_RUBBER, 1],
            group=GROUP_SOLID,
            contype=0,
            conaffinity=CHASSIS_BIT,
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """The car under test, as scripts see it: lane position ``s`` [m], ``distance`` driven [m], ``speed`` [m/s]."""

    s: float
    distance: float
    speed: float


def _outline(body: Body) -> Floats:
    """Points (M, 2) [m] around a body, about 1 m apart."""
    x = np.linspace(body.rear, body.front, 2 + int(body.front - body.rear))
    y = np.linspace(-body.width, body.width, 4)
    sides = np.stack([np.tile(x, 2), np.repeat([-body.width, body.width], len(x))], axis=1)
    ends = np.stack([np.repeat([body.rear, body.front], len(y)), np.tile(y, 2)], axis=1)
    return np.concatenate([sides, ends])


class Actor(ABC):
    """A vehicle with a script; ``x, y`` [m], ``yaw`` [rad] and ``speed`` [m/s] along its yaw are its state."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self.x = self.y = self.yaw = self.speed = 0.0

    @abstractmethod
    def advance(self, dt: float, ego: Progress) -> None:
        """Move on by ``dt`` [s] of true time."""

    @abstractmethod
    def footprint(self, road: Road, place: Place, ahead_s: float) -> tuple[Floats, Floats] | None:
        """Arc lengths (M,) [m] from ``place`` (of the car under test) and offsets (M,) [m] of points of its outline,
        moved on by ``ahead_s`` [s] at the present speed; None when it is far from the lane."""


class LaneCar(Actor):
    """A car that keeps to a lane for ever: the own lane (``direction`` 1) or the other one (−1)."""

    def __init__(self, road: Road, rng: np.random.Generator, s: float, cruise: float, direction: int = 1) -> None:
        super().__init__(car_body(tuple(float(value) for value in rng.uniform(0.05, 0.75, 3))))  # type: ignore[arg-type]
        self.road, self.direction, self.cruise, self.s = road, direction, cruise, s
        self.lateral = 0.0 if direction > 0 else OTHER_LANE
        self.braking = 3.0
        self.time = 0.0
        self.sway = float(rng.uniform(0, 2 * math.pi))
        self.stops: list[tuple[float, float]] = []
        self.wait_until = -math.inf
        self.barrier: CrossingTruck | None = None
        self.speed = 0.0 if direction > 0 else cruise
        self._place()

    def brake_now_and_then(self, rng: np.random.Generator, every_s: tuple[float, float] = (18.0, 50.0)) -> None:
        """Stop for some seconds, again and again after a time drawn from ``every_s``."""
        start = 15.0
        for _ in range(40):
            start += float(rng.uniform(*every_s))
            self.stops.append((start, start + float(rng.uniform(5.0, 9.0))))

    def advance(self, dt: float, ego: Progress) -> None:
        self.time += dt
        bend = math.sqrt(2.0 / max(abs(self.road.curvature_at(self.s)), 1e-3))
        wanted = min(self.cruise + 0.7 * math.sin(0.25 * self.time + self.sway), bend)
        if ego.distance < self.wait_until or any(start <= self.time < end for start, end in self.stops):
            wanted = 0.0
        behind = self.direction * (ego.s - self.s) % self.road.length
        if self.direction > 0 and behind < 15.0:  # a lap ahead, so to speak: never run into the car under test
            wanted = 0.0
        if self.barrier is not None and self.barrier.crossing:
            room = (self.direction * (self.barrier.site - self.s)) % self.road.length - 12.0
            wanted = min(wanted, math.sqrt(max(0.0, 4.0 * room))) if room < 60.0 else wanted
        self._roll(dt, wanted, 1.5)

    def _roll(self, dt: float, wanted: float, gain: float) -> None:
        """Drive on for ``dt`` [s], towards the speed ``wanted`` [m/s] by at most ``gain`` [m/s²]."""
        self.speed += min(max(wanted - self.speed, -self.braking * dt), gain * dt)
        self.s += self.direction * self.speed * dt / (1 - self.road.curvature_at(self.s) * self.lateral)
        self._place()

    def footprint(self, road: Road, place: Place, ahead_s: float) -> tuple[Floats, Floats] | None:
        away = math.remainder(self.s + self.direction * self.speed * ahead_s - place.s, road.length)
        if self.direction < 0 or abs(away) > 160.0:  # the other lane never reaches into this one
            return None
        x, y = self.body.front, self.body.width
        return away + np.array([-x, -x, x, x]), np.array([0.0, y, 0.0, y])

    def _place(self) -> None:
        self.x, self.y, yaw = self.road.point(self.s, self.lateral)
        self.yaw = yaw if self.direction > 0 else yaw + math.pi


class CrossingTruck(Actor):
    """Waits beside the road, crosses when the car under test comes near, halts with the trailer across the lane, and
    either clears the road after ``pause_s`` [s] or (inf) never."""

    def __init__(self, road: Road, rng: np.random.Generator, site: float, distance: float, pause_s: float) -> None:
        """``site``: arc length [m] where it crosses; ``distance`` [m] the car has driven when it reaches the site."""
        super().__init__(truck_body())
        self.site, self.distance, self.pause_s = site, distance, pause_s
        self.trigger = distance - float(rng.uniform(60.0, 80.0))
        self.side = float(rng.choice([-1.0, 1.0]))
        self.heading = road.point(site)[2] - self.side * math.pi / 2 + float(rng.uniform(-0.12, 0.12))
        self.target = road.point(site)[:2]
        # along its path the trailer's middle is at −1.5 m: u = 1.5 has it over the lane centre
        self.start = -(9.5 if self.side < 0 else 11.0) - self.body.front
        self.u = self.start
        self.paused = 0.0
        self.yaw = self.heading
        self._index = road.locate(*self.target).index
        self._outline = _outline(self.body)
        self._place()

    @property
    def crossing(self) -> bool:
        """Whether it is on its way over the road or about to be."""
        return self.u > self.start and self.u < 14.0

    def stand(self, past: float) -> None:
        """Stand across the road from the start, the trailer's middle ``past`` ≥ 0 [m] beyond the lane's centre."""
        self.u = 1.5 + past
        self._place()

    def advance(self, dt: float, ego: Progress) -> None:
        wanted = 3.2 if ego.distance >= self.trigger else 0.0
        if self.u >= 1.5 and self.paused < self.pause_s:
            wanted, self.paused = 0.0, self.paused + dt
        if self.u > 26.0:
            wanted = 0.0
        # halts hard where its script says: the trailer, not the cab, must be what stands in the lane
        self.speed += min(max(wanted - self.speed, -4.0 * dt), 2.0 * dt)
        self.u += self.speed * dt
        self._place()

    def footprint(self, road: Road, place: Place, ahead_s: float) -> tuple[Floats, Floats] | None:
        if math.hypot(self.x - self.target[0], self.y - self.target[1]) > 30.0:
            return None
        away = math.remainder(self.site - place.s, road.length)
        c, s = math.cos(self.heading), math.sin(self.heading)
        shift = np.array([self.x + ahead_s * self.speed * c, self.y + ahead_s * self.speed * s])
        along, offset = road.project(self._outline @ np.array([[c, s], [-s, c]]) + shift, self._index, 40.0)
        return along - self._index * road.step + away, offset

    def _place(self) -> None:
        self.x = self.target[0] + self.u * math.cos(self.heading)
        self.y = self.target[1] + self.u * math.sin(self.heading)


@dataclass(frozen=True, slots=True)
class Gap:
    """Free way ``distance`` [m] along the lane to the nearest outline in the corridor; its ``speed`` along it [m/s]."""

    distance: float = math.inf
    speed: float = 0.0


def nearest(
    road: Road, actors: Sequence[Actor], place: Place, half_width: float, horizon: Sequence[float] = (0.0,)
) -> Gap:
    """Nearest vehicle ahead of ``place`` whose outline, now or after one of ``horizon`` [s], is in the corridor of
    ±``half_width`` [m] around the lane centre. Vehicles beyond 150 m, or more than 10 m behind, do not count."""
    best = Gap()
    for actor in actors:
        for ahead in horizon:
            found = actor.footprint(road, place, ahead)
            if found is None:
                continue
            along, offset = found
            # a vehicle counts as soon as its outline, corners or side, reaches into the corridor
            inside = along[(np.abs(offset) <= half_width) & (np.abs(along) < 150.0)]
            if len(inside) and inside.max() > -10.0 and inside.min() < best.distance:
                distance = float(inside.min())
                heading = road.yaw[int((place.s + distance) / road.step) % len(road.yaw)]
                best = Gap(distance, actor.speed * math.cos(actor.yaw - heading))
    return best
