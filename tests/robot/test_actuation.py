# SPDX-License-Identifier: Apache-2.0
"""Efforts stay inside effort and rate limits for any request; the steering servo reaches the asked angle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.records import JointStates
from tidegate.robot import STEER_JOINTS, Actuation, Car
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
        efforts = actuation.efforts(force, curvature, measured(np.full(6, angle), np.full(6, rate)))
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
        efforts = actuation.efforts(0.0, curvature, measured(angles, rates))
        for _ in range(5):  # integrate each axle about its king-pin
            rates = rates + (efforts - 20.0 * rates) / AXLE_INERTIA * PERIOD / 5
            angles = angles + rates * PERIOD / 5
        fastest = max(fastest, np.abs(rates[:2]).max())
    assert angles[:2] == pytest.approx(CAR.steering(curvature), abs=2e-3)
    assert fastest <= CAR.limits[STEER_JOINTS[0]].velocity


def test_a_missing_steering_joint_gets_no_torque() -> None:
    actuation = Actuation(CAR, PERIOD)
    states = JointStates(0, ("other",), np.zeros(1), np.zeros(1), np.zeros(1))
    assert actuation.efforts(0.0, 0.1, states)[:2] == pytest.approx([0, 0])
