# SPDX-License-Identifier: Apache-2.0
"""What happens on the road: scenes by name. A package may add its own through the entry point ``tidegate.scenes``."""

from __future__ import annotations

import math
from enum import Enum

import numpy as np

from tidegate.errors import SceneError
from tidegate.records import Floats
from tidegate.registry import Registry
from tidegate.simulation.road import Road, make_circle, make_road
from tidegate.simulation.traffic import Actor, CrossingTruck, LaneCar, Progress

SCENES: Registry[type[Scene]] = Registry("scenes")


class CameraFault(Enum):
    """What is wrong with the camera."""

    NONE = 0
    WHITE = 1
    LOST = 2


class Scene:
    """An empty road; other scenes add actors or faults. ``start`` is the arc length [m] where the car starts.

    ``straight`` [m]: the road of the scene has a straight stretch of at least this length; ``steepest`` (rise over
    run): its hills are no steeper.
    """

    straight = 0.0
    steepest = 0.06

    @classmethod
    def lay_road(cls, seed: int) -> Road:
        """The road of a seed.

        Raises:
            SceneError: no road of this seed suits the scene.
        """
        return make_road(seed, straight=cls.straight)

    def __init__(self, road: Road, seed: int) -> None:
        self.road = road
        self.rng = np.random.default_rng([seed, 7])
        self.start = self.draw_start(road.straightest(0.0, road.length))
        self.goal = road.length
        self.actors: list[Actor] = []
        self.clearings: list[tuple[float, float]] = []
        self.build()

    def draw_start(self, straight: Floats) -> float:
        """Draw the start [m] from places (N,) [m] along the road, the straightest first."""
        return float(straight[self.rng.integers(len(straight) // 3)])

    def build(self) -> None:
        """Add ``actors`` and ``clearings`` (places [m] where nothing may grow)."""

    def camera_fault(self, ego: Progress) -> CameraFault:
        """State of the camera when the car is at ``ego``."""
        return CameraFault.NONE

    def add_oncoming(self, count: int = 3) -> None:
        """Cars in the other lane, spread over the lap."""
        first = float(self.rng.uniform(80.0, 200.0))
        for k in range(count):
            s = self.start + first + k * self.road.length / count
            self.actors.append(LaneCar(self.road, self.rng, s, float(self.rng.uniform(8.0, 12.0)), direction=-1))


class TruckScene(Scene):
    """Scenes in which a truck crosses where the road is straight, ``DISTANCE`` [m] after the start."""

    straight = 95.0
    DISTANCE = (250.0, 480.0)

    def draw_start(self, straight: Floats) -> float:
        """The truck's site is the road's straightest; the start lies before it, where the road is rather straight."""
        lap = self.road.length
        self.site = float(self.road.straightest(0.0, lap, before=75.0, after=10.0)[0])
        low, high = self.DISTANCE
        before = (self.site - straight) % lap
        fitting = straight[(before >= low) & (before <= min(high, lap - 120.0))]
        return float(fitting[self.rng.integers(max(1, len(fitting) // 3))])

    def add_truck(self, pause_s: float) -> CrossingTruck:
        """A truck that crosses at ``site``."""
        distance = (self.site - self.start) % self.road.length
        truck = CrossingTruck(self.road, self.rng, self.start + distance, distance, pause_s)
        self.actors.append(truck)
        for u in np.arange(-40.0, 60.0, 8.0):
            self.clearings.append(
                (truck.target[0] + u * math.cos(truck.heading), truck.target[1] + u * math.sin(truck.heading))
            )
        return truck


@SCENES.register("road")
class EmptyRoad(Scene):
    """Nobody else about."""


@SCENES.register("road_whiteout")
class RoadWhiteout(EmptyRoad):
    """Nobody else about, and the camera is over-exposed all along."""

    def camera_fault(self, ego: Progress) -> CameraFault:
        return CameraFault.WHITE


@SCENES.register("traffic")
class Traffic(Scene):
    """A slower car ahead that now and then brakes to a stop, and oncoming cars."""

    def build(self) -> None:
        lead = LaneCar(self.road, self.rng, self.start + 45.0, float(self.rng.uniform(6.0, 9.0)))
        lead.brake_now_and_then(self.rng)
        self.actors.append(lead)
        self.add_oncoming()


@SCENES.register("truck")
class Truck(TruckScene):
    """A white truck crosses and halts across the lane; it clears the road after some seconds, or never."""

    def build(self) -> None:
        breaks_down = bool(self.rng.random() < 0.5)
        self.truck = self.add_truck(math.inf if breaks_down else float(self.rng.uniform(5.0, 9.0)))


@SCENES.register("truck_whiteout")
class TruckWhiteout(Truck):
    """The same, and from 60 m before the truck on the camera is over-exposed."""

    def camera_fault(self, ego: Progress) -> CameraFault:
        return CameraFault.WHITE if ego.distance >= self.truck.distance - 60.0 else CameraFault.NONE


@SCENES.register("camera_lost")
class CameraLost(Scene):
    """Frames stop for good somewhere, in a bend or on a straight."""

    def build(self) -> None:
        self.lost_at = float(self.rng.uniform(60.0, self.road.length - 60.0))

    def camera_fault(self, ego: Progress) -> CameraFault:
        return CameraFault.LOST if ego.distance >= self.lost_at else CameraFault.NONE


@SCENES.register("demo")
class Demo(TruckScene):
    """One lap with everything: oncoming cars, the white truck, and behind it a slower car that sets off."""

    def build(self) -> None:
        truck = self.add_truck(float(self.rng.uniform(3.0, 5.0)))
        lead = LaneCar(self.road, self.rng, truck.site + 45.0, float(self.rng.uniform(6.5, 7.5)))
        lead.wait_until = truck.trigger
        self.actors.append(lead)
        before = len(self.actors)
        self.add_oncoming()
        for actor in self.actors[before:]:
            if isinstance(actor, LaneCar):
                actor.barrier = truck


@SCENES.register("proving_ground")
class ProvingGround(Scene):
    """Flat, nobody else about, the road as good as straight: where ``tidegate calibrate`` drives its manoeuvre."""

    steepest = 0.0

    @classmethod
    def lay_road(cls, seed: int) -> Road:
        return make_circle(300.0)


def make_scene(name: str, seed: int) -> Scene:
    """Build a scene by name, on the road of the seed.

    Raises:
        SceneError: unknown name, or no road of this seed suits the scene.
    """
    try:
        kind = SCENES[name]
    except KeyError as error:
        raise SceneError(str(error.args[0])) from error
    return kind(kind.lay_road(seed), seed)
