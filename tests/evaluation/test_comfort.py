# SPDX-License-Identifier: Apache-2.0
"""What a passenger feels, against motions made by hand."""

import math
from typing import Any

import numpy as np
import pytest

from tidegate.evaluation.comfort import SPAN_S, Comfort, comfort, reversals, rms

PERIOD, WHEELBASE = 0.005, 2.6
TIME = np.arange(0.0, 60.0, PERIOD)


def felt(**changes: Any) -> Comfort:
    """A minute at 10 m/s straight on in the lane's centre, or otherwise."""
    drive = {"speed": np.full(len(TIME), 10.0), "yaw_rate": np.zeros(len(TIME)), "lane_error": np.zeros(len(TIME))}
    return comfort(PERIOD, **(drive | changes), wheelbase=WHEELBASE)


def test_a_steady_drive_in_the_centre_is_felt_by_nobody():
    assert felt() == Comfort(1.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def test_time_in_the_centre_is_a_share_of_the_time_in_motion():
    speed = np.where(TIME < 20, 0.0, 10.0)
    assert felt(speed=speed, lane_error=np.where(TIME < 50, 0.29, -0.31)).in_centre == pytest.approx(0.75, abs=1e-3)


def test_a_bend_that_is_entered_steadily_has_the_jerk_of_its_ramp():
    yaw_rate = 0.2 * np.clip(TIME - 10.0, 0.0, 1.0)  # 2 m/s² within a second
    found = felt(yaw_rate=yaw_rate)
    assert found.lateral_jerk_peak == pytest.approx(2.0)
    assert found.lateral_jerk_rms == pytest.approx(math.sqrt(2.0**2 / 60), rel=0.05)
    assert found.steering_reversals == 0


def test_a_twitch_of_the_steering_shows_in_the_peak_and_as_a_reversal():
    twitch = np.where(abs(TIME - 30) < 0.1, 0.08, 0.0)  # 0.8 m/s² for 0.2 s
    found = felt(yaw_rate=twitch)
    assert found.lateral_jerk_peak == pytest.approx(0.8 / SPAN_S)
    assert found.steering_reversals == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize(("degrees", "per_minute"), [(0.19, 0), (0.21, 119)])
def test_steering_is_counted_where_the_front_wheels_turn_far_enough_to_be_felt(degrees: float, per_minute: int):
    angle = np.radians(degrees) / 2 * np.sin(2 * math.pi * TIME)  # once a second, there and back
    yaw_rate = 10.0 * np.tan(angle) / WHEELBASE
    assert felt(yaw_rate=yaw_rate).steering_reversals == pytest.approx(per_minute, abs=1.5)


def test_pedals_are_counted_and_the_hardest_braking_is_kept():
    acceleration = np.where((TIME // 5) % 2 == 0, 0.5, -0.5)  # twelve stretches of 5 s: down, then ten turns back
    speed = 10.0 + np.cumsum(acceleration) * PERIOD
    found = felt(speed=speed)
    assert found.pedal_reversals == pytest.approx(10, rel=1e-3)
    assert found.hardest_braking == pytest.approx(0.5)


def test_a_car_that_stands_or_a_drive_that_is_too_short_has_no_comfort_to_judge():
    nothing = Comfort(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert felt(speed=np.zeros(len(TIME))) == nothing
    assert comfort(PERIOD, *np.zeros((3, 2)), wheelbase=WHEELBASE) == nothing
    assert comfort(PERIOD, *np.zeros((3, 0)), wheelbase=WHEELBASE) == nothing


def test_only_a_turn_back_is_a_reversal():
    assert reversals(np.array([]), 1.0) == 0
    assert reversals(np.array([0.0, 5.0, 9.0]), 1.0) == 0
    assert reversals(np.array([0.0, 0.9, 0.0, 0.9]), 1.0) == 0
    assert reversals(np.array([0.0, 2.0, 0.0, 2.0, 1.5, 4.0]), 1.0) == 2


def test_rms_is_the_root_of_the_mean_square():
    assert rms(np.array([3.0, -4.0])) == pytest.approx(math.sqrt(12.5))
