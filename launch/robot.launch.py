# SPDX-License-Identifier: Apache-2.0
"""The stack on a robot whose drivers publish camera, joint states, odometry, IMU and range, and obey ``command``.

    ros2 launch tidegate robot.launch.py robot:=car
    ros2 launch tidegate robot.launch.py ros2_control:=true hardware:=my_driver/MySystem
    ros2 launch tidegate robot.launch.py robot:=arm policy:=true

The safety node starts STOPPED: ``ros2 service call /safety_node/reset std_srvs/srv/Trigger`` releases the robot. An
arm's drivers publish ``joint_states`` and obey ``effort_controller/commands``; with ``policy:=true`` its bundle asks
for torques, by ``camera/image_raw``, ``wrench`` and ``wrench_request``, else a node of yours does on ``nominal``.
"""

from launch import LaunchDescription
from launch.substitutions import LaunchConfiguration

from tidegate.nodes.arguments import Flag
from tidegate.nodes.by_kind import ByKind
from tidegate.nodes.driver import driver, driver_arguments
from tidegate.nodes.launching import bring_up, recorder, shared_arguments, stack_node
from tidegate.nodes.ros2_control import control, control_arguments
from tidegate.nodes.viewing import viewer_arguments, viewers


def generate_launch_description() -> LaunchDescription:
    """Perception, policy, safety, in that order; of an arm safety alone, unless its policy is asked for."""
    bundle, dry_run = LaunchConfiguration("bundle"), LaunchConfiguration("dry_run")
    safety = stack_node("safety_node", dry_run=dry_run)
    camera = [stack_node("perception_node", bundle=bundle), stack_node("policy_node", bundle=bundle)]
    car = [
        *recorder(),
        *driver(),
        *viewers(described=LaunchConfiguration("ros2_control")),
        control(),
        *bring_up([*camera, safety]),
    ]
    alone, driven = recorder(bundle=""), recorder()
    return LaunchDescription(
        [
            *shared_arguments(use_sim_time=False),
            *driver_arguments(),
            *viewer_arguments(),
            *control_arguments(),
            Flag("policy", default_value="false", description="an arm's bundle asks for torques, instead of your node"),
            ByKind(
                car,
                arm=[*alone, *bring_up([safety])],
                driven=[*driven, *bring_up([*camera, safety])],
                asked="policy",
            ),
        ]
    )
