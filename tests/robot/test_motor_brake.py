# SPDX-License-Identifier: Apache-2.0
"""A motor that brakes never drives: its torque takes power out of the wheel, up to the request."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tidegate.records import Floats, JointStates
from tidegate.robot import Actuation, Car, MotorBrake, motor_torques
from tidegate.settings import load_settings
from tidegate.share import share_path

SETTINGS = load_settings(share_path("config/car.yaml"))
FADE, PERIOD = 1.0, 1 / SETTINGS.safety.rate_hz
FRICTION = Car.from_settings(SETTINGS)
MOTORS = Car.from_settings(replace(SETTINGS, vehicle=replace(SETTINGS.vehicle, brake_fade=FADE)))
WHEELS = slice(len(MOTORS.steer_joints), None)
efforts = arrays(np.float64, 6, elements=st.floats(-1500, 1500))
spins = arrays(np.float64, 6, elements=st.floats(-65, 65))


def slower(fade: float) -> Car:
    """The car with brakes that fade below another rotation [rad/s]."""
    return Car.from_settings(replace(SETTINGS, vehicle=replace(SETTINGS.vehicle, brake_fade=fade)))


def turning(velocity: Floats, names: tuple[str, ...] = MOTORS.joint_names) -> JointStates:
    return JointStates(0, names, np.zeros(len(names)), velocity, np.zeros(len(names)))


@given(efforts, spins)
def test_friction_brakes_get_the_command_as_it_is(effort: Floats, spin: Floats) -> None:
    assert (motor_torques(FRICTION, effort, turning(spin)) == effort).all()


@given(efforts, spins)
def test_a_brake_request_only_takes_power_and_no_more_than_asked(effort: Floats, spin: Floats) -> None:
    torque = motor_torques(MOTORS, effort, turning(spin))
    asked = effort < 0
    asked[: len(MOTORS.steer_joints)] = False
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


def test_the_longer_the_fade_the_less_a_slow_wheel_is_braked() -> None:
    effort, spin = np.array([0.0, 0.0, *[-100.0] * 4]), np.full(6, 0.5)
    assert list(motor_torques(slower(2.0), effort, turning(spin))[WHEELS]) == [-25.0] * 4
    assert list(motor_torques(slower(0.5), effort, turning(spin))[WHEELS]) == [-100.0] * 4


@pytest.mark.parametrize("slope", [-SETTINGS.vehicle.slope_max, 0.0, SETTINGS.vehicle.slope_max])
@pytest.mark.parametrize("braking", [2.0, 5.0, 7.0])
def test_a_car_that_is_held_stops_and_stays(braking: float, slope: float) -> None:
    """The torques held for a period and a period late, uphill and down: the rate turns no wheel the other way."""
    radius, mass = MOTORS.wheel_radius, MOTORS.effective_mass
    effort = np.concatenate((np.zeros(2), MOTORS.wheel_efforts(-braking * mass)))
    pull, brake, spin, late = 9.81 * slope * MOTORS.mass, MotorBrake(MOTORS, PERIOD), 30.0, np.zeros(6)
    creeps = FADE * pull / (braking * mass)
    for _ in range(3000):
        now = brake(effort, turning(np.full(6, spin)))
        spin += (late[WHEELS].sum() / radius + pull) / (mass * radius) * PERIOD
        late = now
        assert spin > min(1.5 * creeps, 0.0) - 1e-9
    assert abs(spin) * radius < 2 * SETTINGS.safety.ladder.standstill_speed
    assert spin == pytest.approx(creeps, rel=0.2, abs=1e-6)


said = st.none() | arrays(np.float64, 6, elements=st.floats(-65, 65) | st.sampled_from([0.0, math.nan, math.inf]))


@given(st.lists(st.tuples(efforts, said), min_size=1, max_size=30))
def test_whatever_the_wheels_are_said_to_do_no_torque_jumps_or_leaves_its_box(
    told: list[tuple[Floats, Floats | None]],
) -> None:
    """Rotations that flip, vanish or are no number, joints lost and found."""
    limits, brake, last = Actuation(MOTORS, PERIOD), MotorBrake(MOTORS, PERIOD), np.zeros(6)
    for effort, spin in told:
        torque = brake(effort, None if spin is None else turning(spin))
        assert (np.abs(torque) <= -limits.low).all()
        assert (np.abs(torque - last) <= limits.step * (1 + 1e-12)).all()
        last = torque


@given(efforts, spins)
def test_in_the_long_run_it_only_takes_power_and_no_more_than_motors_would(effort: Floats, spin: Floats) -> None:
    brake, rest = MotorBrake(MOTORS, PERIOD), motor_torques(MOTORS, effort, turning(spin))
    for _ in range(130):
        torque = brake(effort, turning(spin))
    asked = effort < 0
    asked[: len(MOTORS.steer_joints)] = False
    assert (torque[asked] * spin[asked] <= 0).all()
    assert (np.abs(torque[asked]) <= np.abs(rest[asked]) + 1e-9).all()


def test_a_wheel_said_to_turn_the_other_way_and_lost_joints_change_a_torque_at_its_rate() -> None:
    step = SETTINGS.vehicle.wheel_effort_rate * PERIOD
    effort = np.array([0.0, 0.0, *[-500.0] * 4])
    for said in (turning(np.full(6, -30.0)), turning(np.full(6, math.nan)), None):
        brake = MotorBrake(MOTORS, PERIOD)
        for _ in range(60):
            before = brake(effort, turning(np.full(6, 30.0)))
        assert (before[WHEELS] == -500.0).all()
        assert brake(effort, said)[WHEELS] == pytest.approx(-500.0 + step)
    assert (MotorBrake(FRICTION, PERIOD)(effort, None) == effort).all()


def settled(car: Car, effort: Floats, spin: float) -> Floats:
    brake = MotorBrake(car, PERIOD)
    for _ in range(130):
        torque = brake(effort, turning(np.full(6, spin)))
    return torque[WHEELS]


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_brake_is_taken_back_by_what_half_its_rate_takes_off_and_on_the_fade_at_last(sign: float) -> None:
    """√(R J (|ω| − ω₀)), which the fade touches at 2 ω₀, where ω₀ = R J / 4 (asked / fade)²."""
    fade, asked = 2.0, 800.0
    car, effort = slower(fade), np.array([0.0, 0.0, *[-asked] * 4])
    inertia = car.effective_mass * car.wheel_radius**2 * np.array(car.brake_shares)
    soft, steep = SETTINGS.vehicle.wheel_effort_rate * inertia, asked / fade
    for wheel, zero in enumerate((soft / (4 * steep**2)).tolist()):
        for size in (0.5 * zero, 1.5 * zero):
            assert -settled(car, effort, sign * size)[wheel] == pytest.approx(sign * steep * size)
        for size in (2.5 * zero, 3.0 * zero):
            eased = math.sqrt(soft[wheel] * (size - zero))
            assert eased < min(steep * size, asked)
            assert -settled(car, effort, sign * size)[wheel] == pytest.approx(sign * eased)
    assert settled(car, effort, sign * 50.0) == pytest.approx(-sign * asked)


def test_where_no_rotation_is_known_no_motor_brakes() -> None:
    effort = np.array([0.0, 0.0, *[-500.0] * 4])
    for said in (None, turning(np.full(6, math.nan)), turning(np.full(6, math.inf))):
        brake = MotorBrake(MOTORS, PERIOD)
        for _ in range(5):
            assert (brake(effort, said) == 0.0).all()


def test_the_least_drive_is_passed_on_as_it_is() -> None:
    effort = np.array([0.0, 0.0, 0.5, 0.25, 0.5, 0.25])
    assert (settled(MOTORS, effort, 30.0) == effort[WHEELS]).all()
