# SPDX-License-Identifier: Apache-2.0
"""For cars that take a speed and a steering angle instead of torques: filtered efforts as a motion request."""

from __future__ import annotations

import math
from typing import NamedTuple

from tidegate.records import Command, MotionRequest
from tidegate.robot.car import GRAVITY, Car
from tidegate.settings.vehicle import VehicleSettings

UNMODELLED = 0.5
"""Acceleration [m/s²], besides the steepest slope, by which a car may be faster than its force says."""


class MotionLimits(NamedTuple):
    """Largest ``speed`` [m/s], ``lateral`` acceleration [m/s²] and drive ``force`` [N]."""

    speed: float
    lateral: float
    force: float

    @classmethod
    def of(cls, car: Car, vehicle: VehicleSettings) -> MotionLimits:
        """Those of a car by what its settings are now."""
        force = len(vehicle.driven) * vehicle.drive_effort_max / car.wheel_radius
        return cls(vehicle.speed_max, vehicle.lateral_acceleration_max, force)


class MotionLimiter:
    """Holds by itself: whatever is wanted or measured, what it asks for is finite and inside the car's limits.

    Always, each kept whatever the ones after it ask for:

        |κ| ≤ κ_max  and  |Δκ| ≤ κ̇_max T         κ = tan δ / L: the lock and the slew of the steering, as for efforts
        0 ≤ v ≤ v_max  and  v² |κ| ≤ a_lat       the speed gives way where the steering cannot turn back in time
        a_min ≤ a ≤ a_max                        the effort limits by the mass
        v = v̂ + a H                              unless one of these asks for less

    v̂ is the measured speed, but no more than v̂ + (a + w) T of the call before, w being what the steepest slope adds: no
    sensor can start a car that is braked. It begins at standstill. While nobody tells the speed it falls by what is
    braked. Both ways a stop ends in v = 0, within v̂ / (|a| − w) [s].

    Attributes:
        speed: asked for last [m/s]; ``curvature`` [1/m] likewise.
    """

    def __init__(self, car: Car, period: float) -> None:
        """``period`` T [s]: from one call to the next."""
        vehicle = car.vehicle
        self._period, self._horizon = period, vehicle.speed_horizon_s
        self._tightest, self._turn = car.curvature_max, car.curvature_rate * period
        self._mass, self._low = car.effective_mass, car.force_min / car.effective_mass
        self._own = self._limits = MotionLimits.of(car, vehicle)
        self._fastest = vehicle.speed_max
        self._safe = max(-vehicle.brake_guaranteed, self._low)
        self._push = GRAVITY * vehicle.slope_max + UNMODELLED
        self._estimate = 0.0
        self.speed = self.curvature = 0.0

    def tighten(self, limits: MotionLimits) -> None:
        """The limits from the next call on; of each no more than the car's own. The speed that is asked for falls to a
        lower one no faster than the brakes brake."""
        self._limits = MotionLimits(*map(min, self._own, limits))

    def __call__(self, acceleration: float, curvature: float, speed: float | None) -> float:
        """Update ``speed`` and ``curvature``; the acceleration [m/s²] that goes with them.

        Args:
            acceleration: wanted [m/s²]; what is no number brakes.
            curvature: wanted [1/m]; what is no number keeps the steering.
            speed: measured [m/s]; None, or what is no number, = unknown.
        """
        fastest, lateral, force = self._limits
        if not math.isfinite(acceleration):
            acceleration = self._safe
        acceleration = min(max(acceleration, self._low), force / self._mass)
        if speed is None or not math.isfinite(speed):
            acceleration = min(acceleration, 0.0)
            estimate = max(self._estimate + acceleration * self._period, 0.0)
        else:
            estimate = min(speed, max(self._estimate + (acceleration + self._push) * self._period, 0.0))
        self._estimate = estimate
        self._fastest = max(fastest, min(self._fastest, self.speed) + self._low * self._period)
        wanted = min(max(estimate + acceleration * self._horizon, 0.0), self._fastest)
        if math.isfinite(curvature):
            faster = max(abs(estimate), wanted, 1.0)
            most = min(self._tightest, lateral / (faster * faster))
            turned = min(max(curvature, -most), most)
            self.curvature = min(max(turned, self.curvature - self._turn), self.curvature + self._turn)
        if wanted * wanted * abs(self.curvature) > lateral:
            wanted = math.sqrt(lateral / abs(self.curvature))
        self.speed = wanted
        return max(min(acceleration, (wanted - estimate) / self._horizon), self._low)


class DriveByWire:
    """Turns commands into motion requests, one per period.

    The car's speed loop is taken for v̇ = (v_asked − v) / τ after a dead time t: asking for v + a H with
    H = ``vehicle.speed_horizon_s`` = τ + t gives v̇ = a. A stop is speed 0 and the steering angle of before.
    """

    def __init__(self, car: Car, period: float) -> None:
        """``period`` [s]: how long each command is held."""
        self._car = car
        self._limiter = MotionLimiter(car, period)

    @classmethod
    def of(cls, car: Car, period: float) -> DriveByWire | None:
        """What a car needs whose ``vehicle.output`` is twist; None for one that takes efforts."""
        return cls(car, period) if car.vehicle.output == "twist" else None

    def tighten(self, limits: MotionLimits) -> None:
        """The limits in force from the next request on (``Supervisor.limits``)."""
        self._limiter.tighten(limits)

    @property
    def stopped(self) -> bool:
        """Whether the last request was a stop."""
        return self._limiter.speed == 0.0

    def request(self, command: Command, curvature: float, speed: float | None) -> MotionRequest:
        """What the car is asked for in the place of ``command``.

        Args:
            command: efforts (J,) [N·m] in the order of ``car.joint_names``, from the filter and its limiter.
            curvature: of the path that the steering servo goes for [1/m].
            speed: as the filter has it [m/s]; None = it believes no sensor.
        """
        car, limiter = self._car, self._limiter
        force = car.wheel_force(command.effort[len(car.steer_joints) :])
        acceleration = limiter(force / car.effective_mass, curvature, speed)
        angle = math.atan(car.wheelbase * limiter.curvature)
        return MotionRequest(command.stamp, limiter.speed, acceleration, angle, limiter.speed * limiter.curvature)
