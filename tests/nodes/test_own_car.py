# SPDX-License-Identifier: Apache-2.0
"""docs/robot.md with a car of another name: its files as the page has them, up to nodes that are configured."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plant import until
from rclpy.executors import Executor
from rclpy.lifecycle import TransitionCallbackReturn

from tidegate.doctor.finding import Verdict, worst
from tidegate.doctor.robot import check_bundle, read_robot
from tidegate.nodes.perception_node import PerceptionNode
from tidegate.nodes.policy_node import PolicyNode
from tidegate.nodes.safety_node import SafetyNode
from tidegate.robot import Car
from tidegate.settings import load_settings
from tidegate.share import share_path

PAGE = (Path(__file__).parents[2] / "docs" / "robot.md").read_text("utf-8")


@pytest.fixture
def van(tmp_path: Path) -> Path:
    """The folder of step 1: settings and URDF copied under another name, the camera on a mount of its own."""
    for folder in ("config", "urdf", "models"):
        (tmp_path / folder).mkdir()
    shutil.copy(share_path("urdf/car.urdf.xacro"), tmp_path / "urdf" / "van.urdf.xacro")
    shutil.copy(share_path("urdf/gazebo.xacro"), tmp_path / "urdf")
    text = share_path("config/car.yaml").read_text("utf-8")
    for old, new in (("name: car", "name: van"), ("urdf: ../urdf/car.urdf.xacro", "urdf: ../urdf/van.urdf.xacro")):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "config" / "van.yaml").write_text(text, "utf-8")
    return tmp_path


@pytest.fixture
def nodes(ros: Executor) -> Iterator[list[Any]]:
    made: list[Any] = []
    yield made
    for node in made:
        node.close()
        ros.remove_node(node)
        node.destroy_node()


def test_a_car_of_another_name_comes_up_with_a_bundle_of_its_own(ros: Executor, van: Path, nodes: list[Any]) -> None:
    pytest.importorskip("torch")
    from tidegate.stack import Stack

    config, bundle = van / "config" / "van.yaml", van / "models" / "van-ltc19"
    settings = load_settings(config)
    mass = Car.from_settings(settings).effective_mass
    Stack.from_settings(settings, 0).to_bundle("van-ltc19", settings, mass, conformal=[2.0] * 6).save(bundle)
    findings: list[Any] = []
    robot = read_robot(config, findings)
    assert robot is not None
    findings += check_bundle(bundle, *robot)
    assert worst(findings) is Verdict.OK, findings
    base = ["--ros-args", "--params-file", str(config)]
    model = ["-p", f"bundle:={bundle}"]
    for make, own in ((PerceptionNode, model), (PolicyNode, model), (SafetyNode, ["-p", "dry_run:=true"])):
        nodes.append(make([*base, *own]))
        ros.add_node(nodes[-1])
        assert nodes[-1].trigger_configure() == TransitionCallbackReturn.SUCCESS
    until(ros, lambda: True, "nothing more")


def test_the_shipped_bundle_is_refused_for_it_as_the_page_says(ros: Executor, van: Path, nodes: list[Any]) -> None:
    flags = ["--params-file", str(van / "config" / "van.yaml"), "-p", f"bundle:={share_path('models/car-ltc19')}"]
    node = PerceptionNode(["--ros-args", *flags])
    nodes.append(node)
    ros.add_node(node)
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert "refused" in PAGE


def test_each_step_of_the_page_comes_after_what_it_needs() -> None:
    order = [
        "config/<robot>.yaml",
        "tidegate train --from-scratch",
        "camera.topic",
        "dry_run:=true",
        "tidegate calibrate",
    ]
    places = [PAGE.index(word) for word in order]
    assert places == sorted(places)
    for argument in re.findall(r"(\w+):=", PAGE.split("## ")[0]):
        assert argument in {"robot", "dry_run", "params_file", "bundle"}, argument
