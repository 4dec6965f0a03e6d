# SPDX-License-Identifier: Apache-2.0
"""``robot.launch.py ros2_control:=true``: what it would start, and what it refuses before it starts anything."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

pytest.importorskip("launch_ros")

from launch import LaunchContext
from launch.events.process import ProcessExited
from launch.utilities import perform_substitutions

from tidegate.errors import RobotError
from tidegate.nodes import ros2_control
from tidegate.share import share_path

INDEX = "share/ament_index/resource_index/packages"
CONTROLLERS = share_path("config/controllers.yaml")


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LaunchContext:
    """As if all packages were there, and the defaults of the launch file."""
    (tmp_path / INDEX).mkdir(parents=True)
    for package in ros2_control.PACKAGES:
        (tmp_path / INDEX / package).touch()
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    made = LaunchContext()
    made.extend_locals({"ros_specific_arguments": {"name": "", "ns": ""}})
    made.launch_configurations.update(
        ros2_control="true",
        namespace="",
        log_level="info",
        use_sim_time="false",
        params_file=str(share_path("config/car.yaml")),
        controllers=str(CONTROLLERS),
        hardware="my_driver/MySystem",
    )
    return made


def words(context: LaunchContext, node: Any) -> list[str]:
    node._perform_substitutions(context)
    return [perform_substitutions(context, part) for part in node.cmd[1:]]


def test_it_starts_who_describes_the_robot_the_controller_manager_and_the_controllers(context: LaunchContext) -> None:
    describer, manager, spawner = ros2_control.control().execute(context)
    programs = [(node.node_package, node.node_executable) for node in (describer, manager, spawner)]
    assert programs == [
        ("robot_state_publisher", "robot_state_publisher"),
        ("controller_manager", "ros2_control_node"),
        ("controller_manager", "spawner"),
    ]
    files = [path for flag, path in itertools.pairwise(words(context, describer)) if flag == "--params-file"]
    given: dict[str, Any] = {}
    for path in files:
        (section,) = yaml.safe_load(Path(path).read_text()).values()
        given |= section["ros__parameters"]
    assert given["use_sim_time"] is False
    urdf = ElementTree.fromstring(given["robot_description"])
    assert urdf.findtext("ros2_control/hardware/plugin") == "my_driver/MySystem"
    told = words(context, manager)
    assert told[told.index("--params-file") + 1] == str(CONTROLLERS)
    assert words(context, spawner)[:4] == [*ros2_control.CONTROLLERS, "--param-file", str(CONTROLLERS)]


def test_controllers_that_do_not_come_up_end_the_launch(context: LaunchContext) -> None:
    *_, spawner = ros2_control.control().execute(context)

    def ends(code: int) -> None:
        event = ProcessExited(action=spawner, name="", cmd=[], cwd=None, env=None, pid=1, returncode=code)
        ros2_control._spawned(event, context)

    ends(0)
    with pytest.raises(RuntimeError, match="the controllers did not come up"):
        ends(1)


def swapped(tmp_path: Path) -> str:
    """Controllers with a steering joint and a wheel in each other's place."""
    text = CONTROLLERS.read_text()
    names = ("front_right_steer_joint", "front_left_wheel_joint")
    for name, other in zip(names, ("one", names[0]), strict=True):
        text = text.replace(name, other)
    path = tmp_path / "swapped.yaml"
    path.write_text(text.replace("one", names[1]))
    return str(path)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("namespace", "left", "namespace is 'left'; with ros2_control:=true there must be none"),
        ("controllers", swapped, "effort_controller.joints is .'front_left_steer_joint', 'front_left_wheel_joint'"),
        ("controllers", "/nowhere.yaml", "/nowhere.yaml: has no 'effort_controller'"),
        ("params_file", "/nowhere.yaml", "/nowhere.yaml"),
    ],
)
def test_what_does_not_fit_ends_it_at_once(
    context: LaunchContext, tmp_path: Path, name: str, value: Any, said: str
) -> None:
    context.launch_configurations[name] = value(tmp_path) if callable(value) else value
    with pytest.raises((RuntimeError, RobotError, ValueError), match=said):
        ros2_control.control().execute(context)


def test_without_the_packages_it_says_once_what_to_install(context: LaunchContext, tmp_path: Path) -> None:
    for package in ("controller_manager", "joint_state_broadcaster", "forward_command_controller"):
        (tmp_path / INDEX / package).unlink()
    said = (
        "ros2_control:=true needs controller_manager, forward_command_controller, joint_state_broadcaster; install "
        r"with 'apt-get install ros-\$ROS_DISTRO-ros2-control ros-\$ROS_DISTRO-ros2-controllers'"
    )
    with pytest.raises(RuntimeError, match=said):
        ros2_control.control().execute(context)
