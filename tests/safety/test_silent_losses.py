# SPDX-License-Identifier: Apache-2.0
"""Inputs that are sound one by one and must not take a barrier away, nor throw the car out of its lane."""

from __future__ import annotations

import dataclasses
import math
from functools import partial

import numpy as np
import pytest
from safety_drive import FORCE, Drive
from safety_plant import PERIOD, Plant, car, settings

from tidegate.records import ImageHealth, LaneEstimate, Level, Mode, Received, SafetyInputs

LANE = settings().safety.lane
BEND = 1 / 28


def test_a_lane_that_is_just_trusted_binds_though_its_bound_grows_while_it_is_used() -> None:
    drive = Drive(bound=LANE.bound_trusted)
    drive.run(0.5, (0.0, 0.0), reset_requested=True)
    drive.modes.clear()
    for curvature in (0.0, 0.02):  # towards the edge, once it is under way
        drive.run(3.0, (FORCE, curvature))
    assert set(drive.modes) == {Mode.NORMAL}
    assert drive.plant.speed < LANE.unsure_speed
    assert abs(drive.plant.offset) < LANE.half_width - car().width / 2


def test_such_a_lane_binds_from_its_frame_on_until_the_camera_is_late() -> None:
    drive = Drive(bound=LANE.bound_trusted).started(2.0)
    supervisor, bound = drive.supervisor, []
    for _ in range(40):
        drive.run(PERIOD)
        bound.append(supervisor._state.lane is not None)
    assert all(bound)
    ages = []
    while supervisor._state.lane is not None:
        drive.run(PERIOD, camera=False)
        ages.append(supervisor._lane_age)
    assert ages[-2] == supervisor._camera_late < ages[-1]


def test_a_standing_car_remembers_a_lane_that_is_just_trusted() -> None:
    drive = Drive(bound=LANE.bound_trusted)
    drive.run(0.1, (0.0, 0.0))
    drive.run(1.0, (0.0, 0.0), camera=False)
    assert drive.supervisor._state.lane is not None


@pytest.mark.parametrize("over", [-1e-6, 1.0])
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_the_lane_is_turned_by_no_more_than_the_tightest_path_and_what_is_plausible(side: float, over: float) -> None:
    drive = Drive().started(2.0)
    most = car().curvature_max * drive.plant.speed + settings().safety.plausibility.turn_difference

    def turning(inputs: SafetyInputs) -> SafetyInputs:
        assert inputs.odometry is not None
        record = dataclasses.replace(inputs.odometry.record, yaw_rate=side * (most + over))
        return dataclasses.replace(inputs, odometry=Received(record, inputs.odometry.age))

    drive.run(PERIOD, change=turning)
    assert drive.supervisor._tracker._samples[-1][2] == pytest.approx(side * (most + min(over, 0.0)), abs=1e-7)


@pytest.mark.parametrize(("offset", "heading", "driven"), [(0.0, 1.1, True), (0.0, 1.3, False), (11.0, 0.0, False)])
def test_a_lane_too_far_off_to_be_followed_is_none_to_drive_in(offset: float, heading: float, driven: bool) -> None:
    def elsewhere(inputs: SafetyInputs) -> SafetyInputs:
        assert inputs.lane is not None
        lane = dataclasses.replace(inputs.lane.record, offset=offset, heading=heading)
        return dataclasses.replace(inputs, lane=Received(lane, inputs.lane.age))

    tick = Drive().run(0.5, change=elsewhere, reset_requested=True)
    assert (tick.mode == Mode.NORMAL) == driven
    assert ("the lane is too far off, or lies across" in tick.reasons) != driven


def test_a_car_that_stands_across_while_it_drives_has_lost_its_lane() -> None:
    plant = Plant()
    drive = Drive(plant).started(1.0)
    plant.heading = 1.3
    drive.supervisor._tracker.reset()  # as where one estimate after the other led there
    assert drive.run(0.2).mode == Mode.HOLD
    assert drive.run(0.3).mode == Mode.STOPPING


def test_the_lane_of_a_picture_that_is_not_to_be_trusted_is_no_better_once_the_next_picture_is() -> None:
    """Where the next picture's lane is lost, or comes after what its health says."""
    drive, taken = Drive().started(1.0), []
    drive.run(0.02)
    knots = len(settings().perception.preview_m)
    wrong = LaneEstimate(10**11, 0.6, 0.0, np.zeros(knots), np.full(2 + knots, 0.1))
    for told in (ImageHealth(wrong.stamp, Level.ERROR), ImageHealth(wrong.stamp + 1, Level.OK)):
        spoilt = {"lane": Received(wrong, 0), "health": Received(told, 0)}
        assert drive.run(0.025, change=partial(dataclasses.replace, **spoilt)).mode == Mode.HOLD
        lane = drive.supervisor.state.lane
        assert lane is not None
        taken.append(lane.offset)
    assert max(map(abs, taken)) < 0.1
    assert drive.run(0.1).mode == Mode.NORMAL  # the next one is taken


@pytest.mark.parametrize(
    "wrong", [{"speed": 100.0}, {"speed": 20.0}, {"yaw_rate": 49.0}, {"yaw_rate": -49.0}, {"speed": -100.0}]
)
def test_one_wrong_sample_of_odometry_throws_no_car_out_of_its_bend(wrong: dict[str, float]) -> None:
    plant = Plant(road_curvature=BEND)
    drive = Drive(plant)
    drive.run(0.5, (0.0, 0.0), reset_requested=True)
    drive.modes.clear()
    plant.speed, plant.steer = 9.0, np.array(car().steering(BEND))
    drive.supervisor._state.curvature = drive.supervisor._actuation.curvature = BEND

    def sample(inputs: SafetyInputs) -> SafetyInputs:
        assert inputs.odometry is not None
        record = dataclasses.replace(inputs.odometry.record, **wrong)
        return dataclasses.replace(inputs, odometry=Received(record, inputs.odometry.age))

    farthest = 0.0
    for tick in range(700):
        wish = FORCE / 4, BEND - 0.05 * plant.offset - 0.3 * plant.heading
        drive.run(PERIOD, wish, change=sample if tick == 107 else lambda inputs: inputs)
        farthest = max(farthest, abs(plant.offset))
    assert set(drive.modes) == {Mode.NORMAL}
    assert farthest < 0.05
    assert plant.speed > 8.0


def test_where_the_wheels_are_late_odometry_is_believed() -> None:
    """A car whose wheels locked and that told too little is as fast as odometry says again."""
    drive = Drive().started(2.0)
    motion, speed = drive.supervisor._motion, drive.plant.speed
    odometry = drive.plant.odometry(drive.sensors.tick * round(PERIOD * 1e9))
    motion.update(dataclasses.replace(odometry, speed=speed + 3.0), 0.0, 0.0)
    motion.update(dataclasses.replace(odometry, stamp=odometry.stamp + 5_000_000, speed=speed), 0.0, 0.0)
    assert motion.speed == pytest.approx(speed + 3.0, abs=0.02)
    assert math.isfinite(motion.disturbance)
