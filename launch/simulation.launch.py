# SPDX-License-Identifier: Apache-2.0
"""The stack and the embedded world.

    ros2 launch tidegate simulation.launch.py headless:=true scene:=traffic seed:=7
    ros2 launch tidegate simulation.launch.py robot:=arm scene:=press seed:=7
    ros2 launch tidegate simulation.launch.py robot:=arm

The safety node releases the robot by itself once everything is up; an arm without a scene, which has neither camera nor
policy, once a node of yours asks for torques.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.parameter_descriptions import ParameterValue

from tidegate.nodes.arguments import Flag
from tidegate.nodes.by_kind import ByKind
from tidegate.nodes.driver import driver, driver_arguments
from tidegate.nodes.launching import bring_up, recorder, shared_arguments, stack_node
from tidegate.nodes.tell_scene import TellScene
from tidegate.nodes.topics import OUR_NAMES
from tidegate.nodes.viewing import viewer_arguments, viewers


def generate_launch_description() -> LaunchDescription:
    """Simulator, perception, policy, safety, in that order; of an arm without a scene simulator and safety."""
    bundle = LaunchConfiguration("bundle")
    shared = {"own_clock": True, "lock_step": LaunchConfiguration("lock_step")}
    world = {"scene": ParameterValue(LaunchConfiguration("scene"), value_type=str), "seed": LaunchConfiguration("seed")}
    simulator = stack_node("simulator_node", **world, **shared)
    safety = stack_node("safety_node", auto_reset=True, dry_run=LaunchConfiguration("dry_run"), **shared)
    policy = stack_node("policy_node", bundle=bundle, **shared)
    camera = [stack_node("perception_node", bundle=bundle, **shared, **OUR_NAMES), policy]
    sight = [stack_node("perception_node", bundle=bundle, **shared), policy]
    car = [
        *recorder(own_clock=True, **OUR_NAMES),
        *driver(),
        *viewers(**OUR_NAMES),
        *bring_up([simulator, *camera, safety]),
    ]
    alone, driven = (recorder(own_clock=True, **known) for known in ({"bundle": ""}, {}))
    return LaunchDescription(
        [
            *shared_arguments(use_sim_time=True),
            *driver_arguments(),
            *viewer_arguments(),
            Flag("headless", default_value="true", description="render by EGL, without a display"),
            DeclareLaunchArgument(
                "scene", default_value="", description="what to do there; empty = a car's first, an arm's surface alone"
            ),
            DeclareLaunchArgument("seed", default_value="0", description="of the road, its light and the sensors"),
            Flag("lock_step", default_value="false", description="simulated time drives the graph"),
            SetEnvironmentVariable("MUJOCO_GL", "egl", condition=IfCondition(LaunchConfiguration("headless"))),
            ByKind(
                car,
                arm=[*alone, *bring_up([simulator, safety])],
                driven=[TellScene(), *driven, *bring_up([simulator, *sight, safety])],
                asked="scene",
            ),
        ]
    )
