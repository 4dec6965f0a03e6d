# SPDX-License-Identifier: Apache-2.0
"""Inputs that are sound one by one and must not take a barrier away, nor throw the car out of its lane."""

from __future__ import annotations

import dataclasses

import pytest
from safety_drive import FORCE, Drive
from safety_plant import Plant, car, settings

from tidegate.records import Mode, Received, SafetyInputs

LANE = settings().safety.lane


def test_a_lane_that_is_just_trusted_binds_though_its_bound_grows_while_it_is_used() -> None:
    drive = Drive(bound=LANE.bound_trusted)
    drive.run(0.5, (0.0, 0.0), reset_requested=True)
    drive.modes.clear()
    for curvature in (0.0, 0.02):  # towards the edge, once it is under way
        drive.run(3.0, (FORCE, curvature))
    assert set(drive.modes) == {Mode.NORMAL}
    assert drive.plant.speed < LANE.unsure_speed
    assert abs(drive.plant.offset) < LANE.half_width - car().width / 2


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
