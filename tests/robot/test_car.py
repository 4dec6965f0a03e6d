# SPDX-License-Identifier: Apache-2.0
"""The car's geometry and motion against independent geometry and numerical integration; limits only tighten."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from tidegate.errors import RobotError
from tidegate.robot import Car
from tidegate.settings import load_settings
from tidegate.share import share_path

SETTINGS = load_settings(share_path("config/car.yaml"))
CAR = Car.from_settings(SETTINGS)


def test_mass_and_geometry_come_from_the_description() -> None:
    assert CAR.mass == pytest.approx(1200)
    assert (CAR.wheelbase, CAR.track, CAR.wheel_radius) == pytest.approx((2.6, 1.5, 0.31))
    assert CAR.front - CAR.rear == pytest.approx(4.1)


@given(st.floats(-CAR.curvature_max, CAR.curvature_max))
def test_all_wheels_roll_about_one_centre(curvature: float) -> None:
    left, right = CAR.steering(curvature)
    assert max(abs(left), abs(right)) <= CAR.limits["front_left_steer_joint"].upper + 1e-9
    if abs(curvature) > 1e-4:
        centre = 1 / curvature
        for angle, y in ((left, CAR.track / 2), (right, -CAR.track / 2)):
            assert CAR.wheelbase / math.tan(angle) + y == pytest.approx(centre)
    assert CAR.curvature(left, right) == pytest.approx(curvature, abs=1e-12)


@given(st.floats(CAR.force_min, CAR.force_max))
def test_wheel_efforts_sum_to_the_force_and_stay_inside_limits(force: float) -> None:
    efforts = CAR.wheel_efforts(force)
    assert CAR.wheel_force(efforts) == pytest.approx(force)
    assert efforts.sum() / CAR.wheel_radius == pytest.approx(force)
    for name, effort in zip(CAR.wheel_joints, efforts, strict=True):
        assert abs(effort) <= CAR.limits[name].effort * (1 + 1e-12)
        if effort > 0:
            assert name in SETTINGS.vehicle.driven


@given(st.floats(CAR.force_min, CAR.force_max), st.floats(0.001, 0.05), st.floats(0, 1))
def test_force_window_is_what_the_torque_rate_allows(force: float, period: float, part: float) -> None:
    low, high = CAR.force_window(force, period)
    assert low <= force <= high
    step = SETTINGS.vehicle.wheel_effort_rate * period
    before, after = CAR.wheel_efforts(force), CAR.wheel_efforts(low + part * (high - low))
    assert np.abs(after - before).max() <= step * (1 + 1e-9)
    for edge, bound in ((low, CAR.force_min), (high, CAR.force_max)):
        tight = np.abs(CAR.wheel_efforts(edge) - before).max()
        assert tight == pytest.approx(step) or edge == bound


@pytest.mark.parametrize("bend", [1 / 28, -1 / 28, 1 / 90])
@pytest.mark.parametrize(("offset", "heading"), [(0.0, 0.0), (0.5, 0.02), (-0.4, 0.1)])
def test_the_front_axles_offset_is_the_radius_less_its_distance_from_the_bends_centre(
    bend: float, offset: float, heading: float
) -> None:
    radius, length = 1 / bend, CAR.wheelbase
    away = math.hypot(length * math.cos(heading), radius - offset - length * math.sin(heading))
    assert CAR.front_offset(offset, heading, bend) == pytest.approx(radius - math.copysign(away, radius), abs=0.006)


def test_road_motion_matches_a_car_integrated_in_the_plane() -> None:
    """A circular road of radius 50 m: integrate the car in Cartesian coordinates, measure offset and heading there."""
    road, curvature, force = 1 / 50.0, 0.025, 800.0
    start = np.array([0.0, 0.3, 0.05, 8.0])  # x, y, yaw, speed at the foot of the circle about (0, 50)

    def plane(_: float, state: np.ndarray) -> list[float]:
        _, _, yaw, speed = state
        return [speed * math.cos(yaw), speed * math.sin(yaw), speed * curvature, force / CAR.effective_mass]

    def frame(_: float, state: np.ndarray) -> np.ndarray:
        drift, control = CAR.road_motion(state[0], state[1], state[2], road)
        return drift + control @ np.array([force, curvature])

    exact = solve_ivp(plane, (0, 1), start, rtol=1e-10, atol=1e-12).y[:, -1]
    made = solve_ivp(frame, (0, 1), [0.3, 0.05, 8.0], rtol=1e-10, atol=1e-12).y[:, -1]
    radial = np.array([exact[0], exact[1] - 50.0])
    offset = 50.0 - np.linalg.norm(radial)
    tangent = math.atan2(radial[0], -radial[1])
    assert made == pytest.approx([offset, exact[2] - tangent, exact[3]], abs=1e-7)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"brake_effort_max": 2000.0}, ["vehicle.brake_effort_max", "2000", "1500"]),
        ({"steer_effort_max": 700.0}, ["vehicle.steer_effort_max", "700", "600"]),
        ({"drive_effort_max": 1600.0}, ["vehicle.drive_effort_max", "1600", "1500"]),
        ({"steer_velocity_max": 4.0}, ["vehicle.steer_velocity_max", "4", "3"]),
        ({"speed_max": 21.7}, ["vehicle.speed_max is 21.7 m/s", "70 rad/s", "front_left_wheel_joint", "65"]),
        ({"driven": ("tail_joint",)}, ["vehicle.driven", "tail_joint", "rear_left_wheel_joint"]),
        ({"driven": ()}, ["vehicle.driven", "empty"]),
        ({"wheel_joints": ("a", "b", "c")}, ["vehicle.wheel_joints names 3 joints (a, b, c)", "4", "rear left"]),
        ({"steer_joints": ()}, ["vehicle.steer_joints names 0 joints", "2, left and right"]),
        ({"steer_joints": ("front_left_steer_joint",) * 2}, ["'front_left_steer_joint' more than once"]),
        ({"wheel_joints": ("a", "b", "c", "d"), "driven": ("a",)}, ["car.urdf.xacro", "a"]),
        ({"urdf": "none.urdf"}, ["none.urdf"]),
    ],
)
def test_settings_never_loosen_the_description(changes: dict[str, Any], words: list[str]) -> None:
    settings = dataclasses.replace(SETTINGS, vehicle=dataclasses.replace(SETTINGS.vehicle, **changes))
    with pytest.raises(RobotError) as caught:
        Car.from_settings(settings)
    for word in words:
        assert word in str(caught.value)


def test_settings_tighten() -> None:
    vehicle = dataclasses.replace(SETTINGS.vehicle, brake_effort_max=900.0)
    car = Car.from_settings(dataclasses.replace(SETTINGS, vehicle=vehicle))
    assert car.limits["front_left_wheel_joint"].effort == 900
    assert car.force_min == pytest.approx(-900 / 0.31 / (0.7 / 2))  # a front wheel's share


@pytest.mark.parametrize("side", [-1, 1])
def test_the_force_changes_as_fast_as_the_torque_rate_of_its_wheels(side: int) -> None:
    period = 0.005
    low, high = CAR.force_window(0.0, period)
    assert CAR.force_rate(side) * period == pytest.approx(high if side > 0 else -low)
