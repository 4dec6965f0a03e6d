# SPDX-License-Identifier: Apache-2.0
"""How the car moves, from odometry and wheel speeds: speed, pose over time, curvature, unexplained acceleration."""

from __future__ import annotations

from collections import deque

from tidegate.records import JointStates, Odometry, seconds
from tidegate.robot import GRAVITY, Car
from tidegate.settings import Settings

HISTORY = 256
CURVATURE_SPEED = 2.0
"""Below this speed [m/s] yaw rate over speed says little about the path."""
CURVATURE_TIME = 0.05
OBSERVER_TIME = 0.15
CREEP = 0.01
"""Rolling back slower than this [m/s] is noise."""


class Motion:
    """Newest motion and a short history of the pose.

    Attributes:
        speed: [m/s], as odometry has it, or as it was less what the commanded brakes and the steepest slope can have
            taken off since, where that is more: wheels that slip while braking tell too little.
        rolled_back: [m], how far the car is behind where it was farthest; whoever brakes it to a stand sets it back.
    """

    def __init__(self, settings: Settings, car: Car) -> None:
        self._car = car
        self._gap = settings.safety.trusted_timeout_s
        self._disturbance_max = GRAVITY * settings.vehicle.slope_max + 0.5
        self.speed = 0.0
        self.curvature = 0.0
        self.disturbance = 0.0
        self.driven = 0.0
        self.rolled_back = 0.0
        self._history: deque[tuple[int, float, float, float, float]] = deque(maxlen=HISTORY)

    def update(self, odometry: Odometry, force: float, commanded: float) -> None:
        """Take one odometry sample; ``force`` [N] and ``commanded`` curvature [1/m] were applied before it."""
        step = seconds(odometry.stamp - self._history[-1][0]) if self._history else 0.0
        if self._history and step <= 0:
            return
        if not self._history:  # a car that is first seen moving was not pushed to that speed
            self._expected = odometry.speed
        if 0 < step <= self._gap:
            braked = min(force, 0.0) / self._car.effective_mass - self._disturbance_max
            self.speed = max(odometry.speed, self.speed + step * braked)
        else:  # nothing is known of the time before
            self.speed = odometry.speed
        self.driven += self.speed * step
        self.rolled_back = max(self.rolled_back - (self.speed + CREEP) * step, 0.0)
        self._history.append((odometry.stamp, odometry.x, odometry.y, odometry.yaw, self.driven))
        if self.speed > CURVATURE_SPEED:
            measured = odometry.yaw_rate / self.speed
            measured = min(max(measured, -self._car.curvature_max), self._car.curvature_max)
            self.curvature += min(step / CURVATURE_TIME, 1.0) * (measured - self.curvature)
        else:
            self.curvature = commanded
        self._observe(odometry.speed, force, min(step, 0.1))

    def from_wheels(self, joints: JointStates) -> None:
        """Speed from the wheels alone, while odometry is missing."""
        spins = self._car.wheel_spins(joints)
        self.speed = sum(spins) / len(spins) * self._car.wheel_radius

    @property
    def pose(self) -> tuple[float, float, float]:
        """Newest pose (x, y, yaw) in odometry."""
        return self._history[-1][1:4] if self._history else (0.0, 0.0, 0.0)

    def at(self, stamp: int) -> tuple[tuple[float, float, float], float]:
        """Pose and way driven [m] at a ``stamp``: the newest sample not after it, else the oldest kept."""
        for sample in reversed(self._history):
            if sample[0] <= stamp:
                return sample[1:4], sample[4]
        return (self._history[0][1:4], self._history[0][4]) if self._history else ((0.0, 0.0, 0.0), 0.0)

    def _observe(self, speed: float, force: float, step: float) -> None:
        """Luenberger observer of v̇ = F/m + w, critically damped; w rests while the brakes hold the car."""
        if abs(speed) < 0.5:
            self._expected, self.disturbance = speed, 0.0
            return
        gain = step / OBSERVER_TIME
        error = speed - self._expected
        self._expected += step * (force / self._car.effective_mass + self.disturbance) + min(2 * gain, 1.0) * error
        change = gain / OBSERVER_TIME * error
        self.disturbance = min(max(self.disturbance + change, -self._disturbance_max), self._disturbance_max)
