# SPDX-License-Identifier: Apache-2.0
"""What the launch files start of ros2_control: controller manager, controllers, and who tells them of the robot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from launch import Action, LaunchContext
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit, OnProcessStart
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from tidegate.nodes.arguments import Flag
from tidegate.nodes.launching import ended, require
from tidegate.nodes.member import ALL, GO_DOWN_S, LOG_LEVEL, stranger
from tidegate.nodes.topics import TF_INSIDE
from tidegate.robot import Car, check_controllers, control_description
from tidegate.settings import load_settings
from tidegate.share import share_path

CONTROLLERS = ("joint_state_broadcaster", "effort_controller")
PACKAGES = {
    "controller_manager": "ros2-control",
    "forward_command_controller": "ros2-controllers",
    "joint_state_broadcaster": "ros2-controllers",
    "robot_state_publisher": "robot-state-publisher",
}
"""What must be installed, and the Debian package that brings it."""


def controllers_argument() -> Action:
    """The launch argument that names the controllers' file."""
    default = str(share_path("config/controllers.yaml"))
    return DeclareLaunchArgument("controllers", default_value=default, description="YAML of the controller manager")


def control_arguments() -> list[Action]:
    """The launch arguments of a robot."""
    return [
        Flag("ros2_control", default_value="false", description="start controller manager, controllers and URDF too"),
        controllers_argument(),
        DeclareLaunchArgument(
            "hardware", default_value="", description="plugin of the hardware driver; empty = what the URDF names"
        ),
    ]


def control() -> Action:
    """ros2_control on a robot, where the argument ``ros2_control`` is true."""
    return OpaqueFunction(function=_control, condition=IfCondition(LaunchConfiguration("ros2_control")))


def describer(urdf: str) -> Node:
    """Publishes ``urdf`` as ``robot_description`` and the car's links to ``/tf``."""
    description = {"robot_description": ParameterValue(urdf, value_type=str)}
    publisher = "robot_state_publisher"
    return stranger(publisher, publisher, parameters=[description, clock()], remappings=TF_INSIDE)


def spawner(controllers: Path) -> Node:
    """Loads and activates the controllers; the launch ends if it fails."""
    arguments = [*CONTROLLERS, "--param-file", str(controllers)]
    return stranger("controller_manager", "spawner", arguments=arguments, on_exit=_spawned)


def clock() -> dict[str, ParameterValue]:
    """The parameter of the argument ``use_sim_time``."""
    return {"use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)}


def _control(context: LaunchContext) -> list[Action]:
    """Check everything, then start what reads it.

    Raises:
        RuntimeError: a package is absent, or there is a namespace.
        TidegateError: settings, robot, driver or controllers are not fit.
    """
    names = ("namespace", "params_file", "controllers", "hardware")
    values = {name: LaunchConfiguration(name).perform(context) for name in names}
    require("robot.launch.py ros2_control:=true", PACKAGES)
    if values["namespace"]:  # the sections of the controllers' file are for nodes without one
        raise RuntimeError(f"namespace is '{values['namespace']}'; with ros2_control:=true there must be none")
    settings = load_settings(values["params_file"])
    controllers, car = Path(values["controllers"]), Car.from_settings(settings)
    check_controllers(controllers, car)
    urdf = control_description(Path(settings.vehicle.urdf), car, values["hardware"])
    return [describer(urdf), _Manager(parameters=[str(controllers), clock()]), spawner(controllers)]


def _spawned(event: Any, context: LaunchContext) -> None:
    if event.returncode and not context.is_shutdown:
        raise RuntimeError("the controllers did not come up; the spawner's message is above")


class _Manager(Node):  # type: ignore[misc]
    """The controller manager. Whatever ends the launch, it goes down after the safety node: what brakes the car goes
    through it. In a session of its own a terminal's Ctrl-C does not reach it.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            package="controller_manager",
            executable="ros2_control_node",
            exec_name="ros2_control_node",
            prefix="setsid",
            ros_arguments=LOG_LEVEL,
            on_exit=ended,
            sigterm_timeout=GO_DOWN_S,
            **ALL,
            **options,
        )
        self._braking = 0

    def execute(self, context: LaunchContext) -> list[Action] | None:
        """Start it, and keep count of the safety nodes that run."""
        context.register_event_handler(OnProcessStart(target_action=_is_safety_node, on_start=self._came))
        context.register_event_handler(OnProcessExit(target_action=_is_safety_node, on_exit=self._went))
        started: list[Action] | None = super().execute(context)
        return started

    def _came(self, _event: Any, _context: LaunchContext) -> None:
        self._braking += 1

    def _went(self, _event: Any, context: LaunchContext) -> list[Action] | None:
        self._braking -= 1
        return self._shutdown_process(context, send_sigint=True) if context.is_shutdown else None

    def _shutdown_process(self, context: LaunchContext, *, send_sigint: bool) -> list[Action] | None:
        """Called by ``launch`` when it ends."""
        if self._braking:
            return None
        going: list[Action] | None = super()._shutdown_process(context, send_sigint=True)
        return going


def _is_safety_node(action: Action) -> bool:
    return isinstance(action, Node) and action.node_executable == "safety_node"
