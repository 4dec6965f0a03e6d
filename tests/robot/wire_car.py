# SPDX-License-Identifier: Apache-2.0
"""A drive-by-wire car, as such cars are: the embedded world's, behind a computer that hears a twist and turns it into
torques by control loops of its own."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from tidegate.records import Command, JointStates, Twist, seconds
from tidegate.robot import Car
from tidegate.simulation import Observation, Simulator

LAG_S = 0.1
"""From a twist that was sent to the first torque that follows it."""
SPEED_GAIN = 2.5
"""P controller of the speed [1/s]: a time constant of 0.4 s."""
STEER_GAIN = 8.0
"""P controller of the steering angle [1/s]: the rate that it asks of the steering motors."""
STEER_RATE = 1.0
STIFFNESS, DAMPING = 4000.0, 300.0
"""Of the steering motors [N·m/rad], [N·m·s/rad]."""
BRAKING, DRIVE = 8.0, 3.0
"""Strongest that the computer brakes and drives [m/s²]."""
TIMEOUT_S = 0.25
OWN_BRAKE = 5.0
"""Braking [m/s²] of a computer that hears nothing any more."""
CREEP = 0.05
"""Below this speed that is asked for [m/s] a twist says nothing of the steering: the angle is held."""


class WireCar:
    """Knows its own sensors and the twists that it was sent; nothing of the stack."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator, self.car = simulator, simulator.car
        self._sent: deque[Twist] = deque()
        self._heard: Twist | None = None
        self._angle = self._target = 0.0

    def take(self, twist: Twist) -> None:
        """A message was sent now."""
        self._sent.append(twist)

    @property
    def alone(self) -> bool:
        """Whether it brakes by itself."""
        return self._heard is None or seconds(self.simulator.now - self._heard.stamp) > TIMEOUT_S

    def step(self) -> None:
        """One period of its computer and of the world."""
        simulator, now = self.simulator, self.simulator.now
        while self._sent and seconds(now - self._sent[0].stamp) >= LAG_S:
            self._heard = self._sent.popleft()
        seen = simulator.observe()
        wheels = self.car.wheel_efforts(self._force(seen))
        efforts = np.concatenate((self._steer(seen.joints), wheels))
        simulator.apply(Command(now, self.car.joint_names, self._bounded(efforts)))
        simulator.step()

    def _force(self, seen: Observation) -> float:
        asked = 0.0 if self._heard is None else self._heard.speed
        if self.alone:
            wanted = -OWN_BRAKE
        elif asked == 0.0 and seen.odometry.speed < 0.1:
            wanted = -2.0  # hold
        else:
            wanted = SPEED_GAIN * (asked - seen.odometry.speed)
        return min(max(wanted, -BRAKING), DRIVE) * self.car.effective_mass

    def _steer(self, joints: JointStates) -> list[float]:
        """The computer's angle goes to the asked one; the motors hold each wheel at its share of it."""
        length, period = self.car.wheelbase, 1 / self.simulator.settings.safety.rate_hz
        if self._heard is not None and not self.alone and self._heard.speed > CREEP:
            self._target = math.atan(length * self._heard.yaw_rate / self._heard.speed)
        rate = min(max(STEER_GAIN * (self._target - self._angle), -STEER_RATE), STEER_RATE)
        self._angle += rate * period
        wanted = self.car.steering(math.tan(self._angle) / length)
        places = [joints.names.index(name) for name in self.car.steer_joints]
        return [
            STIFFNESS * (angle - joints.position.item(at)) - DAMPING * (joints.velocity.item(at) - rate)
            for angle, at in zip(wanted, places, strict=True)
        ]

    def _bounded(self, efforts: np.ndarray) -> np.ndarray:
        most = np.array([self.car.limits[name].effort for name in self.car.joint_names])
        return np.clip(efforts, -most, most)


def front_wheel(car: Car, joints: JointStates) -> float:
    """The angle [rad] of one wheel in the middle, of the measured ones."""
    left, right = (joints.position.item(joints.names.index(name)) for name in car.steer_joints)
    return math.atan(car.wheelbase * car.curvature(left, right))
