# SPDX-License-Identifier: Apache-2.0
"""The truth of a car on a road of ours, from its true motion alone: for worlds with physics of their own."""

from __future__ import annotations

import math

import numpy as np

from tidegate.errors import SceneError
from tidegate.records import JointStates, seconds
from tidegate.robot import Car
from tidegate.settings import Settings
from tidegate.simulation.excess import Excess
from tidegate.simulation.road import unpaved
from tidegate.simulation.scene import make_scene
from tidegate.simulation.terrain import make_terrain
from tidegate.simulation.truth import Truth

Pose = tuple[float, float, float, float]
"""x, y, z of ``base_link`` [m], yaw [rad]."""


class Track:
    """Road and hills of a scene without vehicles, and how far a car got on them.

    Attributes:
        scene, road, terrain: as in the embedded world of the same name and seed; the car starts at ``scene.start``.
    """

    def __init__(self, settings: Settings, car: Car, scene: str, seed: int) -> None:
        """Lay the road.

        Raises:
            SceneError: unknown scene, no road for this seed, or a scene with vehicles: nobody would move them.
        """
        self.scene = make_scene(scene, seed)
        if self.scene.actors:
            raise SceneError(f"scene '{scene}' has vehicles, which this simulator does not move; take one without")
        self.road = self.scene.road
        self.terrain = make_terrain(seed, self.road, self.scene.steepest)
        self._car, self._preview = car, settings.perception.preview_m
        self._excess = Excess(car, settings.vehicle.speed_max)
        half = car.track / 2
        self._wheels = np.array([(x, y) for x in (0.0, car.wheelbase) for y in (-half, half)])
        self._last: Truth | None = None
        self._index: int | None = None

    def start(self) -> Pose:
        """Where the embedded world stands the car: in its lane, on the ground."""
        x, y, yaw = self.road.point(self.scene.start)
        return x, y, float(self.terrain.planes(np.array([[x, y]]))[0, 0]), yaw

    def advance(self, pose: Pose, speed: float, yaw_rate: float, joints: JointStates) -> Truth:
        """The truth at the stamp of ``joints``, which are true ones; call it once a tick, for it adds up the distance.

        Args:
            pose: of ``base_link``.
            speed: along the car [m/s].
            yaw_rate: [rad/s].
            joints: all of the car's.
        """
        x, y, z, yaw = pose
        place, before, stamp = self.road.locate(x, y, self._index), self._last, joints.stamp
        self._index = place.index
        self._excess.look(
            [joints.velocity.item(joints.names.index(name)) for name in self._car.joint_names],
            [joints.position.item(joints.names.index(name)) for name in self._car.steer_joints],
            speed,
        )
        worst = max(self._excess.found, key=self._excess.found.__getitem__, default="")
        _, dx, dy = self.terrain.planes(np.array([[x, y]]))[0].tolist()
        came = 0.0 if before is None else math.remainder(place.s - before.s, self.road.length)
        distance = came + (0.0 if before is None else before.distance)
        passed = 0.0 if before is None else seconds(stamp - before.stamp)
        self._last = Truth(
            stamp=stamp,
            x=x,
            y=y,
            z=z,
            yaw=yaw,
            speed=speed,
            acceleration=(speed - before.speed) / passed if before is not None and passed > 0 else 0.0,
            yaw_rate=yaw_rate,
            s=place.s,
            distance=distance,
            laps=distance / self.road.length,
            offset=place.offset,
            heading=math.remainder(yaw - place.yaw, 2 * math.pi),
            curvature=np.array([self.road.curvature_at(place.s + ahead) for ahead in self._preview]),
            slope=dx * math.cos(yaw) + dy * math.sin(yaw),
            wheels_off=self._wheels_off(x, y, yaw, place.index),
            gap=math.inf,
            gap_speed=0.0,
            contact=False,
            contacts=0,
            limit_excess=self._excess.found.get(worst, 0.0),
            limit_worst=worst,
            goal=self.scene.goal,
            camera_ok=True,
            sink_braking=False,
        )
        return self._last

    def _wheels_off(self, x: float, y: float, yaw: float, index: int) -> bool:
        """Whether a wheel stands beyond the paved edge; hills are too flat for their slope to matter."""
        c, s = math.cos(yaw), math.sin(yaw)
        _, offset = self.road.project(np.array([x, y]) + self._wheels @ np.array([[c, s], [-s, c]]), index, 20.0)
        return bool(unpaved(offset).any())
