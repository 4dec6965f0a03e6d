# SPDX-License-Identifier: Apache-2.0
"""Inertial sensor, joint encoders, odometry and range sensor, with the noise that the settings state."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tidegate.records import Floats, Imu, JointStates, Odometry, Points
from tidegate.robot import Car, rotation
from tidegate.settings import Settings
from tidegate.simulation.engine import mujoco
from tidegate.simulation.traffic import GROUP_SOLID
from tidegate.simulation.world import World


class Proprioception:
    """What the car feels by itself, every tick."""

    def __init__(self, settings: Settings, car: Car, world: World, seed: int) -> None:
        self._car, self._noise = car, settings.simulator
        self._period = 1 / settings.safety.rate_hz
        self._rng = np.random.default_rng([seed, 21])
        model = world.model
        self._qpos = np.array([model.joint(name).qposadr[0] for name in car.joint_names])
        self._dof = np.array([model.joint(name).dofadr[0] for name in car.joint_names])
        self._encoder = np.where(np.isin(car.joint_names, car.steer_joints), self._noise.encoder_noise, 0.0)
        self._gyro, self._accelerometer = (model.sensor(name).adr[0] for name in ("gyro", "accelerometer"))
        self._bias = self._noise.gyro_bias * self._rng.standard_normal(3)
        self._radius = car.wheel_radius * (1 + self._noise.odometry_scale * self._rng.standard_normal())
        self._rear = [car.joint_names.index(name) for name in car.wheel_joints[2:]]
        self._pose = (0.0, 0.0, 0.0)
        self._first = True

    def measure(self, now: int, data: Any, effort: Floats) -> tuple[JointStates, Odometry, Imu]:
        """Measure at ``now`` [ns]; ``effort`` (J,) [N·m] is the torque that acts in each joint."""
        noise, count = self._noise, len(self._dof)
        drawn = self._rng.standard_normal(2 * count + 6)
        velocity = data.qvel[self._dof] + noise.wheel_speed_noise * drawn[:count]
        position = data.qpos[self._qpos] + self._encoder * drawn[count : 2 * count]
        joints = JointStates(now, self._car.joint_names, position, velocity, effort)
        turn = data.sensordata[self._gyro : self._gyro + 3] + self._bias + noise.gyro_noise * drawn[-6:-3]
        push = data.sensordata[self._accelerometer : self._accelerometer + 3] + (noise.accelerometer_noise * drawn[-3:])
        return joints, self._odometry(now, velocity, float(turn[2])), Imu(now, turn, push)

    def _odometry(self, now: int, velocity: Floats, yaw_rate: float) -> Odometry:
        """Dead reckoning with the rear wheels' mean speed and the gyro, midpoint rule."""
        left, right = velocity[self._rear].tolist()
        speed = self._radius * ((left + right) / 2)
        x, y, yaw = self._pose
        if not self._first:
            middle = yaw + 0.5 * yaw_rate * self._period
            x += speed * self._period * math.cos(middle)
            y += speed * self._period * math.sin(middle)
            yaw += yaw_rate * self._period
        self._first, self._pose = False, (x, y, yaw)
        return Odometry(now, x, y, math.remainder(yaw, 2 * math.pi), speed, yaw_rate)


class RangeSensor:
    """Beams in several planes; they see vehicles and the ground."""

    def __init__(self, settings: Settings, car: Car, world: World, seed: int) -> None:
        ranging = settings.ranging
        self._world, self._reach, self._noise = world, ranging.range_max, ranging.noise_std
        self._rng = np.random.default_rng([seed, 22])
        self._mount, rpy = car.description.origin("range_link")
        elevation, azimuth = np.meshgrid(
            np.radians(ranging.elevation_deg),
            np.radians(np.linspace(-ranging.azimuth_deg, ranging.azimuth_deg, ranging.beams)),
            indexing="ij",
        )
        flat = np.cos(elevation)
        beams = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], axis=-1).reshape(-1, 3)
        self._beams: Floats = beams @ rotation(rpy).T
        self._ring = np.repeat(np.arange(len(ranging.elevation_deg), dtype=np.int32), ranging.beams)
        self._body = world.model.body("base_link").id
        self._group = np.zeros(6, np.uint8)
        self._group[GROUP_SOLID] = 1

    def scan(self, now: int, data: Any) -> Points:
        """Returns of one scan in ``base_link``."""
        rotation = data.xmat[self._body].reshape(3, 3)
        origin = data.xpos[self._body] + rotation @ np.array(self._mount)
        rays = np.ascontiguousarray(self._beams @ rotation.T)
        count = len(rays)
        solid = np.full(count, -1.0)
        if self._world.scene.actors:
            hit = np.empty(count, np.int32)
            mujoco.mj_multiRay(
                self._world.model,
                data,
                origin,
                rays.ravel(),
                self._group,
                True,
                self._body,
                hit,
                solid,
                None,
                count,
                self._reach,
            )
        distance = np.where(solid >= 0, solid, np.inf)
        distance = np.minimum(distance, self._world.terrain.first_hits(origin, rays, self._reach))
        distance += self._noise * self._rng.standard_normal(count)
        seen = distance <= self._reach
        xyz = np.array(self._mount) + distance[seen, None] * self._beams[seen]
        return Points(now, xyz.astype(np.float32), self._ring[seen])
