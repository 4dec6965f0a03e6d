# SPDX-License-Identifier: Apache-2.0
"""The stack and the car in Gazebo Harmonic, on a road of the embedded world.

    ros2 launch tidegate gazebo.launch.py headless:=true seed:=7

The safety node releases the car by itself once everything is up. How, and what was tried: docs/gazebo.md.
"""

from launch import LaunchDescription
from launch.substitutions import LaunchConfiguration

from tidegate.nodes.driver import driver, driver_arguments
from tidegate.nodes.gazebo import gazebo, gazebo_arguments
from tidegate.nodes.launching import bring_up, recorder, shared_arguments, stack_node
from tidegate.nodes.topics import OUR_NAMES
from tidegate.nodes.viewing import viewer_arguments, viewers

MOTORS_BRAKE = {"vehicle.brake_fade": 1.0}
"""Gazebo's wheels have no friction brakes: a negative effort would drive them backwards."""


def generate_launch_description() -> LaunchDescription:
    """Gazebo, then perception, policy, safety, in that order."""
    bundle, dry_run = LaunchConfiguration("bundle"), LaunchConfiguration("dry_run")
    nodes = [
        stack_node("perception_node", bundle=bundle, **OUR_NAMES),
        stack_node("policy_node", bundle=bundle),
        stack_node("safety_node", auto_reset=True, dry_run=dry_run, **MOTORS_BRAKE),
    ]
    return LaunchDescription(
        [
            *shared_arguments(use_sim_time=True),
            *driver_arguments(),
            *viewer_arguments(),
            *gazebo_arguments(),
            *recorder(**OUR_NAMES),
            *driver(),
            *viewers(described="true", **OUR_NAMES),
            gazebo(),
            *bring_up(nodes),
        ]
    )
