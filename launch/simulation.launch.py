# SPDX-License-Identifier: Apache-2.0
"""The stack and the embedded world.

    ros2 launch tidegate simulation.launch.py headless:=true scene:=traffic seed:=7

The safety node releases the car by itself once everything is up.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration

from tidegate.nodes.arguments import Flag
from tidegate.nodes.driver import driver, driver_arguments
from tidegate.nodes.launching import bring_up, recorder, shared_arguments, stack_node
from tidegate.nodes.topics import OUR_NAMES
from tidegate.nodes.viewing import viewer_arguments, viewers


def generate_launch_description() -> LaunchDescription:
    """Simulator, perception, policy, safety, in that order."""
    bundle = LaunchConfiguration("bundle")
    shared = {"own_clock": True, "lock_step": LaunchConfiguration("lock_step")}
    nodes = [
        stack_node(
            "simulator_node",
            scene=LaunchConfiguration("scene"),
            seed=LaunchConfiguration("seed"),
            **shared,
        ),
        stack_node("perception_node", bundle=bundle, **shared, **OUR_NAMES),
        stack_node("policy_node", bundle=bundle, **shared),
        stack_node("safety_node", auto_reset=True, dry_run=LaunchConfiguration("dry_run"), **shared),
    ]
    return LaunchDescription(
        [
            *shared_arguments(use_sim_time=True),
            *driver_arguments(),
            *viewer_arguments(),
            Flag("headless", default_value="true", description="render by EGL, without a display"),
            DeclareLaunchArgument("scene", default_value="road", description="what to drive in"),
            DeclareLaunchArgument("seed", default_value="0", description="of the road, its light and the sensors"),
            Flag("lock_step", default_value="false", description="simulated time drives the graph"),
            SetEnvironmentVariable("MUJOCO_GL", "egl", condition=IfCondition(LaunchConfiguration("headless"))),
            *recorder(own_clock=True, **OUR_NAMES),
            *driver(),
            *viewers(**OUR_NAMES),
            *bring_up(nodes),
        ]
    )
