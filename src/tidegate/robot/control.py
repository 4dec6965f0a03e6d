# SPDX-License-Identifier: Apache-2.0
"""ros2_control beneath the stack, checked beforehand: its driver, and its controllers, whose array has no names."""

from __future__ import annotations

from pathlib import Path

from tidegate.errors import RobotError
from tidegate.robot.car import Car
from tidegate.robot.urdf import read_urdf
from tidegate.security.parse import parse_xml, read_yaml

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


def control_description(path: Path, car: Car, hardware: str = "") -> str:
    """The URDF in ``path`` for a controller manager, its xacro expanded with the driver's plugin ``hardware``.

    Args:
        path: the robot description.
        car: whose joints must have effort commands.
        hardware: such as ``my_driver/MySystem``; empty = the one that the file names.

    Raises:
        RobotError: no ``<ros2_control>`` with that plugin, or not all of the car's joints take effort there.
    """
    text = read_urdf(path, {"hardware": hardware} if hardware else None)
    systems = parse_xml(text).findall("ros2_control")
    plugins = [(system.findtext("hardware/plugin") or "").strip() for system in systems]
    if not any(plugins):
        raise RobotError(f"{path}: has no <ros2_control> with <hardware><plugin>; urdf/car.urdf.xacro shows one")
    if hardware and hardware not in plugins:
        raise RobotError(
            f"{path}: hardware is '{hardware}', but <ros2_control> has {', '.join(plugins)}; "
            "it must take the xacro argument 'hardware', as urdf/car.urdf.xacro does"
        )
    obey = {
        joint.get("name")
        for system in systems
        for joint in system.findall("joint")
        if any(command.get("name") == INTERFACE for command in joint.findall("command_interface"))
    }
    deaf = [name for name in car.joint_names if name not in obey]
    if deaf:
        raise RobotError(f"{path}: <ros2_control> has no command_interface '{INTERFACE}' of {', '.join(deaf)}")
    return text
