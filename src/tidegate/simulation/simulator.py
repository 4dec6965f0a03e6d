# SPDX-License-Identifier: Apache-2.0
"""The embedded world, one control period at a time: sensors out, joint efforts in. Same seed, same bytes.

Long because one object owns the physics' state; camera, sensors, actuators and traffic are modules of their own.
"""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import SceneError
from tidegate.records import NANOSECONDS, Command, Frame, Imu, JointStates, Odometry, Points, nanoseconds, seconds
from tidegate.robot import Car
from tidegate.settings import Settings
from tidegate.simulation.camera import Camera
from tidegate.simulation.car import pad_name
from tidegate.simulation.engine import mujoco
from tidegate.simulation.excess import Excess
from tidegate.simulation.restage import Change, Stage
from tidegate.simulation.road import unpaved
from tidegate.simulation.scene import CameraFault
from tidegate.simulation.sensors import Proprioception, RangeSensor
from tidegate.simulation.sink import Sink
from tidegate.simulation.traffic import Gap, Progress, nearest
from tidegate.simulation.truth import Truth
from tidegate.simulation.world import VEHICLE, make_world

EPOCH = NANOSECONDS
"""Stamp of the first tick [ns]."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What the sensors deliver at one tick; None = nothing due."""

    joints: JointStates
    odometry: Odometry
    imu: Imu
    points: Points | None
    frame: Frame | None


class Simulator:
    """A car on a road by seed, in lock-step: ``observe``, ``apply``, ``step``."""

    def __init__(self, settings: Settings, scene: str = "road", seed: int = 0, *, camera: bool = True) -> None:
        """Build the world and stand the car on the road.

        Raises:
            SceneError: unknown scene, no road for this seed, or a physics step that does not divide the period.
            RobotError: a URDF that is no car.
            DependencyError: MuJoCo or (with ``camera``) a graphics library is absent.
        """
        self.settings, self.car = settings, Car.from_settings(settings)
        self._period = nanoseconds(1 / settings.safety.rate_hz)
        ratio = 1 / (settings.safety.rate_hz * settings.simulator.physics_step_s)
        self._substeps = round(ratio)
        if self._substeps < 1 or abs(ratio - self._substeps) > 1e-6:
            raise SceneError(
                f"simulator.physics_step_s is {settings.simulator.physics_step_s:g} s; it must divide the period of "
                f"safety.rate_hz, {1 / settings.safety.rate_hz:g} s"
            )
        self.world = make_world(settings, self.car, scene, seed, drawn=camera)
        self.road, self.scene = self.world.road, self.world.scene
        self._model = self.world.model
        self._data = mujoco.MjData(self._model)
        self._camera = Camera(settings, self.world, seed) if camera else None
        self._stage = Stage(settings, self.world, seed) if camera else None
        self._sink = Sink(settings, self.car, self._model)
        self._feel = Proprioception(settings, self.car, self.world, seed)
        self._range = RangeSensor(settings, self.car, self.world, seed)
        self._frames: deque[tuple[int, Frame]] = deque()
        self._observation: Observation | None = None
        self._index_model()
        self._tick = 0
        self._distance = 0.0
        self._ego = Progress(0.0, 0.0, 0.0)
        self._acceleration = 0.0
        self._contacts, self._touching = 0, False
        self._excess = Excess(self.car, settings.vehicle.speed_max)
        self._place_car(self.scene.start, 0.0, 0.0, 0.0)

    @property
    def now(self) -> int:
        """Simulated time [ns]."""
        return EPOCH + self._tick * self._period

    @property
    def speed(self) -> float:
        """True speed [m/s], as in ``truth``."""
        return self._ego.speed

    def observe(self) -> Observation:
        """What the sensors deliver at this tick; asking twice gives the same."""
        if self._observation is None:
            self._observation = self._sense()
        return self._observation

    def apply(self, command: Command) -> None:
        """Hand joint efforts to the actuators, which latch them until the next command or their time-out.

        Raises:
            RobotError: the command names a joint that the car does not have.
        """
        self._sink.apply(command, self.now)

    def step(self) -> None:
        """Advance one control period."""
        self.observe()  # frames and noise do not depend on whether anybody looked
        before = self._ego.speed
        self._sink.actuate(self._data, self.now)
        data = self._data
        for _ in range(self._substeps):
            mujoco.mj_step(self._model, data)
            speed = self._speed()
            self._excess.look(data.qvel[self._joint_dofs].tolist(), data.qpos[self._steering].tolist(), speed)
        self._acceleration = (speed - before) / seconds(self._period)
        self._tick += 1
        self._observation = None
        self._follow_road(speed)
        for actor in self.scene.actors:
            actor.advance(seconds(self._period), self._ego)
        self._place_actors()
        self._find_contacts()

    def truth(self) -> Truth:
        """True state; only evaluation, the expert and training labels may read it."""
        place, car = self._place, self.car
        x, y, z = self._data.qpos[:3].tolist()
        yaw = self._yaw()
        gap = self.obstacle()
        _, dx, dy = self.world.terrain.planes(np.array([[x, y]]))[0].tolist()
        excess = self._excess.found | self._sink.excess
        worst = max(excess, key=excess.__getitem__, default="")
        preview = self.settings.perception.preview_m
        return Truth(
            stamp=self.now,
            x=x,
            y=y,
            z=z,
            yaw=yaw,
            speed=self._ego.speed,
            acceleration=self._acceleration,
            yaw_rate=float(self._data.qvel[5]),
            s=place.s,
            distance=self._distance,
            laps=self._distance / self.road.length,
            offset=place.offset,
            heading=math.remainder(yaw - place.yaw, 2 * math.pi),
            curvature=np.array([self.road.curvature_at(place.s + ahead) for ahead in preview]),
            slope=dx * math.cos(yaw) + dy * math.sin(yaw),
            wheels_off=self._wheels_off(),
            gap=gap.distance - car.front,
            gap_speed=gap.speed,
            contact=self._touching,
            contacts=self._contacts,
            limit_excess=excess.get(worst, 0.0),
            limit_worst=worst,
            goal=self.scene.goal,
            camera_ok=self.scene.camera_fault(self._ego) is CameraFault.NONE,
            sink_braking=self._sink.silent,
        )

    def obstacle(self, horizon: Sequence[float] = (0.0,), margin: float = 0.2) -> Gap:
        """Nearest vehicle in the lane, now or within ``horizon`` [s] at its present speed; distance from ``base_link``.

        ``margin`` [m] is added on both sides of the car's width.
        """
        return nearest(self.road, self.scene.actors, self._place, self.car.width / 2 + margin, horizon)

    def masks(self) -> dict[str, NDArray[np.bool_]]:
        """What each pixel of a picture taken now would show, (H, W) bool by class.

        Raises:
            SceneError: made without a camera.
        """
        return self._eyes().masks(self._data)

    def frame_due(self, tick: int) -> bool:
        """Whether the camera takes a picture at ``tick``: at its rate; asked once for each, in their order."""
        return _due(tick, self._frame_every)

    def restaged(self, change: Change) -> NDArray[np.uint8]:
        """A picture (H, W, 3) uint8 RGB taken now of a world with a ``change``; nothing else notices it.

        All pictures of one tick have the same noise, so that what differs between them is the change alone.

        Raises:
            SceneError: made without a camera.
        """
        self._eyes()
        assert self._stage is not None
        return self._stage.picture(self._data, self._place, change, self._tick)

    def horizon(self) -> float:
        """Row of a picture taken now, from its top edge, at which a flat world would end.

        Raises:
            SceneError: made without a camera.
        """
        return self._eyes().horizon(self._data)

    def chase_view(self, width: int = 1280, height: int = 720) -> NDArray[np.uint8]:
        """A picture (height, width, 3) uint8 RGB of the car from outside.

        Raises:
            SceneError: made without a camera.
        """
        return self._eyes().chase(self._data, width, height)

    def perturb(self, lateral_m: float, yaw_rad: float) -> None:
        """Shift the car to the left and turn it, keeping its speed and steering."""
        place, speed = self._place, self._ego.speed
        self._place_car(place.s, place.offset + lateral_m, self._yaw() - place.yaw + yaw_rad, speed)
        self._observation = None

    def shift(self, lateral_m: float, yaw_rad: float) -> None:
        """Have come here farther to the left and turned, with all the car's motions as they are in its own frame.

        ``perturb`` takes yaw rate and slip away; this is the same drive elsewhere in the lane.
        """
        data, (x, y, _) = self._data, self.road.point(self._place.s, self._place.offset)
        there = self.road.point(self._place.s, self._place.offset + lateral_m)[:2]
        heights = self.world.terrain.planes(np.array([(x, y), there]))[:, 0]
        turn, turned = np.empty(4), np.empty(4)
        mujoco.mju_axisAngle2Quat(turn, np.array([0.0, 0.0, 1.0]), yaw_rad)
        mujoco.mju_mulQuat(turned, turn, data.qpos[3:7])
        data.qpos[:3] += there[0] - x, there[1] - y, heights[1] - heights[0]
        data.qpos[3:7] = turned
        c, s = math.cos(yaw_rad), math.sin(yaw_rad)
        data.qvel[:2] = np.array([[c, -s], [s, c]]) @ data.qvel[:2]
        mujoco.mj_kinematics(self._model, data)
        self._follow_road(self._speed())
        mujoco.mj_forward(self._model, data)
        self._observation = None

    def place(self, s: float, offset: float = 0.0, heading: float = 0.0, speed: float = 0.0) -> None:
        """Set the car down elsewhere: arc length ``s`` [m], pose in the lane [m, rad], rolling at ``speed`` [m/s].

        The distance driven counts from the scene's start, as if the car had come from there within the first lap.
        """
        self._place_car(s, offset, heading, speed)
        self._distance = (s - self.scene.start) % self.road.length
        self._ego = replace(self._ego, distance=self._distance)
        self._observation = None

    def state_hash(self) -> str:
        """SHA-256 of positions and velocities."""
        return hashlib.sha256(self._data.qpos.tobytes() + self._data.qvel.tobytes()).hexdigest()

    def close(self) -> None:
        """Release the graphics context."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None
        if self._stage is not None:
            self._stage.close()
            self._stage = None

    def __enter__(self) -> Simulator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _eyes(self) -> Camera:
        if self._camera is None:
            raise SceneError("this simulator has no camera; make it with camera=True")
        return self._camera

    def _index_model(self) -> None:
        """Look up the addresses of joints, pads and vehicles once."""
        model = self._model
        self._joint_dofs = np.array([model.joint(name).dofadr[0] for name in self.car.joint_names])
        self._steering = np.array([model.joint(name).qposadr[0] for name in self.car.steer_joints])
        self._wheel_dofs = np.array([model.joint(name).dofadr[0] for name in self.car.wheel_joints])
        bodies = (self.car.description.joint(name).child for name in self.car.wheel_joints)
        self._wheel_bodies = np.array([model.body(name).id for name in bodies])
        self._pads = np.array([model.body(pad_name(index)).mocapid[0] for index in range(len(self.car.wheel_joints))])
        actors = range(len(self.scene.actors))
        self._vehicles = np.array([model.body(VEHICLE.format(index)).mocapid[0] for index in actors], dtype=int)
        self._shell = {model.geom(name).id for name in ("chassis", "cabin")}
        self._frame_every = self.settings.safety.rate_hz / self.settings.camera.rate_hz
        self._scan_every = self.settings.safety.rate_hz / self.settings.ranging.rate_hz

    def _sense(self) -> Observation:
        joints, odometry, imu = self._feel.measure(self.now, self._data, self._sink.effort(self._data))
        points = self._range.scan(self.now, self._data) if _due(self._tick, self._scan_every) else None
        fault = self.scene.camera_fault(self._ego)
        if self._camera is not None and self.frame_due(self._tick) and fault is not CameraFault.LOST:
            frame = Frame(self.now, self._camera.capture(self._data, fault))
            self._frames.append((self.now + nanoseconds(self.settings.camera.latency_s), frame))
        ready = self._frames and self._frames[0][0] <= self.now
        return Observation(joints, odometry, imu, points, self._frames.popleft()[1] if ready else None)

    def _place_car(self, s: float, offset: float, heading: float, speed: float) -> None:
        """Stand the car on the road with its wheels turning at ``speed`` [m/s]."""
        x, y, yaw = self.road.point(s, offset)
        position, orientation = self.world.terrain.frames(np.array([[x, y]]), [yaw + heading])
        data = self._data
        data.qpos[:3], data.qpos[3:7] = position[0], orientation[0]
        mujoco.mj_kinematics(self._model, data)
        ahead = data.xmat[self._model.body("base_link").id].reshape(3, 3)[:, 0]
        data.qvel[:3], data.qvel[3:6] = speed * ahead, 0.0
        data.qvel[self._wheel_dofs] = speed / self.car.wheel_radius
        self._place = self.road.locate(x, y)
        self._follow_road(self._speed())
        self._place_actors()
        mujoco.mj_forward(self._model, data)

    def _follow_road(self, speed: float) -> None:
        """Move the ground pads below the wheels and find the car, now at ``speed`` [m/s], on the road again."""
        data = self._data
        self._stand(self._pads, data.xpos[self._wheel_bodies, :2], (0.0,) * len(self._pads))
        before = self._place.s
        self._place = self.road.locate(float(data.qpos[0]), float(data.qpos[1]), self._place.index)
        self._distance += math.remainder(self._place.s - before, self.road.length)
        self._ego = Progress(self._place.s, self._distance, speed)

    def _place_actors(self) -> None:
        actors = self.scene.actors
        if actors:
            self._stand(self._vehicles, np.array([(one.x, one.y) for one in actors]), [one.yaw for one in actors])

    def _stand(self, bodies: NDArray[np.int64], xy: NDArray[np.float64], yaw: Sequence[float]) -> None:
        self._data.mocap_pos[bodies], self._data.mocap_quat[bodies] = self.world.terrain.frames(xy, yaw)

    def _find_contacts(self) -> None:
        touching = not self._shell.isdisjoint(self._data.contact.geom.ravel().tolist())
        self._contacts += touching and not self._touching
        self._touching = touching

    def _yaw(self) -> float:
        w, x, y, z = self._data.qpos[3:7].tolist()
        return math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))

    def _speed(self) -> float:
        """Speed of ``base_link`` along the car's x axis [m/s]."""
        w, x, y, z = self._data.qpos[3:7].tolist()
        vx, vy, vz = self._data.qvel[:3].tolist()
        speed: float = (1 - 2 * (y * y + z * z)) * vx + 2 * (x * y + w * z) * vy + 2 * (x * z - w * y) * vz
        return speed

    def _wheels_off(self) -> bool:
        if abs(self._place.offset) < 0.5:  # within ±0.5 m no wheel can be beyond the edge
            return False
        _, offset = self.road.project(self._data.xpos[self._wheel_bodies, :2], self._place.index, 20.0)
        return bool(unpaved(offset).any())


def _due(tick: int, every: float) -> bool:
    """Whether something that happens each ``every`` ticks, starting with tick 0, happens at ``tick``."""
    return math.floor(tick / every + 1e-9) > math.floor((tick - 1) / every + 1e-9)
