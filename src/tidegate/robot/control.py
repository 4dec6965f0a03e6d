# SPDX-License-Identifier: Apache-2.0
"""The controllers of ros2_control beneath the stack: an array has no names, so its order is checked beforehand."""

from __future__ import annotations

from pathlib import Path

from tidegate.errors import RobotError
from tidegate.robot.car import Car
from tidegate.security.parse import read_yaml

CONTROLLER, INTERFACE = "effort_controller", "effort"


def check_controllers(path: Path, car: Car) -> None:
    """Check that ``effort_controller`` of a ros2_control YAML takes what the stack publishes for it.

    Raises:
        RobotError: no such controller, another interface than effort, or other joints than the car's in its order.
    """
    try:
        parameters = read_yaml(path)[CONTROLLER]["ros__parameters"]
        interface, joints = parameters["interface_name"], parameters["joints"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RobotError(f"{path}: has no '{CONTROLLER}' with interface_name and joints ({error})") from error
    if interface != INTERFACE:
        raise RobotError(f"{path}: {CONTROLLER}.interface_name is '{interface}'; it must be {INTERFACE}")
    if joints != list(car.joint_names):
        raise RobotError(f"{path}: {CONTROLLER}.joints is {joints}; it must be {', '.join(car.joint_names)}")
