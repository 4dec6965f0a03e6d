# SPDX-License-Identifier: Apache-2.0
"""What the launch files start for a driver with a joystick: the node that reads it, and its driver where installed."""

from __future__ import annotations

from launch import Action, LaunchContext
from launch.actions import LogInfo, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration

from tidegate.nodes.arguments import Flag
from tidegate.nodes.launching import installed
from tidegate.nodes.member import bystander, stranger

JOY = "joy"


def driver_arguments() -> list[Action]:
    """The launch argument."""
    return [
        Flag(
            "joystick", default_value="false", description="a driver may take over: joystick_node, and joy if installed"
        )
    ]


def driver() -> list[Action]:
    """Neither takes the launch down with it: without them nobody takes over, and a car that is driven so stops."""
    wanted = IfCondition(LaunchConfiguration("joystick"))
    return [
        bystander("joystick_node", parameters=[LaunchConfiguration("params_file")], condition=wanted),
        OpaqueFunction(function=_joy, condition=wanted),
    ]


def _joy(_context: LaunchContext) -> list[Action]:
    if not installed(JOY):
        told = "joy is not installed: publish sensor_msgs/Joy on 'joy', or 'apt-get install ros-$ROS_DISTRO-joy'"
        return [LogInfo(msg=told)]
    return [stranger(JOY, "joy_node")]
