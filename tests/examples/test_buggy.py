# SPDX-License-Identifier: Apache-2.0
"""Another car by YAML and URDF alone: other joints, another axle that drives, a third of the mass."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("mujoco")

from tidegate.evaluation.rollout import Task, drive
from tidegate.robot import Actuation, Car
from tidegate.settings import load_settings
from tidegate.share import share_path

CONFIG = Path(__file__).parents[2] / "examples/buggy/buggy.yaml"
SETTINGS = load_settings(CONFIG)
BUGGY, CAR = Car.from_settings(SETTINGS), Car.from_settings(load_settings(share_path("config/car.yaml")))


def test_it_is_another_car() -> None:
    assert BUGGY.mass == pytest.approx(400.0)
    assert not set(BUGGY.joint_names) & set(CAR.joint_names)
    above, before = (car.description.origin("camera_link")[0][2] for car in (BUGGY, CAR))
    assert above - before == pytest.approx(0.3)
    front, rear = BUGGY.wheel_efforts(1000.0)[:2], BUGGY.wheel_efforts(1000.0)[2:]
    assert (front > 0).all()
    assert (rear == 0).all()
    assert (Actuation(BUGGY, 0.005).high > 0).tolist() == [True, True, True, True, False, False]


@pytest.mark.parametrize("scene", ["road", "truck"])
def test_the_expert_drives_it_behind_the_filter(scene: str) -> None:
    task = Task(str(CONFIG), "", scene, 3001, driver="expert", longest_s=10.0)
    run = drive(SETTINGS, task, None)
    assert run.distance_m > 40.0
    assert run.max_abs_lane_error_m < 0.2
    assert run.limit_violations == run.collisions == 0
    assert run.off_road_s == 0.0
