# SPDX-License-Identifier: Apache-2.0
"""A motor that brakes never drives: its torque takes power out of the wheel, up to the request."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tidegate.records import Floats, JointStates
from tidegate.robot import STEER_JOINTS, WHEEL_JOINTS, Car, motor_torques
from tidegate.settings import load_settings
from tidegate.share import share_path

SETTINGS = load_settings(share_path("config/car.yaml"))
FADE = 1.0
FRICTION = Car.from_settings(SETTINGS)
MOTORS = Car.from_settings(replace(SETTINGS, vehicle=replace(SETTINGS.vehicle, brake_fade=FADE)))
WHEELS = slice(len(STEER_JOINTS), None)
efforts = arrays(np.float64, 6, elements=st.floats(-1500, 1500))
spins = arrays(np.float64, 6, elements=st.floats(-65, 65))


def turning(velocity: Floats, names: tuple[str, ...] = MOTORS.joint_names) -> JointStates:
    return JointStates(0, names, np.zeros(len(names)), velocity, np.zeros(len(names)))


@given(efforts, spins)
def test_friction_brakes_get_the_command_as_it_is(effort: Floats, spin: Floats) -> None:
    assert (motor_torques(FRICTION, effort, turning(spin)) == effort).all()


@given(efforts, spins)
def test_a_brake_request_only_takes_power_and_no_more_than_asked(effort: Floats, spin: Floats) -> None:
    torque = motor_torques(MOTORS, effort, turning(spin))
    asked = effort < 0
    asked[: len(STEER_JOINTS)] = False
    assert (torque[~asked] == effort[~asked]).all()
    assert (torque[asked] * spin[asked] <= 0).all()
    assert (np.abs(torque) <= np.abs(effort)).all()
    fast = asked & (np.abs(spin) >= FADE)
    assert np.abs(torque[fast]) == pytest.approx(np.abs(effort[fast]))


def test_joints_are_found_by_name_and_none_known_means_no_brake() -> None:
    effort = np.array([5.0, -5.0, -100.0, -100.0, -100.0, 100.0])
    spin = np.array([0.0, 0.0, 9.0, -9.0, 0.25, 9.0])
    wanted = [5.0, -5.0, -100.0, 100.0, -25.0, 100.0]
    assert list(motor_torques(MOTORS, effort, turning(spin))) == wanted
    backwards = turning(spin[::-1], MOTORS.joint_names[::-1])
    assert list(motor_torques(MOTORS, effort, backwards)) == wanted
    assert list(motor_torques(MOTORS, effort, None)) == [5.0, -5.0, 0.0, 0.0, 0.0, 100.0]


def test_a_wheel_that_is_held_stops_and_stays() -> None:
    """One wheel with a quarter of the car on it, the torque held for a period and a period late, uphill and down."""
    inertia, period = MOTORS.effective_mass / 4 * MOTORS.wheel_radius**2, 1 / SETTINGS.safety.rate_hz
    asked = 5.0 * MOTORS.effective_mass * MOTORS.wheel_radius / len(WHEEL_JOINTS)
    pull = 9.81 * SETTINGS.vehicle.slope_max * MOTORS.mass * MOTORS.wheel_radius / len(WHEEL_JOINTS)
    effort = np.array([0.0, 0.0, *[-asked] * 4])
    for slope in (-pull, 0.0, pull):
        spin, late = 30.0, np.zeros(6)
        for _ in range(2000):
            now = motor_torques(MOTORS, effort, turning(np.full(6, spin)))
            spin += (late[-1] + slope) / inertia * period
            late = now
        assert abs(spin) * MOTORS.wheel_radius < SETTINGS.safety.ladder.standstill_speed
        assert spin == pytest.approx(FADE * slope / asked, abs=1e-3)
