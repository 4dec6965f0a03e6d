# SPDX-License-Identifier: Apache-2.0
"""Efforts stay inside effort and rate limits for any request; the steering servo reaches the asked angle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.records import JointStates
from tidegate.robot import Actuation, Car
from tidegate.settings import load_settings
from tidegate.share import share_path

CAR = Car.from_settings(load_settings(share_path("config/car.yaml")))
PERIOD = 0.005
AXLE_INERTIA = 4.0  # [kg·m²] a steered wheel about its king-pin


def measured(position: np.ndarray, velocity: np.ndarray) -> JointStates:
    return JointStates(0, CAR.joint_names, position, velocity, np.zeros(6))


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-5, 5), st.floats(-9, 9), st.floats(-9, 9)), max_size=30))
def test_any_request_stays_inside_the_limits(requests: list[tuple[float, float, float, float]]) -> None:
    actuation = Actuation(CAR, PERIOD)
    before = actuation.effort
    for force, curvature, angle, rate in requests:
        efforts = actuation.efforts(force, curvature, measured(np.full(6, angle), np.full(6, rate)), 0)
        assert (efforts <= actuation.high).all()
        assert (efforts >= actuation.low).all()
        assert (np.abs(efforts - before) <= actuation.step * (1 + 1e-9)).all()
        for name, effort in zip(CAR.joint_names, efforts, strict=True):
            assert abs(effort) <= CAR.limits[name].effort
        before = efforts


@pytest.mark.parametrize("curvature", [0.02, -0.1, 0.19])
def test_steering_reaches_the_angle_within_its_speed(curvature: float) -> None:
    actuation, angles, rates = Actuation(CAR, PERIOD), np.zeros(6), np.zeros(6)
    fastest = 0.0
    for _ in range(int(1.5 / PERIOD)):
        efforts = actuation.efforts(0.0, curvature, measured(angles, rates), 0)
        for _ in range(5):  # integrate each axle about its king-pin
            rates = rates + (efforts - 20.0 * rates) / AXLE_INERTIA * PERIOD / 5
            angles = angles + rates * PERIOD / 5
        fastest = max(fastest, np.abs(rates[:2]).max())
    assert angles[:2] == pytest.approx(CAR.steering(curvature), abs=2e-3)
    assert fastest <= CAR.limits[CAR.steer_joints[0]].velocity


def test_a_missing_steering_joint_gets_no_torque() -> None:
    actuation = Actuation(CAR, PERIOD)
    states = JointStates(0, ("other",), np.zeros(1), np.zeros(1), np.zeros(1))
    assert actuation.efforts(0.0, 0.1, states, 0)[:2] == pytest.approx([0, 0])


def test_limits_are_those_of_the_joints_per_period() -> None:
    actuation, vehicle = Actuation(CAR, PERIOD), CAR.vehicle
    for index, name in enumerate(CAR.joint_names):
        effort = CAR.limits[name].effort
        drive = vehicle.drive_effort_max if name in vehicle.driven else 0.0
        assert actuation.low[index] == -effort
        assert actuation.high[index] == (effort if name in CAR.steer_joints else drive)
        rate = vehicle.steer_effort_rate if name in CAR.steer_joints else vehicle.wheel_effort_rate
        assert actuation.step[index] == pytest.approx(rate * PERIOD)


def test_the_servo_is_a_spring_and_damper_about_the_wanted_angle_and_its_rate() -> None:
    """From rest: κ moves by its rate in one period; the torque pulls to its angles and adds their rate."""
    actuation, vehicle = Actuation(CAR, PERIOD), CAR.vehicle
    moves = CAR.curvature_rate * PERIOD
    position, velocity = np.array([0.002, -0.001, 0, 0, 0, 0]), np.array([0.9, 0.92, 0, 0, 0, 0])
    efforts = actuation.efforts(0.0, 0.1, measured(position, velocity), 0)
    assert actuation.curvature == pytest.approx(moves)
    angles = CAR.steering(moves)
    for side in range(2):
        wanted = vehicle.steer_stiffness * (angles[side] - position[side]) + vehicle.steer_damping * (
            angles[side] / PERIOD - velocity[side]
        )
        assert 0 < abs(wanted) < actuation.step[side]
        assert efforts[side] == pytest.approx(wanted)
    again = actuation.efforts(0.0, -0.1, measured(position, velocity), 0)
    assert actuation.curvature == pytest.approx(0.0)
    assert not np.array_equal(again, efforts)
    actuation.reset()
    assert actuation.curvature == 0.0
    np.testing.assert_array_equal(actuation.effort, np.zeros(6))
    np.testing.assert_array_equal(actuation.efforts(0.0, 0.1, measured(position, velocity), 0), efforts)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_curvature_is_asked_for_up_to_what_the_steering_can_do(sign: float) -> None:
    actuation = Actuation(CAR, 10.0)
    actuation.efforts(0.0, sign * 9.0, measured(np.zeros(6), np.zeros(6)), 0)
    assert actuation.curvature == sign * CAR.curvature_max


def test_forces_go_to_the_driven_wheels_and_braking_to_all() -> None:
    actuation = Actuation(CAR, 1.0)
    resting = measured(np.zeros(6), np.zeros(6))
    for force in (1500.0, -3000.0):
        actuation.reset()
        wheels = actuation.efforts(force, 0.0, resting, 0)[len(CAR.steer_joints) :]
        assert wheels.sum() / CAR.wheel_radius == pytest.approx(force)
        pulling = [name in CAR.vehicle.driven or force < 0 for name in CAR.wheel_joints]
        assert (wheels != 0).tolist() == pulling


def test_a_command_handed_out_is_not_the_one_remembered() -> None:
    actuation = Actuation(CAR, PERIOD)
    sent = actuation.efforts(500.0, 0.05, measured(np.zeros(6), np.zeros(6)), 0)
    kept = sent.copy()
    sent[:] = 1e9
    np.testing.assert_array_equal(actuation.effort, kept)


def test_steering_joints_are_found_by_name_in_any_order() -> None:
    names = tuple(reversed(CAR.joint_names))
    position, velocity = np.arange(6) * 1e-4, np.arange(6) * 0.1
    turned = JointStates(0, names, position[::-1].copy(), velocity[::-1].copy(), np.zeros(6))
    straight = Actuation(CAR, PERIOD).efforts(0.0, 0.05, measured(position, velocity), 0)
    np.testing.assert_array_equal(Actuation(CAR, PERIOD).efforts(0.0, 0.05, turned, 0), straight)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_what_is_asked_too_much_of_ends_at_the_limit_and_too_fast_at_the_rate(sign: float) -> None:
    far = measured(np.full(6, -sign * 1e6), np.zeros(6))
    car = replace(CAR, vehicle=replace(CAR.vehicle, command_hold_s=0.01))
    slow, quick = Actuation(car, 1.0), Actuation(car, PERIOD)
    limit = slow.high if sign > 0 else slow.low
    np.testing.assert_array_equal(slow.efforts(sign * 1e9, 0.0, far, 0), limit)
    asked = sign * np.minimum(quick.step, np.abs(limit))
    for times in (1, 2):
        np.testing.assert_allclose(quick.efforts(sign * 1e9, 0.0, far, 0), times * asked)
