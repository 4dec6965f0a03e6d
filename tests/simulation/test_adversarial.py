# SPDX-License-Identifier: Apache-2.0
"""Adversarial traffic keeps to what is assumed of it, and goes as far."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from tidegate.simulation.adversarial import BRAKING, BUMPER, CutInCar, DriftingCar, Halted, stated_gap
from tidegate.simulation.road import LANE_WIDTH, OTHER_LANE
from tidegate.simulation.scene import make_scene
from tidegate.simulation.traffic import CrossingTruck, LaneCar, Progress

STEP = 0.005


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("gain", [1.5, 3.5])
def test_a_car_moves_in_at_the_stated_gap_again_and_again_and_brakes_as_hard_as_it_can(seed: int, gain: float) -> None:
    """The car under test speeds up by ``gain`` [m/s²] and keeps clear of what is in its lane."""
    scene = make_scene("cut_in", seed)
    (car,) = scene.actors
    assert isinstance(car, CutInCar)
    s, speed, driven, entered, hardest, inside = scene.start, 0.0, 0.0, 0, 0.0, False
    for _ in range(round(120 / STEP)):
        before = car.speed
        car.advance(STEP, Progress(s, driven, speed))
        hardest = max(hardest, (before - car.speed) / STEP)
        gap = (car.s - s) % scene.road.length - car.body.front - BUMPER
        now = car.lateral - car.body.width < LANE_WIDTH / 2
        if now and not inside:
            entered += 1
            assert gap >= stated_gap(speed) - 0.2  # what it drives while its side crosses the line
        inside = now
        room = gap - 5.0 if now else math.inf
        speed = min(max(speed + (gain if room > stated_gap(speed) else -6.0) * STEP, 0.0), 16.0)
        s, driven = s + speed * STEP, driven + speed * STEP
    assert entered >= 2
    assert hardest == pytest.approx(BRAKING)


@pytest.mark.parametrize("seed", range(5))
def test_a_drifting_car_uses_its_lane_and_does_not_leave_it(seed: int) -> None:
    (car, *_) = make_scene("oncoming_drift", seed).actors
    assert isinstance(car, DriftingCar)
    sides = []
    for _ in range(round(30 / STEP)):
        car.advance(STEP, Progress(0.0, 0.0, 0.0))
        sides.append(abs(car.lateral - OTHER_LANE) + car.body.width)
    assert 0.95 * LANE_WIDTH / 2 < max(sides) < LANE_WIDTH / 2


def test_the_car_ahead_brakes_as_hard_as_it_can() -> None:
    scene = make_scene("lead_brakes", 3)
    (car,) = scene.actors
    assert isinstance(car, LaneCar)
    speeds = []
    for _ in range(round(60 / STEP)):
        car.advance(STEP, Progress(car.s - 40.0, 0.0, 0.0))
        speeds.append(car.speed)
    assert -np.diff(speeds).min() / STEP == pytest.approx(BRAKING)
    assert sum(one > 0.0 == two for one, two in itertools.pairwise(speeds)) >= 2


@pytest.mark.parametrize("seed", range(5))
def test_the_standing_truck_never_moves_and_its_trailer_is_across_the_whole_lane(seed: int) -> None:
    scene = make_scene("truck_standing", seed)
    (truck,) = scene.actors
    assert isinstance(truck, CrossingTruck)
    assert 150.0 < (truck.site - scene.start) % scene.road.length <= 300.0  # who stands nearer never sets off
    before = truck.x, truck.y
    for driven in np.arange(0.0, 500.0, 0.5):
        truck.advance(STEP, Progress(0.0, float(driven), 5.0))
    assert (truck.x, truck.y) == before
    found = truck.footprint(scene.road, scene.road.locate(*scene.road.point(truck.site - 20.0)[:2]), 0.0)
    assert found is not None
    assert found[1].min() < -LANE_WIDTH / 2
    assert found[1].max() > LANE_WIDTH / 2


@pytest.mark.parametrize(("scene", "seed"), [("lead_brakes", 3), ("cut_in", 3), ("truck", 3)])
def test_what_halts_stands_where_it_was(scene: str, seed: int) -> None:
    (car,) = make_scene(scene, seed).actors
    road = make_scene(scene, seed).road
    car.advance(STEP, Progress(0.0, 1e3, 8.0))
    car.speed = 5.0
    halted, there = Halted(car), (car.x, car.y, car.yaw)
    halted.advance(STEP, Progress(0.0, 1e3, 8.0))
    assert (halted.x, halted.y, halted.yaw, halted.speed) == (*there, 0.0)
    place = road.locate(car.x, car.y)
    now, later = halted.footprint(road, place, 0.0), halted.footprint(road, place, 2.0)
    assert now is not None
    assert later is not None
    assert np.array_equal(now[0], later[0])
    assert np.array_equal(now[1], later[1])
