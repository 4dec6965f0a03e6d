# SPDX-License-Identifier: Apache-2.0
"""What a drive-by-wire car is asked for never exceeds its limits, and says what the efforts would have done."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.records import Command, MotionRequest
from tidegate.robot import GRAVITY, Car, DriveByWire
from tidegate.robot.drive_by_wire import MotionLimiter, MotionLimits
from tidegate.settings import load_settings
from tidegate.share import share_path

SETTINGS = load_settings(share_path("config/car.yaml"))
CAR = Car.from_settings(SETTINGS)
VEHICLE = CAR.vehicle
PERIOD = 1 / SETTINGS.safety.rate_hz
HORIZON = VEHICLE.speed_horizon_s
LOW, HIGH = CAR.force_min / CAR.effective_mass, CAR.force_max / CAR.effective_mass
PUSH = GRAVITY * VEHICLE.slope_max + 0.5
NEAR = 1 + 1e-9

anything = st.one_of(st.floats(), st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf, 1e308, 5e-324]))
plausible = st.tuples(st.floats(-15, 5), st.floats(-0.3, 0.3), st.floats(-2, 30))
calls = st.lists(
    st.one_of(st.tuples(anything, anything, st.one_of(st.none(), anything)), plausible), min_size=1, max_size=40
)
Call = tuple[float, float, float | None]


def rolling(speed: float, curvature: float = 0.0) -> MotionLimiter:
    """A limiter whose car has driven off and is at this speed."""
    made = MotionLimiter(CAR, PERIOD)
    for now in np.arange(0.0, speed, HIGH * PERIOD).tolist():
        made(HIGH, 0.0, now)
    made(HIGH, curvature, speed)
    return made


@given(calls)
def test_whatever_comes_in_the_request_is_inside_every_limit(called: list[Call]) -> None:
    limiter, before = MotionLimiter(CAR, PERIOD), 0.0
    for acceleration, curvature, speed in called:
        asked = limiter(acceleration, curvature, speed)
        assert LOW <= asked <= HIGH
        assert 0.0 <= limiter.speed <= VEHICLE.speed_max
        assert abs(limiter.curvature) <= CAR.curvature_max
        assert limiter.speed * limiter.speed * abs(limiter.curvature) <= VEHICLE.lateral_acceleration_max * NEAR
        for now, then in zip(CAR.steering(limiter.curvature), CAR.steering(before), strict=True):
            assert abs(now - then) <= VEHICLE.steer_velocity_max * PERIOD * NEAR
        before = limiter.curvature


@given(calls)
def test_the_speed_never_asks_for_more_than_the_drive_gives(called: list[Call]) -> None:
    limiter = MotionLimiter(CAR, PERIOD)
    for acceleration, curvature, speed in called:
        limiter(acceleration, curvature, speed)
        if speed is not None and math.isfinite(speed):
            assert limiter.speed <= max(speed + HIGH * HORIZON, 0.0) * NEAR


@given(st.lists(st.tuples(st.floats(-15, 5), st.floats(-0.3, 0.3), st.floats(-3, 1)), min_size=50, max_size=200))
def test_a_car_that_obeys_is_never_braked_harder_than_its_brakes_can(pushed: list[tuple[float, float, float]]) -> None:
    """Whatever slope or drag adds; less speed is asked for where the limit or the bend asks for it."""
    limiter, speed = MotionLimiter(CAR, PERIOD), 0.0
    for acceleration, curvature, push in pushed:
        limiter(acceleration, curvature, speed)
        lateral = VEHICLE.lateral_acceleration_max
        caps = [VEHICLE.speed_max, *([math.sqrt(lateral / abs(limiter.curvature))] if limiter.curvature else [])]
        assert limiter.speed * NEAR >= min(max(speed + LOW * HORIZON, 0.0), *caps)
        speed = max(speed + (min(max(acceleration, LOW), HIGH) + push * PUSH) * PERIOD, 0.0)


@given(
    st.floats(0.0, 16.5),
    st.floats(-11.0, -PUSH - 0.5),
    st.lists(st.one_of(st.none(), st.floats(0, 1e6), st.just(math.nan)), min_size=1, max_size=20),
)
def test_a_stop_ends_in_a_stop_whatever_the_speed_is_said_to_be(
    speed: float, braking: float, said: list[float | None]
) -> None:
    """A sensor that hangs, or invents a speed, neither keeps the car rolling nor starts one that stands."""
    limiter = rolling(speed, 0.1)
    held, ticks = limiter.curvature, math.ceil(speed / (-braking - PUSH) / PERIOD) + 2
    asked = []
    for tick in range(ticks):
        limiter(braking, math.nan, said[tick % len(said)])
        asked.append(limiter.speed)
    assert limiter.speed == 0.0
    assert limiter.curvature == held
    assert max(asked) <= max(speed + braking * HORIZON, 0.0) * NEAR + PUSH * PERIOD
    limiter(braking, math.nan, 1e6)
    assert limiter.speed == 0.0


def test_garbage_brakes_and_keeps_the_steering() -> None:
    limiter = rolling(10.0, 0.02)
    turned = limiter.curvature
    assert limiter(math.nan, math.nan, 10.0) == -VEHICLE.brake_guaranteed
    assert limiter.speed == pytest.approx(10.0 - VEHICLE.brake_guaranteed * HORIZON, abs=(5 - PUSH) * PERIOD + 1e-9)
    assert limiter.curvature == turned > 0


def test_a_speed_that_nobody_tells_is_not_driven_at() -> None:
    limiter = rolling(8.0)
    limiter(2.0, 0.0, 8.0)
    assert limiter.speed == 9.0
    assert limiter(2.0, 0.0, None) == 0.0
    assert limiter.speed == 8.0


def test_where_the_steering_cannot_turn_back_in_time_the_speed_gives_way() -> None:
    limiter = rolling(2.0)
    for _ in range(400):
        limiter(0.0, 0.2, 2.0)
    assert limiter.curvature == pytest.approx(0.2)
    for _ in range(400):
        limiter(HIGH, 0.2, 30.0)
        assert limiter.speed**2 * limiter.curvature <= VEHICLE.lateral_acceleration_max * NEAR
    assert limiter.speed > math.sqrt(VEHICLE.lateral_acceleration_max / 0.2)  # it has turned back meanwhile


def test_it_begins_at_standstill_and_a_speed_may_be_gained_only_as_fast_as_drive_and_slope_give_it() -> None:
    limiter = MotionLimiter(CAR, PERIOD)
    for count in (1, 2):
        assert limiter(0.0, 0.0, 30.0) == 0.0
        assert limiter.speed == pytest.approx(count * PUSH * PERIOD)
    limiter = rolling(5.0)
    limiter(0.0, 0.0, 5.0)
    limiter(1.0, 0.0, 30.0)
    assert limiter.speed == pytest.approx(5.0 + (1.0 + PUSH) * PERIOD + HORIZON)


def test_a_speed_that_nobody_tells_falls_by_what_is_braked() -> None:
    limiter = rolling(10.0)
    limiter(0.0, 0.0, 10.0)
    for count in (1, 2):
        limiter(-2.0, 0.0, None)
        assert limiter.speed == pytest.approx(10.0 - 2.0 * count * PERIOD - 2.0 * HORIZON)


@pytest.mark.parametrize("said", [None, 30.0])
def test_after_a_stop_it_starts_from_none(said: float | None) -> None:
    limiter = rolling(1.0)
    for _ in range(200):
        limiter(-5.0, 0.0, said)
    limiter(1.0, 0.0, 30.0)
    assert limiter.speed == pytest.approx((1.0 + PUSH) * PERIOD + HORIZON)


def test_a_lower_speed_limit_is_asked_for_no_faster_than_the_brakes_brake() -> None:
    limiter = rolling(10.0)
    limiter(0.0, 0.0, 10.0)
    limiter.tighten(MotionLimits(9.9, 99.0, 500.0))
    for count in range(1, 5):
        asked = limiter(0.0, 0.0, 10.0)
        assert limiter.speed == pytest.approx(max(10.0 + count * LOW * PERIOD, 9.9))
        assert asked == pytest.approx((limiter.speed - 10.0) / HORIZON)
    assert limiter.speed == 9.9
    assert limiter(HIGH, 0.0, 5.0) == pytest.approx(500.0 / CAR.effective_mass)


@pytest.mark.parametrize(("lateral", "speed", "allowed"), [(0.1, 0.7, 0.1), (0.225, 1.5, 0.1), (9.0, 5.0, 0.16)])
def test_a_lower_lateral_limit_bounds_the_curvature_and_no_one_widens_the_cars_own(
    lateral: float, speed: float, allowed: float
) -> None:
    limiter = rolling(speed)
    limiter.tighten(MotionLimits(9.0, lateral, 9e9))
    for _ in range(200):
        limiter(0.0, 0.2, speed)
    own = VEHICLE.lateral_acceleration_max / speed**2
    assert limiter.curvature == pytest.approx(min(allowed, own))


def test_the_speed_that_gives_way_is_the_highest_that_the_bend_allows() -> None:
    limiter = rolling(4.0)
    for _ in range(200):
        limiter(0.0, 0.2, 4.0)
    limiter.tighten(MotionLimits(9.0, 2.0, 9e9))
    asked = limiter(0.0, 0.2, 4.0)
    assert limiter.speed == pytest.approx(math.sqrt(2.0 / limiter.curvature))
    assert asked == pytest.approx(max((limiter.speed - 4.0) / HORIZON, LOW))


def request(wire: DriveByWire, force: float, curvature: float, speed: float | None) -> MotionRequest:
    effort = np.array([300.0, -300.0, *CAR.wheel_efforts(force)])
    return wire.request(Command(7, CAR.joint_names, effort), curvature, speed)


def wired(speed: float) -> DriveByWire:
    """For a car that has driven off and is at this speed."""
    made = DriveByWire(CAR, PERIOD)
    for now in [*np.arange(0.0, speed, HIGH * PERIOD).tolist(), speed]:
        request(made, CAR.force_max, 0.0, now)
    return made


@given(st.floats(-4.0, 1.5), st.floats(5.0, 15.0))
def test_a_force_becomes_the_acceleration_that_it_gives_the_mass(acceleration: float, speed: float) -> None:
    """The force goes back and forth through the wheels' torques, which only the mass and the radius know."""
    asked = request(wired(speed), acceleration * CAR.effective_mass, 0.0, speed)
    assert asked.stamp == 7
    assert asked.acceleration == pytest.approx(acceleration)
    assert asked.speed == pytest.approx(speed + acceleration * HORIZON, abs=6 * PERIOD)
    assert asked.yaw_rate == asked.steering == 0.0


@given(st.floats(-0.03, 0.03), st.floats(1.0, 8.0))
def test_the_steering_is_that_of_a_single_track_car_and_left_is_left(curvature: float, speed: float) -> None:
    wire = wired(speed)
    for _ in range(100):
        asked = request(wire, 0.0, curvature, speed)
    assert math.tan(asked.steering) / 2.6 == pytest.approx(curvature)  # the URDF's wheelbase
    assert asked.yaw_rate == pytest.approx(asked.speed * math.tan(asked.steering) / 2.6)
    assert asked.twist.yaw_rate == asked.yaw_rate
    assert asked.twist.speed == asked.speed
    assert math.copysign(1, asked.steering) == math.copysign(1, curvature)
    left, right = CAR.steering(curvature)
    assert min(left, right) <= asked.steering <= max(left, right)


def test_a_stop_is_no_speed_and_the_angle_of_before() -> None:
    wire = DriveByWire(CAR, PERIOD)
    off = request(wire, 1000.0, CAR.curvature_rate * PERIOD / 2, 0.01)
    assert not wire.stopped
    standing = request(wire, -2500.0, math.nan, 0.01)
    assert wire.stopped
    assert standing.speed == standing.yaw_rate == 0.0
    assert standing.acceleration < -1.0
    assert standing.steering == off.steering > 0


def test_a_speed_loop_with_dead_time_gives_the_acceleration_that_was_asked_for() -> None:
    """v̇ = (v_asked(t − 0.1) − v) / 0.4, integrated by itself: the sum of both is the shipped horizon."""
    for acceleration in (-5.0, -2.0, 1.5):
        wire, speed, sent, speeds = wired(10.0), 10.0, [], []
        for tick in range(200):
            sent.append(request(wire, acceleration * CAR.effective_mass, 0.0, speed).speed)
            speed += (sent[max(tick - 20, 0)] - speed) / 0.4 * PERIOD if tick >= 20 else 0.0
            speeds.append(speed)
        gained = (speeds[-1] - speeds[100]) / (99 * PERIOD)
        assert gained == pytest.approx(acceleration, rel=0.03)


def test_cars_that_take_efforts_need_none_of_it() -> None:
    assert VEHICLE.output == "effort"
    assert DriveByWire.of(CAR, PERIOD) is None
    assert DriveByWire.of(replace(CAR, vehicle=replace(VEHICLE, output="twist")), PERIOD) is not None


def test_a_lower_limit_reaches_what_is_asked_for() -> None:
    wire = wired(10.0)
    wire.tighten(MotionLimits(9.9, 99.0, 9e9))
    for _ in range(5):
        asked = request(wire, 0.0, 0.0, 10.0)
    assert asked.speed == 9.9
