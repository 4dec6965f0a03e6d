# SPDX-License-Identifier: Apache-2.0
"""What a car on a straight, empty road would tell its safety node."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tidegate.records import Gains, ImageHealth, Imu, JointStates, LaneEstimate, Level, Nominal, Odometry, Points
from tidegate.robot import Car
from tidegate.settings import Settings

SPEED, ACCELERATION = 8.0, 1.0
"""[m/s] and [m/s²]."""
NOISE = 0.02
"""Of the accelerometer [m/s²]: one that tells the same to the last digit is taken for frozen."""
HEIGHT = 1.0
"""Of the range sensor above the road [m]."""


@dataclass(slots=True)
class Way:
    """Where the car is [m], how fast [m/s], and how hard it is driven [m/s²]."""

    driven: float = 0.0
    speed: float = 0.0
    acceleration: float = 0.0

    def step(self, seconds: float, go: bool) -> None:
        """Drive off once ``go`` is given, up to ``SPEED``."""
        self.acceleration = ACCELERATION if go and self.speed < SPEED else 0.0
        self.speed += self.acceleration * seconds
        self.driven += self.speed * seconds


def records(settings: Settings, car: Car, way: Way, now: int, rng: np.random.Generator, frame: bool) -> dict[str, Any]:
    """By topic; with a ``frame`` also what perception and policy make of it, and a scan."""
    wheels, zero, knots = len(car.joint_names) - 2, np.zeros(3), len(settings.perception.preview_m)
    turned, spins = (np.array([0.0, 0.0, *[part / car.wheel_radius] * wheels]) for part in (way.driven, way.speed))
    made: dict[str, Any] = {
        "joint_states": JointStates(now, car.joint_names, turned, spins, np.zeros(len(car.joint_names))),
        "odom": Odometry(now, way.driven, 0.0, 0.0, way.speed, 0.0),
        "imu": Imu(now, zero, np.array([way.acceleration, 0.0, 9.81]) + rng.normal(0, NOISE, 3)),
    }
    if frame:
        made |= {
            "points": scan(settings, now, rng),
            "health": ImageHealth(now, Level.OK),
            "lane": LaneEstimate(now, 0.0, 0.0, np.zeros(knots), np.full(2 + knots, 0.02)),
            "nominal": Nominal(now, car.effective_mass * way.acceleration, 0.0),
            "gains": Gains(now, {"lane": 2.0}),
        }
    return made


def scan(settings: Settings, now: int, rng: np.random.Generator) -> Points:
    """What the planes that point downwards see of a flat road."""
    ranging = settings.ranging
    azimuth = np.radians(np.linspace(-ranging.azimuth_deg, ranging.azimuth_deg, ranging.beams))
    down = [math.radians(-elevation) for elevation in ranging.elevation_deg if elevation < 0]
    distance = np.repeat(HEIGHT / np.tan(down), ranging.beams) + rng.normal(0, 0.03, len(down) * ranging.beams)
    angle = np.tile(azimuth, len(down))
    xyz = np.stack((distance * np.cos(angle), distance * np.sin(angle), np.zeros(len(angle))), axis=1)
    return Points(now, xyz.astype(np.float32), np.repeat(np.arange(len(down), dtype=np.int32), ranging.beams))
