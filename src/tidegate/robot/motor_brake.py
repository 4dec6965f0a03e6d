# SPDX-License-Identifier: Apache-2.0
"""For motors that brake, where there are no friction brakes: brake requests as torques against the rotation."""

from __future__ import annotations

from tidegate.records import Floats, JointStates
from tidegate.robot.car import STEER_JOINTS, WHEEL_JOINTS, Car


def motor_torques(car: Car, effort: Floats, joints: JointStates | None) -> Floats:
    """What an effort controller must apply for the efforts (J,) [N·m] of a command.

    With friction brakes (``vehicle.brake_fade`` 0) that is the command itself. Else a brake request becomes a torque of
    that size against the wheel's rotation, which fades below ``brake_fade`` [rad/s]: no wheel is turned backwards, and
    a car on a slope creeps. ``joints`` holds all wheels; where it is None nobody knows their rotation, and no motor
    brakes.
    """
    fade, first = car.vehicle.brake_fade, len(STEER_JOINTS)
    if fade == 0:
        return effort
    torque = effort.copy()
    spins = [0.0] * len(WHEEL_JOINTS) if joints is None else car.wheel_spins(joints)
    for index, spin in enumerate(spins, first):
        if effort[index] < 0:
            torque[index] = effort[index] * min(max(spin / fade, -1.0), 1.0)
    return torque
