# SPDX-License-Identifier: Apache-2.0
"""From the car's command (force, curvature) to the efforts of its joints."""

from __future__ import annotations

import numpy as np

from tidegate.records import Floats, JointStates
from tidegate.robot.car import Car
from tidegate.robot.steering import SteeringServo


class Actuation:
    """Drive split and steering servo; efforts stay inside the joints' effort and torque-rate limits.

    A wheel effort above zero drives the wheel forward. **Below zero it is a brake request**: the actuator brings
    that much torque up against the rotation and holds a standing wheel; it never turns a wheel backwards. Friction
    brakes do this by nature; a motor that brakes must be told to.

    The servo follows the Ackermann angles of the wanted curvature, moved no faster than ``steer_velocity_max``.
    """

    def __init__(self, car: Car, period: float) -> None:
        """``period`` [s]: how long each command is held."""
        self._car = car
        self._period = period
        vehicle = car.vehicle
        effort = np.array([car.limits[name].effort for name in car.joint_names])
        self._low, self._high = -effort, effort.copy()
        self.limit_drive(vehicle.drive_effort_max)
        rates = [vehicle.steer_effort_rate, vehicle.wheel_effort_rate]
        self._step = np.repeat(rates, [len(car.steer_joints), len(car.wheel_joints)]) * period
        self._servo = SteeringServo(car)
        self.reset()

    def limit_drive(self, effort: float) -> None:
        """Largest driving torque [N·m] per driven wheel from the next call on; a higher one falls at its rate."""
        car = self._car
        drives = [effort if name in car.vehicle.driven else 0.0 for name in car.wheel_joints]
        self._high[len(car.steer_joints) :] = drives

    def reset(self) -> None:
        """Forget the last command: no effort, wheels straight."""
        self.effort: Floats = np.zeros(len(self._car.joint_names))
        self.curvature = 0.0
        self._stamp: int | None = None
        self._servo.reset()

    @property
    def low(self) -> Floats:
        """Smallest effort of each joint (J,) [N·m]."""
        return self._low

    @property
    def high(self) -> Floats:
        """Largest effort of each joint (J,) [N·m]."""
        return self._high

    @property
    def step(self) -> Floats:
        """Largest change of each joint's effort (J,) [N·m] from one command to the next."""
        return self._step

    def efforts(self, force: float, curvature: float, joints: JointStates, now: int) -> Floats:
        """Efforts (J,) [N·m] in the order of ``car.joint_names`` for the next period.

        ``effort`` is taken to be in force since the last call. ``joints`` must hold the steering joints; where it does
        not, the steering torque falls to zero at its rate. ``now`` [ns]: when the efforts begin to act.
        """
        car = self._car
        if self._stamp is not None:
            self._servo.commanded(self._stamp, self.effort[: len(car.steer_joints)])
        self._stamp = now
        most = car.curvature_rate * self._period
        curvature = min(max(curvature, -car.curvature_max), car.curvature_max)
        target = min(max(curvature, self.curvature - most), self.curvature + most)
        angles, before = car.steering(target), car.steering(self.curvature)
        rates = (angles[0] - before[0]) / self._period, (angles[1] - before[1]) / self._period
        servo = self._servo.torques(angles, rates, joints, now)
        wanted = np.concatenate((servo, car.wheel_efforts(force)))
        wanted = np.minimum(np.maximum(wanted, self._low), self._high)
        wanted = np.minimum(np.maximum(wanted, self.effort - self._step), self.effort + self._step)
        self.curvature, self.effort = target, wanted
        return wanted.copy()
