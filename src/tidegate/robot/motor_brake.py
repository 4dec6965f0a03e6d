# SPDX-License-Identifier: Apache-2.0
"""For motors that brake, where there are no friction brakes: brake requests as torques against the rotation."""

from __future__ import annotations

import math

import numpy as np

from tidegate.records import Floats, JointStates
from tidegate.robot.actuation import Actuation
from tidegate.robot.car import Car


def motor_torques(car: Car, effort: Floats, joints: JointStates | None) -> Floats:
    """What an effort controller must apply for the efforts (J,) [N·m] of a command.

    With friction brakes (``vehicle.brake_fade`` 0) that is the command itself. Else a brake request becomes a torque of
    that size against the wheel's rotation, which fades below ``brake_fade`` [rad/s]: no wheel is turned backwards, and
    a car on a slope creeps. ``joints`` holds all wheels; where it is None nobody knows their rotation, and no motor
    brakes.
    """
    fade, first = car.vehicle.brake_fade, len(car.steer_joints)
    if fade == 0:
        return effort
    torque = effort.copy()
    spins = [0.0] * len(car.wheel_joints) if joints is None else car.wheel_spins(joints)
    for index, spin in enumerate(spins, first):
        if effort[index] < 0:
            torque[index] = effort[index] * min(max(spin / fade, -1.0), 1.0)
    return torque


class MotorBrake:
    """The last thing before an effort controller: ``motor_torques`` that no reading of a wheel can make jump.

    Holds by itself: whatever the rotation is said to be, each torque stays inside its joint's effort limit, either way,
    and inside the torque rate, and without joint states the brakes fade at that rate. So that the rate does not turn a
    wheel backwards, the brake is taken back before the wheel stands: at most √(R J (|ω| − ω₀)) at a rotation ω, which
    half the rate R takes off in time (J: the wheel's share of the car), on its tangent, the fade, below 2 ω₀.
    """

    def __init__(self, car: Car, period: float) -> None:
        """``period`` [s]: how long each command is held."""
        self._car, vehicle = car, car.vehicle
        limits = Actuation(car, period)
        self._most, self._step = -limits.low, limits.step
        inertia = car.effective_mass * car.wheel_radius**2
        self._soft = [vehicle.wheel_effort_rate * inertia * share for share in car.brake_shares]  # R J
        self._last: Floats = np.zeros(len(car.joint_names))

    def __call__(self, effort: Floats, joints: JointStates | None) -> Floats:
        """Torques (J,) [N·m] for the efforts (J,) of a command, see ``motor_torques``; with friction brakes those."""
        if self._car.vehicle.brake_fade == 0:
            return effort
        eased = effort.copy()
        first = len(self._car.steer_joints)
        for index, (spin, soft) in enumerate(zip(self._spins(joints), self._soft, strict=True), first):
            if effort[index] < 0:
                eased[index] = -self._brake(-effort.item(index), spin, soft)
        held = np.minimum(np.maximum(eased, -self._most), self._most)
        self._last = np.minimum(np.maximum(held, self._last - self._step), self._last + self._step)
        return self._last.copy()

    def _spins(self, joints: JointStates | None) -> list[float]:
        """Rotation of each wheel [rad/s]; one that is no number counts as none."""
        car = self._car
        spins = [0.0] * len(car.wheel_joints) if joints is None else car.wheel_spins(joints)
        return [spin if math.isfinite(spin) else 0.0 for spin in spins]

    def _brake(self, asked: float, spin: float, soft: float) -> float:
        """The torque [N·m] against a rotation ``spin`` [rad/s], signed as it; ``soft``: R J [N²·m²·s]."""
        steep, size = asked / self._car.vehicle.brake_fade, abs(spin)
        eased = steep * size
        if steep * eased > 0.5 * soft:  # beyond the tangent
            eased = math.sqrt(soft * size - (0.5 * soft / steep) ** 2)
        return math.copysign(min(eased, asked), spin)
