# SPDX-License-Identifier: Apache-2.0
"""A small car for the tests of the safety room: single-track motion on a plane, no physics engine."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np

from tidegate.records import (
    Command,
    Gains,
    ImageHealth,
    Imu,
    JointStates,
    LaneEstimate,
    Level,
    Manual,
    Nominal,
    Odometry,
    Points,
    Received,
    SafetyInputs,
    nanoseconds,
)
from tidegate.robot import GRAVITY, Car
from tidegate.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
PERIOD = 0.005


@cache
def settings() -> Settings:
    return load_settings(ROOT / "config" / "car.yaml")


@cache
def car() -> Car:
    return Car.from_settings(settings())


@dataclass
class Plant:
    """Single-track car on a plane with a slope along its way; the road is a lane of constant curvature."""

    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0
    speed: float = 0.0
    road_curvature: float = 0.0
    slope: float = 0.0
    steer: np.ndarray = field(default_factory=lambda: np.zeros(2))
    steer_rate: np.ndarray = field(default_factory=lambda: np.zeros(2))
    effort: np.ndarray = field(default_factory=lambda: np.zeros(6))
    offset: float = 0.0
    heading: float = 0.0
    along: float = 0.0
    rolled: float = 0.0

    def step(self, command: Command, substeps: int = 2) -> None:
        """One safety period."""
        self.effort = command.effort
        dt = PERIOD / substeps
        for _ in range(substeps):
            inertia, damping = 1.0, 20.0
            self.steer_rate = (self.steer_rate + dt / inertia * command.effort[:2]) / (1 + dt * damping / inertia)
            self.steer = np.clip(self.steer + dt * self.steer_rate, -0.55, 0.55)
            curvature = car().curvature(*self.steer)
            force = self._force(command.effort[2:])
            drift = -GRAVITY * self.slope
            if abs(self.speed) <= 1e-3 and force < 0:
                self.speed = 0.0
            else:
                before, brakes = self.speed, force < 0
                if brakes and before < 0:  # they act against the motion
                    force = -force
                self.speed += dt * (force / car().effective_mass + drift)
                if brakes and before * self.speed < 0:
                    self.speed = 0.0
            self.rolled += dt * self.speed
            self.x += dt * self.speed * math.cos(self.yaw)
            self.y += dt * self.speed * math.sin(self.yaw)
            self.yaw += dt * self.speed * curvature
            advance = self.speed * math.cos(self.heading) / (1 - self.road_curvature * self.offset)
            self.offset += dt * self.speed * math.sin(self.heading)
            self.heading += dt * (self.speed * curvature - self.road_curvature * advance)
            self.along += dt * advance

    def step_coasting(self) -> None:
        """One safety period at constant speed and steering."""
        held = self.steer.copy()
        self.step(Command(0, car().joint_names, np.zeros(6)))
        self.steer, self.steer_rate = held, np.zeros(2)

    def _force(self, wheels: np.ndarray) -> float:
        grip = 0.8 * GRAVITY * car().effective_mass
        return float(np.clip(wheels.sum() / car().wheel_radius, -grip, grip))

    def joints(self, now: int) -> JointStates:
        spin = self.speed / car().wheel_radius
        return JointStates(
            now,
            car().joint_names,
            np.concatenate((self.steer, np.full(4, self.rolled / car().wheel_radius))),
            np.concatenate((self.steer_rate, np.full(4, spin))),
            np.zeros(6),
        )

    def odometry(self, now: int) -> Odometry:
        return Odometry(now, self.x, self.y, self.yaw, self.speed, self.speed * car().curvature(*self.steer))

    def imu(self, now: int) -> Imu:
        noise = 1e-9 * (now % 1009)  # no real IMU repeats itself
        turn = self.speed * car().curvature(*self.steer)
        return Imu(now, np.array([0.0, 0.0, turn]), np.array([0.0, 0.0, 9.81 + noise]))

    def lane(self, now: int, bound: float = 0.1) -> LaneEstimate:
        knots = len(settings().perception.preview_m)
        return LaneEstimate(
            now, self.offset, self.heading, np.full(knots, self.road_curvature), np.full(2 + knots, bound)
        )


def empty_points(now: int) -> Points:
    return Points(now, np.empty((0, 3), np.float32), np.empty(0, np.int32))


def scan(now: int, plant: Plant, walls: np.ndarray, height: float = 1.46, floor: float = 0.2) -> Points:
    """Rays of the real fan on a flat road and upright plates: ``walls`` (W, 4) of x0, y0, x1, y1 in the world."""
    ranging = settings().ranging
    (mount, _, mast), _ = car().description.origin("range_link")
    azimuth = np.radians(np.linspace(-ranging.azimuth_deg, ranging.azimuth_deg, ranging.beams))
    cos, sin = math.cos(plant.yaw), math.sin(plant.yaw)
    xyz, rings = [], []
    flat = np.full(ranging.beams, np.inf)
    for x0, y0, x1, y1 in walls:
        ends = [
            (cos * (x - plant.x) + sin * (y - plant.y) - mount, -sin * (x - plant.x) + cos * (y - plant.y))
            for x, y in ((x0, y0), (x1, y1))
        ]
        (ax, ay), (bx, by) = ends
        dx, dy = np.cos(azimuth), np.sin(azimuth)
        cross = dx * (by - ay) - dy * (bx - ax)
        with np.errstate(divide="ignore", invalid="ignore"):
            r = (ax * (by - ay) - ay * (bx - ax)) / cross
            share = (ax * dy - ay * dx) / cross
        flat = np.where((r > 0) & (share >= 0) & (share <= 1), np.minimum(flat, r), flat)
    for ring, elevation in enumerate(np.radians(ranging.elevation_deg)):
        z = mast + np.where(np.isfinite(flat), flat, 0.0) * math.tan(elevation)
        with np.errstate(invalid="ignore"):
            hit = np.isfinite(flat) & (z <= height) & (z >= floor)
        r = np.where(hit, flat, np.inf)
        if elevation < 0:
            r = np.minimum(r, mast / math.tan(-elevation))
        good = np.isfinite(r) & (r < ranging.range_max)
        flat_r, angle = r[good], azimuth[good]
        columns = [mount + flat_r * np.cos(angle), flat_r * np.sin(angle), mast + flat_r * math.tan(elevation)]
        xyz.append(np.stack(columns, axis=1))
        rings.append(np.full(good.sum(), ring, np.int32))
    return Points(now, np.concatenate(xyz).astype(np.float32), np.concatenate(rings))


@dataclass
class Sensors:
    """Makes the inputs of each tick: joints and odometry every tick, camera and range at 20 Hz."""

    tick: int = 0
    inputs: SafetyInputs | None = None
    noise: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def look(
        self,
        plant: Plant,
        nominal: tuple[float, float],
        *,
        gains: dict[str, float] | None = None,
        walls: np.ndarray | None = None,
        bound: float = 0.1,
        camera: bool = True,
        health: Level = Level.OK,
        manual: Manual | None = None,
        **flags: bool,
    ) -> SafetyInputs:
        """Inputs at the present tick, then advance the clock."""
        now = self.tick * nanoseconds(PERIOD)
        before = self.inputs
        slow = self.tick % 10 == 0

        def aged(name: str) -> Received | None:
            kept = getattr(before, name) if before is not None else None
            return None if kept is None else Received(kept.record, kept.age + nanoseconds(PERIOD))

        fresh = {
            "joints": Received(plant.joints(now), 0),
            "odometry": Received(plant.odometry(now), 0),
            "imu": Received(plant.imu(now), 0),
            "manual": Received(manual, 0) if manual is not None else None,
        }
        for name in ("nominal", "gains", "lane", "health", "points"):
            fresh[name] = aged(name)
        if slow and camera:
            fresh["nominal"] = Received(Nominal(now, *nominal), 0)
            fresh["gains"] = Received(Gains(now, gains or {}), 0)
            fresh["lane"] = Received(plant.lane(now, bound), 0)
            fresh["health"] = Received(ImageHealth(now, health), 0)
        if slow:
            points = empty_points(now) if walls is None else scan(now, plant, walls)
            points.xyz[:] += 1e-4 * self.noise.standard_normal(points.xyz.shape)  # no real scan repeats itself
            fresh["points"] = Received(points, 0)
        self.inputs = SafetyInputs(now=now, **fresh, **flags)
        self.tick += 1
        return replace(self.inputs)
