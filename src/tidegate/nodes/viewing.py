# SPDX-License-Identifier: Apache-2.0
"""What the launch files start for those who look on: the nodes for viewers, and RViz where it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from launch import Action, LaunchContext
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from tidegate.nodes.launching import SHARE, installed
from tidegate.nodes.member import CAMERA_TOPICS, bystander
from tidegate.nodes.topics import TF_INSIDE
from tidegate.robot import read_urdf
from tidegate.security.parse import read_yaml
from tidegate.settings import load_settings

RVIZ, DESCRIBER = "rviz2", "robot_state_publisher"


def viewer_arguments() -> list[Action]:
    """The launch arguments, by the names that Nav2 has for them."""
    return [
        DeclareLaunchArgument("use_rviz", default_value="false", description="start RViz, where it is installed"),
        DeclareLaunchArgument(
            "rviz_config_file", default_value=[SHARE, "/config/tidegate.rviz"], description="what RViz shows"
        ),
        DeclareLaunchArgument(
            "viewers",
            default_value=LaunchConfiguration("use_rviz"),
            description="start markers_node and saliency_node, which RViz and Foxglove show",
        ),
    ]


def viewers(*, described: bool = False) -> list[Action]:
    """The nodes for viewers, and RViz; ``described``: the launch file starts a robot_state_publisher already.

    None of them takes the launch down with it: the car drives on when somebody closes a window.
    """
    wanted = IfCondition(LaunchConfiguration("viewers"))
    bundle = {"bundle": LaunchConfiguration("bundle")}
    return [
        _viewer("markers_node", wanted),
        _viewer("saliency_node", wanted, **bundle),
        OpaqueFunction(
            function=_rviz, kwargs={"described": described}, condition=IfCondition(LaunchConfiguration("use_rviz"))
        ),
    ]


def _viewer(executable: str, wanted: IfCondition, **own: Any) -> Node:
    parameters = [LaunchConfiguration("params_file"), *([own] if own else [])]
    return bystander(executable, parameters=parameters, remappings=CAMERA_TOPICS, condition=wanted)


def _rviz(context: LaunchContext, described: bool) -> list[Action]:
    """RViz, and what tells it of the car's links; or a line that says what is not installed."""
    absent = [package for package in (RVIZ, *([] if described else [DESCRIBER])) if not installed(package)]
    if absent:
        names = " ".join(f"ros-$ROS_DISTRO-{package.replace('_', '-')}" for package in absent)
        told = f"RViz is not started: {', '.join(absent)} not installed; install with 'apt-get install {names}'"
        return [LogInfo(msg=told)]
    file = LaunchConfiguration("rviz_config_file").perform(context)
    shared = {"namespace": LaunchConfiguration("namespace"), "output": "screen"}
    clock = {"use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)}
    started: list[Action] = [
        Node(
            package=RVIZ,
            executable=RVIZ,
            arguments=["-d", file],
            parameters=[clock],
            remappings=[*((topic, topic.lstrip("/")) for topic in rviz_topics(Path(file))), *TF_INSIDE],
            **shared,
        )
    ]
    if not described:
        settings = load_settings(LaunchConfiguration("params_file").perform(context))
        urdf = ParameterValue(read_urdf(settings.vehicle.urdf), value_type=str)
        started.append(
            Node(
                package=DESCRIBER,
                executable=DESCRIBER,
                parameters=[{"robot_description": urdf}, clock],
                remappings=TF_INSIDE,
                **shared,
            )
        )
    return started


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
