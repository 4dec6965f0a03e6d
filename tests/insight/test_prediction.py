# SPDX-License-Identifier: Apache-2.0
"""The simple model against formulas: a thing ahead, a lane that is left, a speed limit."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tidegate.insight.moment import TickView
from tidegate.insight.prediction import HORIZON_S, predict
from tidegate.records import Command, Mode, SafetyInputs, Tick
from tidegate.robot import Car
from tidegate.safety import State
from tidegate.safety.barrier import Ahead
from tidegate.safety.lane import room
from tidegate.safety.lane_tracker import TrackedLane
from tidegate.settings import Settings, load_settings
from tidegate.share import share_path


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(share_path("config/car.yaml"))


@pytest.fixture(scope="module")
def car(settings: Settings) -> Car:
    return Car.from_settings(settings)


def view(state: State, wanted: tuple[float, float], before: tuple[float, float] | None = None) -> TickView:
    command = Command(0, (), np.zeros(0))
    tick = Tick(command, Mode.NORMAL, wanted, wanted, ())
    return TickView(0, SafetyInputs(0), state, wanted if before is None else before, tick, {})


@pytest.mark.parametrize(("receding", "approaching"), [(0.0, 0.0), (4.0, 0.0), (0.0, 3.0)])
def test_contact_comes_when_the_way_to_what_is_ahead_is_driven(
    settings: Settings, car: Car, receding: float, approaching: float
) -> None:
    acceleration, speed, distance = 1.5, 8.0, 25.0
    state = State(speed=speed, along_lane=Ahead(distance, receding, approaching), arc=Ahead(distance + 1, 0.0, 0.0))
    found = predict(settings, car, view(state, (acceleration * car.effective_mass, 0.0)), steers=False)
    closing = speed - receding + approaching
    expected = (-closing + math.sqrt(closing**2 + 2 * acceleration * distance)) / acceleration
    assert found.contact == pytest.approx(expected, abs=0.02)
    assert found.lane_left is None
    assert found.too_fast == pytest.approx((settings.vehicle.speed_max - speed) / acceleration, abs=0.02)


def test_a_car_that_brakes_in_time_touches_nothing(settings: Settings, car: Car) -> None:
    state = State(speed=8.0, arc=Ahead(25.0))
    found = predict(settings, car, view(state, (-3.0 * car.effective_mass, 0.0)), steers=False)
    assert (found.contact, found.too_fast) == (None, None)


def test_the_brakes_come_no_faster_than_their_torque_rate(settings: Settings, car: Car) -> None:
    """From full drive the same braking is later, and touches what it would have stopped before."""
    braking = -5.0 * car.effective_mass
    way = 8.0**2 / (2 * 5.0)
    state = State(speed=8.0, arc=Ahead(way + 0.3))
    assert predict(settings, car, view(state, (braking, 0.0)), steers=False).contact is None
    late = predict(settings, car, view(state, (braking, 0.0), before=(car.force_max, 0.0)), steers=False)
    assert late.contact is not None


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_the_lane_is_left_where_the_front_axle_reaches_its_room(settings: Settings, car: Car, side: float) -> None:
    speed, heading = 10.0, 0.04
    lane = TrackedLane(0.0, side * heading, 0.1, 0.01, (0.0, 100.0), (0.0, 0.0), 100.0)
    found = predict(settings, car, view(State(speed=speed, lane=lane), (0.0, 0.0)), steers=True)
    expected = (room(settings, car) - car.wheelbase * math.sin(heading)) / (speed * math.sin(heading))
    assert found.lane_left == pytest.approx(expected, abs=0.02)
    straight = predict(settings, car, view(State(speed=speed, lane=lane), (0.0, 0.0)), steers=False)
    assert (straight.lane_left, straight.lane_known_s) == (None, 0.0), "the filter left the steering alone"


def test_a_bend_that_is_steered_is_not_left(settings: Settings, car: Car) -> None:
    lane = TrackedLane(0.0, 0.0, 0.1, 0.01, (0.0, 30.0), (0.02, 0.02), 30.0)
    state = State(speed=8.0, lane=lane)
    steered = predict(settings, car, view(state, (0.0, 0.02)), steers=True)
    assert steered.lane_left is None
    assert steered.lane_known_s == pytest.approx(30.0 / 8.0, abs=0.05), "it is known no farther"
    assert steered.horizon_s == HORIZON_S
    unsteered = predict(settings, car, view(state, (0.0, 0.0)), steers=True)
    assert unsteered.lane_left is not None


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_in_a_bend_the_outer_front_wheel_leaves_the_lane_first(settings: Settings, car: Car, side: float) -> None:
    """The rear axle goes along with the lane, at an offset that leaves the front one a centimetre, or a centimetre less
    than it needs."""
    bend, needs = side * 0.03, 0.03 * car.wheelbase**2 / 2
    for spare, left in ((0.01, False), (-0.01, True)):
        offset = -side * (room(settings, car) - needs - spare)
        path = bend / (1 - bend * offset)
        lane = TrackedLane(offset, 0.0, 0.1, 0.01, (0.0, 60.0), (bend, bend), 60.0)
        found = predict(settings, car, view(State(speed=8.0, lane=lane), (0.0, path)), steers=True)
        assert (found.lane_left is not None) == left
