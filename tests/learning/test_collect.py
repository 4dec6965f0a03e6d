# SPDX-License-Identifier: Apache-2.0
"""Recorded drives: what is in them, that they repeat, and that a break costs one drive only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tidegate.bag import BagReader, Drive, bag_hash
from tidegate.learning.collect import Disturbance, Plan, collect, plan_drives, record_drive, set_down
from tidegate.learning.dataset import load_drive
from tidegate.learning.recipe import CollectRecipe, Recipe
from tidegate.records import Command
from tidegate.robot import Actuation
from tidegate.settings import Settings
from tidegate.simulation import Simulator
from tidegate.simulation.expert import STANDSTILL


def test_a_bag_holds_the_sensors_and_the_experts_answers(bags: list[Path]) -> None:
    reader = BagReader(bags[0])
    names = {"camera/image_raw", "camera/camera_info", "odom", "joint_states", "expert/nominal", "expert/lane"}
    assert set(reader.topics) == {f"/{name}" for name in names}
    assert set(reader.counts.values()) == {60}


def test_labels_are_those_of_the_frame(drives: list[Drive], settings: Settings) -> None:
    """Over one period the true offset changes by about speed × heading: labels of another frame would not."""
    for drive in drives:
        offset, heading = drive.lane[:, 0], drive.lane[:, 1]
        step = np.diff(offset)
        smooth = np.abs(step) < 0.2  # leaves out the sudden shifts
        predicted = (drive.speed * heading / settings.camera.rate_hz)[:-1]
        np.testing.assert_allclose(step[smooth], predicted[smooth], atol=0.02)


def test_the_same_plan_gives_the_same_bag(bags: list[Path], config: Path, tmp_path: Path) -> None:
    short = replace(CollectRecipe(), duration_s=3.0)
    plan = Plan(str(config), str(tmp_path / bags[0].name), "road", 3, short)
    heard: list[Path] = []
    assert collect([plan], 1, heard.append) == [tmp_path / bags[0].name]
    assert heard == [tmp_path / bags[0].name]
    assert bag_hash(heard[0]) == bag_hash(bags[0])
    assert collect([plan], 1, heard.append) == heard  # there already: not driven again
    assert len(heard) == 1


def test_the_same_road_can_be_driven_again_with_other_disturbances(
    drives: list[Drive], settings: Settings, config: Path, tmp_path: Path
) -> None:
    once_more = Plan(str(config), str(tmp_path / "again"), "road", 3, replace(CollectRecipe(), duration_s=3.0), again=1)
    record_drive(once_more)
    again, _ = load_drive(tmp_path / "again", settings.perception)
    np.testing.assert_array_equal(again.lane[0], drives[0].lane[0])
    np.testing.assert_array_equal(again.images[0], drives[0].images[0])
    assert not np.array_equal(again.lane[-1], drives[0].lane[-1])


def test_scenes_are_spread_and_a_longer_run_begins_like_a_shorter(config: Path, tmp_path: Path) -> None:
    recipe = Recipe().collect
    plans = plan_drives(config, tmp_path, 0, 100, recipe)
    assert [plan.scene for plan in plans].count("truck") in (9, 10, 11)
    assert [plan.scene for plan in plans].count("traffic") in (34, 35, 36)
    assert sum(plan.close for plan in plans) in (9, 10, 11)
    assert all(plan.scene == "traffic" for plan in plans if plan.close)
    assert [plan.scene for plan in plans].count("road_whiteout") in (14, 15, 16)
    assert plan_drives(config, tmp_path, 0, 10, recipe) == plans[:10]


def test_the_disturbed_expert_leaves_the_middle_of_the_lane(drives: list[Drive]) -> None:
    offset = np.concatenate([drive.lane[:, 0] for drive in drives])
    assert 0.1 < np.abs(offset).max() < 2.0


@pytest.mark.slow
def test_close_drives_come_nearer_than_the_expert_wants_and_the_lesson_is_to_drive_on(
    config: Path, settings: Settings, tmp_path: Path
) -> None:
    """The distance is kept in the drive but is no part of the lesson: it is the safety filter's."""
    short = replace(CollectRecipe(), duration_s=10.0, push_share=0.0)
    plans = [Plan(str(config), str(tmp_path / str(close)), "traffic", 7, short, close=close) for close in (False, True)]
    assert _least_gap(settings, plans[0]) > STANDSTILL - 0.5
    assert _least_gap(settings, plans[1]) < STANDSTILL - 0.5
    record_drive(plans[1])
    drive, _ = load_drive(Path(plans[1].out), settings.perception)
    slowing = drive.speed[20:] < drive.speed[:-20] - 0.3
    assert slowing.any()
    assert (drive.force[20:][slowing] > 0).all()


def test_a_network_that_pushes_is_held_back_behind_a_car(config: Path, settings: Settings) -> None:
    plan = Plan(str(config), "", "traffic", 7, replace(CollectRecipe(), push_share=0.0), close=True)
    with Simulator(settings, plan.scene, plan.seed, camera=False) as simulator:
        set_down(simulator, plan)
        disturbance, truth = Disturbance(simulator, plan), simulator.truth()
        asked = replace(disturbance.expert.wish(truth), force=9000.0)
        held = disturbance.expert.following_force(truth)
        assert disturbance.act(truth, disturbance.expert.wish(truth), asked).force <= held < 9000.0


def _least_gap(settings: Settings, plan: Plan) -> float:
    """Drive ``plan`` without a camera."""
    least = np.inf
    with Simulator(settings, plan.scene, plan.seed, camera=False) as simulator:
        set_down(simulator, plan)
        disturbance = Disturbance(simulator, plan)
        actuation = Actuation(simulator.car, 1 / settings.safety.rate_hz)
        for _ in range(round(plan.recipe.duration_s * settings.safety.rate_hz)):
            truth = simulator.truth()
            wanted = disturbance.act(truth, disturbance.expert.wish(truth), None)
            efforts = actuation.efforts(wanted.force, wanted.curvature, simulator.observe().joints, simulator.now)
            simulator.apply(Command(simulator.now, simulator.car.joint_names, efforts))
            simulator.step()
            least = min(least, truth.gap)
    return least
