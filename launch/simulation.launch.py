# SPDX-License-Identifier: Apache-2.0
"""The stack and the embedded world.

    ros2 launch tidegate simulation.launch.py headless:=true scene:=traffic seed:=7

The safety node releases the car by itself once everything is up.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration

from tidegate.nodes.launching import bring_up, recorder, shared_arguments, stack_node
from tidegate.nodes.viewing import viewer_arguments, viewers


def generate_launch_description() -> LaunchDescription:
    """Simulator, perception, policy, safety, in that order."""
    bundle, lock_step = LaunchConfiguration("bundle"), LaunchConfiguration("lock_step")
    nodes = [
        stack_node(
            "simulator_node",
            scene=LaunchConfiguration("scene"),
            seed=LaunchConfiguration("seed"),
            lock_step=lock_step,
        ),
        stack_node("perception_node", bundle=bundle, lock_step=lock_step),
        stack_node("policy_node", bundle=bundle, lock_step=lock_step),
        stack_node("safety_node", lock_step=lock_step, auto_reset=True),
    ]
    return LaunchDescription(
        [
            *shared_arguments(use_sim_time=True),
            *viewer_arguments(),
            DeclareLaunchArgument("headless", default_value="true", description="render by EGL, without a display"),
            DeclareLaunchArgument("scene", default_value="road", description="what to drive in"),
            DeclareLaunchArgument("seed", default_value="0", description="of the road, its light and the sensors"),
            DeclareLaunchArgument("lock_step", default_value="false", description="simulated time drives the graph"),
            SetEnvironmentVariable("MUJOCO_GL", "egl", condition=IfCondition(LaunchConfiguration("headless"))),
            *recorder(),
            *viewers(),
            *bring_up(nodes),
        ]
    )
