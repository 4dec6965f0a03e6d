# SPDX-License-Identifier: Apache-2.0
"""What the launch files start for those who look on: the nodes for viewers, RViz and Foxglove's bridge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from launch import Action, LaunchContext, SomeSubstitutionsType
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, OrSubstitution
from launch_ros.actions import Node

from tidegate.nodes.arguments import Flag
from tidegate.nodes.launching import SHARE, installed
from tidegate.nodes.member import bystander, stranger
from tidegate.nodes.ros2_control import clock, describer
from tidegate.nodes.topics import TF_INSIDE
from tidegate.robot import read_urdf
from tidegate.security.parse import read_yaml
from tidegate.settings import load_settings

RVIZ, DESCRIBER, BRIDGE = "rviz2", "robot_state_publisher", "foxglove_bridge"
NOBODY = ["^$"]
"""A list of regular expressions that no name matches."""
ONLY_SHOW: dict[str, Any] = {
    "address": "127.0.0.1",
    "port": 8765,
    "capabilities": ["connectionGraph"],
    "client_topic_whitelist": NOBODY,
    "service_whitelist": NOBODY,
    "param_whitelist": NOBODY,
}
"""Parameters of foxglove_bridge: as it comes it listens to the whole network and lets whoever connects publish, call
services and set parameters."""


def viewer_arguments() -> list[Action]:
    """The launch arguments, by the names that Nav2 has for them."""
    return [
        Flag("use_rviz", default_value="false", description="start RViz, where it is installed"),
        DeclareLaunchArgument(
            "rviz_config_file", default_value=[SHARE, "/config/tidegate.rviz"], description="what RViz shows"
        ),
        Flag(
            "use_foxglove",
            default_value="false",
            description="start foxglove_bridge, where it is installed: port 8765 of this machine, only to look",
        ),
        Flag(
            "viewers",
            default_value=OrSubstitution(LaunchConfiguration("use_rviz"), LaunchConfiguration("use_foxglove")),
            description="start markers_node and saliency_node, which RViz and Foxglove show",
        ),
    ]


def viewers(*, described: SomeSubstitutionsType = "false", **own: Any) -> list[Action]:
    """The nodes for viewers, with more parameters of their ``own``, RViz and the bridge; ``described``, true or false:
    the launch file starts a robot_state_publisher.

    None of them takes the launch down with it: the car drives on when somebody closes a window.
    """
    wanted = IfCondition(LaunchConfiguration("viewers"))
    bundle = {"bundle": LaunchConfiguration("bundle")}
    return [
        _viewer("markers_node", wanted, **own),
        _viewer("saliency_node", wanted, **bundle, **own),
        OpaqueFunction(
            function=_rviz, args=[IfCondition(described)], condition=IfCondition(LaunchConfiguration("use_rviz"))
        ),
        OpaqueFunction(function=_foxglove, condition=IfCondition(LaunchConfiguration("use_foxglove"))),
    ]


def _viewer(executable: str, wanted: IfCondition, **own: Any) -> Node:
    parameters = [LaunchConfiguration("params_file"), *([own] if own else [])]
    return bystander(executable, parameters=parameters, condition=wanted)


def _rviz(context: LaunchContext, told: IfCondition) -> list[Action]:
    """RViz, and what tells it of the car's links; or a line that says what is not installed."""
    described = told.evaluate(context)
    if line := _absent("RViz", RVIZ, *([] if described else [DESCRIBER])):
        return [LogInfo(msg=line)]
    file = LaunchConfiguration("rviz_config_file").perform(context)
    inside = [(topic, topic.lstrip("/")) for topic in rviz_topics(Path(file))]
    inside += TF_INSIDE
    started: list[Action] = [stranger(RVIZ, RVIZ, arguments=["-d", file], parameters=[clock()], remappings=inside)]
    if not described:
        settings = load_settings(LaunchConfiguration("params_file").perform(context))
        started.append(describer(read_urdf(settings.vehicle.urdf)))
    return started


def _foxglove(_context: LaunchContext) -> list[Action]:
    """The bridge, or a line that says that it is not installed."""
    if told := _absent("Foxglove's bridge", BRIDGE):
        return [LogInfo(msg=told)]
    return [stranger(BRIDGE, BRIDGE, parameters=[ONLY_SHOW, clock()])]


def _absent(what: str, *packages: str) -> str:
    """Which packages are not installed, and how they would be; empty = none."""
    absent = [package for package in packages if not installed(package)]
    names = " ".join(f"ros-$ROS_DISTRO-{package.replace('_', '-')}" for package in absent)
    told = f"{what} is not started: {', '.join(absent)} not installed; install with 'apt-get install {names}'"
    return told if absent else ""


def rviz_topics(path: Path) -> list[str]:
    """The topics that a configuration of RViz shows, each once; they are remapped into the namespace.

    Raises:
        OSError: the file cannot be read; ValueError: it is no YAML.
    """
    found: dict[str, None] = {}

    def look(part: Any) -> None:
        if isinstance(part, dict):
            for key, value in part.items():
                if key in ("Topic", "Description Topic") and isinstance(value, dict) and value.get("Value"):
                    found[str(value["Value"])] = None
                look(value)
        elif isinstance(part, list):
            for value in part:
                look(value)

    look(read_yaml(path)["Visualization Manager"]["Displays"])
    return list(found)
