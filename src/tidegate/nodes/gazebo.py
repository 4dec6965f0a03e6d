# SPDX-License-Identifier: Apache-2.0
"""What ``gazebo.launch.py`` starts beside the stack: Gazebo with the world and the car, the bridge, the controllers."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import Action, LaunchContext
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.logging import launch_config
from launch.substitutions import LaunchConfiguration

from tidegate.nodes import ros2_control
from tidegate.nodes.arguments import Flag, is_true
from tidegate.nodes.launching import require
from tidegate.nodes.member import stranger
from tidegate.nodes.ros2_control import controllers_argument, describer, spawner
from tidegate.nodes.scope import When
from tidegate.robot import Car, check_controllers, gazebo_description
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.simulation.gazebo import read_start, write_world

PACKAGES = {
    "ros_gz_sim": "ros-gz",
    "ros_gz_bridge": "ros-gz",
    "gz_ros2_control": "gz-ros2-control",
    **ros2_control.PACKAGES,
}
"""What must be installed, and the Debian package that brings it."""

ARGUMENTS = ("namespace", "params_file", "scene", "seed", "world", "controllers")
DROP_M = 0.02
"""The car is put down from this height: wheels that begin inside the road are thrown out of it."""


def gazebo_arguments() -> list[Action]:
    """The launch arguments beyond those of every launch file."""
    return [
        Flag("headless", default_value="true", description="no window"),
        DeclareLaunchArgument("scene", default_value="road", description="what to drive in; without vehicles"),
        DeclareLaunchArgument("seed", default_value="0", description="of the road, its hills, plants and light"),
        DeclareLaunchArgument(
            "world",
            default_value="",
            description="what 'tidegate world' made, or its world.sdf, instead of scene, seed",
        ),
        controllers_argument(),
    ]


def gazebo() -> Action:
    """Gazebo and what ties it to ROS."""
    return OpaqueFunction(function=_gazebo)


def _gazebo(context: LaunchContext) -> list[Action]:
    """Make the world and the URDF, then start whatever reads them.

    Raises:
        RuntimeError: a package is absent, or there is a namespace.
        TidegateError: settings, robot, controllers or world are not fit.
    """
    values = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    require("gazebo.launch.py", PACKAGES)
    if values["namespace"]:
        raise RuntimeError(
            f"namespace is '{values['namespace']}'; gazebo.launch.py drives one car, without a namespace"
        )
    settings = load_settings(values["params_file"])
    controllers = Path(values["controllers"])
    check_controllers(controllers, Car.from_settings(settings))
    if values["world"]:
        given = Path(values["world"])  # Nav2's argument of this name is a file
        world = given if given.suffix == ".sdf" else given / "world.sdf"
    else:
        folder = Path(launch_config.log_dir) / "world"
        world = write_world(settings, values["scene"], int(values["seed"]), folder)
    urdf = gazebo_description(settings, controllers)
    place = zip(("-x", "-y", "-z", "-R", "-P", "-Y"), read_start(world), strict=True)
    flags = [part for flag, value in place for part in (flag, f"{value + (DROP_M if flag == '-z' else 0.0):.6f}")]
    spawn = stranger("ros_gz_sim", "create", arguments=["-name", settings.vehicle.name, "-string", urdf, *flags])
    return [
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(
                str(Path(get_package_share_directory("ros_gz_sim")) / "launch" / "gz_sim.launch.py")
            ),
            launch_arguments={
                "gz_args": f"-r {'-s --headless-rendering ' if is_true('headless', context) else ''}{world}",
                "on_exit_shutdown": "true",
            }.items(),
        ),
        describer(urdf),
        stranger(
            "ros_gz_bridge",
            "parameter_bridge",
            parameters=[{"config_file": str(share_path("config/gazebo_bridge.yaml")), "use_sim_time": True}],
        ),
        spawn,
        # a controller manager comes with the car, so its controllers are asked for once the car is there
        When(OnProcessExit(target_action=spawn, on_exit=[spawner(controllers)])),
    ]
