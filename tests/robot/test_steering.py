# SPDX-License-Identifier: Apache-2.0
"""The steering servo on late feedback, with commands that stay in force for longer than a period."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from tidegate.records import JointStates
from tidegate.robot import Actuation, Car
from tidegate.robot.steering import SteeringServo
from tidegate.settings import load_settings
from tidegate.share import share_path

SETTINGS = load_settings(share_path("config/car.yaml"))
CAR, SHARE = Car.from_settings(SETTINGS), SETTINGS.safety.steering_share
VEHICLE = CAR.vehicle
FASTEST = CAR.limits[CAR.steer_joints[0]].velocity
FRICTION = CAR.description.joint(CAR.steer_joints[0]).damping
PERIOD = 0.005
TICK = 5_000_000


def measured(stamp: int, angles: np.ndarray, rates: np.ndarray) -> JointStates:
    return JointStates(stamp, CAR.steer_joints, np.asarray(angles, float), np.asarray(rates, float), np.zeros(2))


def swung(age: int, inertia: float, side_to_side_s: float, pause: int = 0) -> tuple[float, float, float]:
    """Steer from side to side for 2.5 s; joint states are ``age`` periods late, ``pause`` of 60 periods bring nothing.

    Returns:
        largest rate [rad/s], largest angle [rad], and the mean error [rad] of the angle, over both wheels.
    """
    actuation, angles, rates = Actuation(CAR, PERIOD), np.zeros(2), np.zeros(2)
    seen = deque([measured(0, angles, rates)] * (age + 1), maxlen=age + 1)
    fastest = widest = 0.0
    errors = []
    for tick in range(round(2.5 / PERIOD)):
        now = tick * TICK
        seen.append(measured(now, angles.copy(), rates.copy()))
        side = 1 if now / 1e9 % (2 * side_to_side_s) < side_to_side_s else -1
        if tick % 60 >= pause:
            actuation.efforts(0.0, side * SHARE * CAR.curvature_max, seen[0], now)
        errors.append(np.abs(angles - CAR.steering(actuation.curvature)))
        for _ in range(10):
            rates = rates + (actuation.effort[:2] - FRICTION * rates) / inertia * PERIOD / 10
            angles = angles + rates * PERIOD / 10
            fastest, widest = max(fastest, np.abs(rates).max()), max(widest, np.abs(angles).max())
    return fastest, widest, float(np.mean(errors))


@settings(max_examples=15)
@given(st.integers(0, 20), st.floats(0.85, 1.15), st.floats(0.1, 2.0))
@example(0, 1.0, 0.4)
@example(20, 0.85, 0.4)
def test_late_joint_states_do_not_make_it_swing(age: int, heavier: float, side_to_side_s: float) -> None:
    fastest, widest, error = swung(age, heavier * VEHICLE.steer_inertia, side_to_side_s)
    assert fastest < FASTEST
    assert widest < CAR.limits[CAR.steer_joints[0]].upper
    assert error < 0.05


def test_without_the_prediction_it_would() -> None:
    """The measure sees a servo that takes late joint states for new ones."""

    class Believing(SteeringServo):
        def torques(self, angles, rates, joints, now):  # type: ignore[no-untyped-def]
            return super().torques(angles, rates, replace(joints, stamp=now), now)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tidegate.robot.actuation.SteeringServo", Believing)
        assert swung(8, VEHICLE.steer_inertia, 0.4)[0] > FASTEST


@settings(max_examples=15)
@given(st.integers(0, 5), st.integers(1, 6), st.floats(0.9, 1.1), st.floats(0.1, 2.0))
@example(3, 6, 1.0, 0.4)
def test_commands_that_stay_away_for_a_while_do_not_make_it_swing(
    age: int, pause: int, heavier: float, side_to_side_s: float
) -> None:
    assert swung(age, heavier * VEHICLE.steer_inertia, side_to_side_s, pause)[0] < FASTEST


wheel = st.tuples(st.floats(-0.55, 0.55), st.floats(-FASTEST, FASTEST))


@given(st.floats(-0.2, 0.2), wheel, st.floats(1.0, 3.0))
def test_no_torque_takes_a_free_wheel_past_its_limit_while_it_may_be_held(
    curvature: float, state: tuple[float, float], heavier: float
) -> None:
    servo = SteeringServo(CAR)
    angle, rate = state
    torque, _ = servo.torques(CAR.steering(curvature), (0.0, 0.0), measured(0, [angle] * 2, [rate] * 2), 0)
    late = rate + torque / (heavier * VEHICLE.steer_inertia) * np.linspace(0, VEHICLE.command_hold_s, 50)
    assert np.abs(late).max() <= FASTEST * (1 + 1e-12)


@settings(max_examples=8)
@given(wheel, st.lists(st.floats(-300, 300), min_size=1, max_size=20), st.integers(0, 20), st.floats(0.0, 0.9))
@example((0.1, -2.0), [300.0, -250.0, 100.0, 30.0], 2, 0.4)
def test_it_acts_on_what_the_wheel_does_by_now(
    state: tuple[float, float], torques: list[float], age: int, part: float
) -> None:
    """Oracle: SciPy's ODE solver from the moment of the measurement on, which may lie between two commands."""
    now = len(torques) * TICK
    stamp = max(0, round(now - (age + part) * TICK))

    def moves(time: float, at: np.ndarray) -> list[float]:
        torque = torques[min(int(time / PERIOD), len(torques) - 1)]
        return [at[1], (torque - FRICTION * at[1]) / VEHICLE.steer_inertia]

    late, still = SteeringServo(CAR), SteeringServo(CAR)
    for index, torque in enumerate(torques):
        late.commanded(index * TICK, np.array([torque, torque]))
    true = np.array(state)
    edges = [stamp, *(tick * TICK for tick in range(len(torques) + 1) if tick * TICK > stamp)]
    for since, until in itertools.pairwise(edges):
        true = solve_ivp(moves, (since / 1e9, until / 1e9), true, t_eval=[until / 1e9], rtol=1e-9, atol=1e-12).y[:, 0]
    assume(abs(true[1]) < 0.9 * FASTEST)
    near = float(true[0]) + 0.005
    wanted = ((near, near), (float(true[1]),) * 2)
    got = late.torques(*wanted, measured(stamp, [state[0]] * 2, [state[1]] * 2), now)
    exact = still.torques(*wanted, measured(now, [true[0]] * 2, [true[1]] * 2), now)
    assert got == pytest.approx(exact, abs=1e-3 * VEHICLE.steer_damping)


def test_joint_states_of_this_moment_are_taken_as_they_are() -> None:
    fresh, used = SteeringServo(CAR), SteeringServo(CAR)
    for tick in range(10):
        used.commanded(tick * TICK, np.array([200.0, -100.0]))
    now = 10 * TICK
    joints = measured(now, [0.01, -0.02], [0.1, 0.2])
    assert used.torques((0.0, 0.0), (0.0, 0.0), joints, now) == fresh.torques((0.0, 0.0), (0.0, 0.0), joints, now)
    late = measured(now - TICK, [0.01, -0.02], [0.1, 0.2])
    assert used.torques((0.0, 0.0), (0.0, 0.0), late, now) != fresh.torques((0.0, 0.0), (0.0, 0.0), late, now)
    used.reset()
    assert used.torques((0.0, 0.0), (0.0, 0.0), late, now) == fresh.torques((0.0, 0.0), (0.0, 0.0), late, now)


def test_each_wheel_is_predicted_by_its_own_torque_and_a_joint_that_is_not_heard_gets_none() -> None:
    servo = SteeringServo(CAR)
    servo.commanded(0, np.array([200.0, 0.0]))
    left, right = servo.torques((0.0, 0.0), (0.0, 0.0), measured(0, [0, 0], [0, 0]), 2 * TICK)
    assert left < 0
    assert right == 0
    only = JointStates(0, CAR.steer_joints[1:], np.zeros(1), np.zeros(1), np.zeros(1))
    assert servo.torques((0.0, 0.01), (0.0, 0.0), only, 0) == [0.0, pytest.approx(0.01 * VEHICLE.steer_stiffness)]


def test_a_clock_that_runs_back_predicts_nothing() -> None:
    servo, fresh = SteeringServo(CAR), SteeringServo(CAR)
    servo.commanded(10 * TICK, np.array([200.0, 200.0]))
    joints = measured(0, [0.01, 0.01], [0, 0])
    assert servo.torques((0.0, 0.0), (0.0, 0.0), joints, 0) == fresh.torques((0.0, 0.0), (0.0, 0.0), joints, 0)


def test_what_was_commanded_since_the_joints_were_measured_counts_until_a_reset() -> None:
    """Late joint states of wheels that stand askew, while the way is straight."""
    seen, used, servo = measured(0, [0.002, 0.001], [0.0, 0.0]), Actuation(CAR, PERIOD), SteeringServo(CAR)
    straight = CAR.steering(0.0), (0.0, 0.0), seen
    for tick in range(4):
        expected = servo.torques(*straight, tick * TICK)
        torques = used.efforts(0.0, 0.0, seen, tick * TICK)[:2]
        assert torques == pytest.approx(expected, rel=1e-12)
        servo.commanded(tick * TICK, torques)
    forgetful = SteeringServo(CAR).torques(*straight, 4 * TICK)
    assert abs(servo.torques(*straight, 4 * TICK)[0] - forgetful[0]) > 1e-3
    used.reset()
    assert used.efforts(0.0, 0.0, seen, 4 * TICK)[:2] == pytest.approx(forgetful, rel=1e-12)
