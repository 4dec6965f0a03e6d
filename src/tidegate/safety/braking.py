# SPDX-License-Identifier: Apache-2.0
"""How far the car still goes if it brakes from now on as hard as is guaranteed."""

from __future__ import annotations

from typing import NamedTuple

from tidegate.robot import GRAVITY, Car
from tidegate.safety.dual import sqrt
from tidegate.settings import Settings


class Stop(NamedTuple):
    """A stop: its ``way`` [m], its ``time`` [s] and the highest speed on it, ``peak`` [m/s]."""

    way: float
    time: float
    peak: float


class Braking:
    """Full guaranteed braking at the wheels' torque rate, on the steepest slope, after the brake's lag.

    Through the lag the force goes on acting: what it and the slope speed the car up counts, what they slow it down does
    not.
    """

    def __init__(self, settings: Settings, car: Car) -> None:
        vehicle, ladder = settings.vehicle, settings.safety.ladder
        self._mass, self._loaded = car.effective_mass, car.loaded_mass
        self._lag = settings.safety.distance.lag_s
        self._guaranteed = vehicle.brake_guaranteed
        self._release, self._build = car.force_rate(1) / self._loaded, car.force_rate(-1) / self._loaded
        self._hold, self._standstill = ladder.hold_deceleration, ladder.standstill_speed
        self._period = 1.0 / settings.safety.rate_hz
        self.slope = GRAVITY * vehicle.slope_max

    def stop(self, speed: float, force: float) -> Stop:
        """The stop from ``speed`` [m/s] with ``force`` [N] applied."""
        if speed < 0.0:  # written out, here and below: max() would take a third of the time
            speed = 0.0
        acceleration = self._acceleration(force)
        way, time, slope = self._lag * speed, self._lag, self.slope
        if acceleration + slope > 0.0:
            gained = time * (acceleration + slope)
            way += 0.5 * time * gained
            speed += gained
        if acceleration > 0:  # take the drive off
            t = acceleration / self._release
            way += t * (speed + t * (0.5 * (acceleration + slope) - self._release * t / 6))
            speed += t * (0.5 * acceleration + slope)
            time += t
            acceleration = 0.0
        acceleration += slope
        peak = speed
        if acceleration > 0.0:
            peak += acceleration * acceleration / (2 * self._build)
        if acceleration > -self._guaranteed:  # build the brake up, no longer than it moves
            stands = (acceleration + sqrt(acceleration * acceleration + 2 * self._build * speed)) / self._build
            t = (acceleration + self._guaranteed) / self._build
            if stands < t:
                t = stands
            way += t * (speed + t * (0.5 * acceleration - self._build * t / 6))
            speed += t * (acceleration - self._build * t / 2)
            time += t
        if speed < 0.0:
            speed = 0.0
        return Stop(way + speed * speed / (2 * self._guaranteed), time + speed / self._guaranteed, peak)

    def next_stop(self, speed: float, force: float) -> Stop:
        """The stop one period from now if ``force`` [N] is held until then, on the steepest slope."""
        return self.stop(speed + self._period * (self._acceleration(force) + self.slope), force)

    def backup(self, speed: float) -> float:
        """The acceleration [m/s²] to ask for, so that the loaded car brakes as guaranteed, or stays where it stands."""
        if speed < self._standstill:
            return -self._hold
        return -(self._guaranteed + self.slope) * self._loaded / self._mass

    def _acceleration(self, force: float) -> float:
        """What ``force`` [N] does at least to the loaded car where it brakes, at most to any where it drives [m/s²]."""
        return force / (self._mass if force > 0 else self._loaded)
