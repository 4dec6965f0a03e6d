# SPDX-License-Identifier: Apache-2.0
"""A simulator of one's own in one file: a kinematic car on a road of the embedded world, and a drawn picture of it.

tidegate evaluate --simulator bicycle:Bicycle

What it must have is told in ``tidegate.evaluation.simulators``. No tyres, no suspension, no motors: wheels roll where
they point, and a force is an acceleration. Only the picture has noise: a camera that repeats itself to the last bit
counts as frozen.
"""

from __future__ import annotations

import hashlib
import math
from collections import deque
from types import TracebackType

import cv2
import numpy as np

from tidegate.records import Command, Frame, Imu, JointStates, Odometry, Points, nanoseconds, seconds
from tidegate.robot import GRAVITY, Car, rotation
from tidegate.settings import Settings
from tidegate.simulation import EPOCH, Observation, Truth
from tidegate.simulation.road import CENTRE_LINE, LEFT_LINE, PAVED_LEFT, PAVED_RIGHT, RIGHT_LINE
from tidegate.simulation.track import Track

STEERING_INERTIA = 4.0
"""[kg·m²]."""
STEERING_DAMPING = 20.0
"""[N·m·s/rad]."""
STEPS = 2
"""Steps of integration within a period."""
GRAIN = 2.0
"""Standard deviation of a pixel's noise, of 255."""
SKY, MEADOW, ASPHALT, PAINT = (170, 200, 235), (90, 125, 60), (85, 85, 88), (225, 225, 220)
"""Colours, RGB."""


class Bicycle:
    """Both front wheels as one, the rear axle's centre on the road's plane."""

    def __init__(self, settings: Settings, scene: str = "road", seed: int = 0, *, camera: bool = True) -> None:
        """Raises SceneError for a scene with vehicles, as ``Track`` does."""
        self._settings, self.car = settings, Car.from_settings(settings)
        self._track = Track(settings, self.car, scene, seed)
        self._draws, self._rng = camera, np.random.default_rng([seed, 23])
        self._x, self._y, self._z, self._yaw = self._track.start()
        self._speed = self._push = 0.0
        self._angles, self._rates = np.zeros(len(self.car.steer_joints)), np.zeros(len(self.car.steer_joints))
        self._rolled = np.zeros(len(self.car.joint_names) - len(self.car.steer_joints))
        self._efforts = np.zeros(len(self.car.joint_names))
        self._path = (0.0, 0.0, 0.0)
        self._period = nanoseconds(1 / settings.safety.rate_hz)
        self._tick = 0
        self._frames: deque[Frame] = deque()
        self._range_link, _ = self.car.description.origin("range_link")
        self._camera_link, rpy = self.car.description.origin("camera_link")
        self._mount = rotation(rpy)
        self._begin_tick()

    @property
    def now(self) -> int:
        """Simulated time [ns]."""
        return EPOCH + self._tick * self._period

    def observe(self) -> Observation:
        """What the sensors deliver at this tick."""
        return self._observation

    def apply(self, command: Command) -> None:
        """Hold joint efforts [N·m] until the next command."""
        given = dict(zip(command.names, command.effort.tolist(), strict=True))
        self._efforts = np.array([given.get(name, 0.0) for name in self.car.joint_names])

    def step(self) -> None:
        """Advance by one control period."""
        dt = seconds(self._period) / STEPS
        for _ in range(STEPS):
            self._move(dt)
        self._tick += 1
        self._begin_tick()

    def truth(self) -> Truth:
        """True state."""
        return self._truth

    def state_hash(self) -> str:
        """SHA-256 of pose, speed and steering."""
        state = np.array([self._x, self._y, self._yaw, self._speed, *self._angles, *self._rates])
        return hashlib.sha256(state.tobytes()).hexdigest()

    def __enter__(self) -> Bicycle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to free."""

    @property
    def _curvature(self) -> float:
        return self.car.curvature(*self._angles.tolist())

    def _move(self, dt: float) -> None:
        """One step of integration, dt [s]."""
        first, car = len(self.car.steer_joints), self.car
        self._rates += dt * (self._efforts[:first] - STEERING_DAMPING * self._rates) / STEERING_INERTIA
        self._angles += dt * self._rates
        wheels = self._efforts[first:]
        drive, brake = (car.wheel_force(part) for part in (np.maximum(wheels, 0.0), np.maximum(-wheels, 0.0)))
        _, dx, dy = self._track.terrain.planes(np.array([[self._x, self._y]]))[0].tolist()
        slope = dx * math.cos(self._yaw) + dy * math.sin(self._yaw)
        free = self._speed + dt * (drive - car.mass * GRAVITY * slope) / car.effective_mass
        after = math.copysign(max(abs(free) - dt * brake / car.effective_mass, 0.0), free)  # brakes only ever hold
        self._push = (after - self._speed) / dt + GRAVITY * slope
        self._speed = after
        middle = self._yaw + 0.5 * dt * self._speed * self._curvature
        self._x += dt * self._speed * math.cos(middle)
        self._y += dt * self._speed * math.sin(middle)
        self._yaw += dt * self._speed * self._curvature
        self._rolled += dt * self._spins()

    def _spins(self) -> np.ndarray:
        """Rate of each wheel (4,) [rad/s] that rolls about the common centre, in the order of ``wheel_joints``."""
        side = np.array([1.0, -1.0, 1.0, -1.0]) * self.car.track / 2
        ahead = np.array([self.car.wheelbase, self.car.wheelbase, 0.0, 0.0])
        return self._speed * np.hypot(1 - self._curvature * side, self._curvature * ahead) / self.car.wheel_radius

    def _begin_tick(self) -> None:
        """Take the truth and the sensors of this tick."""
        now, turn = self.now, self._speed * self._curvature
        joints = JointStates(
            now,
            self.car.joint_names,
            np.concatenate([self._angles, self._rolled]),
            np.concatenate([self._rates, self._spins()]),
            self._efforts.copy(),
        )
        self._z = float(self._track.terrain.planes(np.array([[self._x, self._y]]))[0, 0])
        self._truth = self._track.advance((self._x, self._y, self._z, self._yaw), self._speed, turn, joints)
        imu = Imu(now, np.array([0.0, 0.0, turn]), np.array([self._push, self._speed * turn, GRAVITY]))
        odometry = Odometry(now, self._x, self._y, math.remainder(self._yaw, 2 * math.pi), self._speed, turn)
        if self._draws and self._due(self._settings.camera.rate_hz):
            self._frames.append(Frame(now, self._draw()))
        latency = nanoseconds(self._settings.camera.latency_s)
        frame = self._frames.popleft() if self._frames and self._frames[0].stamp + latency <= now else None
        points = self._scan() if self._due(self._settings.ranging.rate_hz) else None
        self._observation = Observation(joints, odometry, imu, points, frame)

    def _due(self, rate: float) -> bool:
        every = self._settings.safety.rate_hz / rate
        return math.floor(self._tick / every + 1e-9) > math.floor((self._tick - 1) / every + 1e-9)

    def _scan(self) -> Points:
        """Where the beams meet the ground; there is nothing else. The car stands level here, its sensor looks ahead."""
        ranging = self._settings.ranging
        elevation = np.repeat(np.radians(ranging.elevation_deg), ranging.beams)
        azimuth = np.radians(np.linspace(-ranging.azimuth_deg, ranging.azimuth_deg, ranging.beams))
        azimuth = np.tile(azimuth, len(ranging.elevation_deg))
        flat = np.cos(elevation)
        beams = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], axis=1)
        c, s = math.cos(self._yaw), math.sin(self._yaw)
        turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        origin = np.array([self._x, self._y, self._z]) + turn @ np.array(self._range_link)
        distance = self._track.terrain.first_hits(origin, beams @ turn.T, ranging.range_max)
        seen = np.isfinite(distance)
        xyz = np.array(self._range_link) + distance[seen, None] * beams[seen]
        ring = np.repeat(np.arange(len(ranging.elevation_deg), dtype=np.int32), ranging.beams)
        return Points(self.now, xyz.astype(np.float32), ring[seen])

    def _draw(self) -> np.ndarray:
        """Sky, meadow, asphalt and lines (H, W, 3) on a plane through the car: flat, without light or shade."""
        camera = self._settings.camera
        image = np.empty((camera.height, camera.width, 3), np.uint8)
        focal = camera.height / 2 / math.tan(math.radians(camera.fov_deg) / 2)
        down, across = np.mgrid[: camera.height, : camera.width] + 0.5
        rays = np.stack([np.full_like(down, focal), camera.width / 2 - across, camera.height / 2 - down])
        image[:] = MEADOW
        image[np.tensordot(self._mount[2], rays, 1) > 0] = SKY
        ahead = np.arange(3.0, 90.0, 1.0)
        strips = [(PAVED_LEFT, PAVED_RIGHT, ASPHALT)]
        strips += [(line + 0.07, line - 0.07, PAINT) for line in (LEFT_LINE, CENTRE_LINE, RIGHT_LINE)]
        for left, right, colour in strips:
            sides = [self._seen(ahead, edge, focal) for edge in (left, right)]
            cv2.fillPoly(image, [np.concatenate([sides[0], sides[1][::-1]])], colour, cv2.LINE_AA, 4)
        noisy = image + GRAIN * self._rng.standard_normal(image.shape)
        return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)

    def _seen(self, ahead: np.ndarray, offset: float, focal: float) -> np.ndarray:
        """Pixels (N, 2) in sixteenths of points of the road, ``ahead`` [m] along it and ``offset`` [m] to the left."""
        points = self._track.road.points(self._truth.s + ahead, np.full(len(ahead), offset))
        c, s = math.cos(self._yaw), math.sin(self._yaw)
        x, y = ((points - [self._x, self._y]) @ np.array([[c, -s], [s, c]])).T
        away = np.stack(
            [np.maximum(x - self._camera_link[0], 0.5), y - self._camera_link[1], 0 * x - self._camera_link[2]]
        )
        forward, left, up = self._mount.T @ away
        column = self._settings.camera.width / 2 - focal * left / forward
        row = self._settings.camera.height / 2 - focal * up / forward
        return np.rint(16 * np.stack([column, row], axis=1)).astype(np.int32)
