# SPDX-License-Identifier: Apache-2.0
"""A recorded drive into the live stack: what cameras and sensors said, with its timing; nobody is driven by it.

    ros2 launch tidegate replay.launch.py bag:=out/demo/bag record:=out/again

All topics are in the namespace ``replay``, out of the way of a robot's actuators; ``/clock`` is global. The launch ends
with the bag. Without ``bag`` somebody else plays, ``ros2 bag play`` with the remappings of docs/replay.md.
"""

from launch import LaunchDescription
from launch.substitutions import LaunchConfiguration

from tidegate.nodes.launching import bring_up, player, recorder, shared_arguments, stack_node
from tidegate.nodes.topics import OUR_NAMES
from tidegate.nodes.viewing import viewer_arguments, viewers


def generate_launch_description() -> LaunchDescription:
    """Perception, policy, safety, in that order, then the player."""
    bundle, dry_run = LaunchConfiguration("bundle"), LaunchConfiguration("dry_run")
    nodes = [
        stack_node("perception_node", bundle=bundle, **OUR_NAMES),
        stack_node("policy_node", bundle=bundle),
        stack_node("safety_node", auto_reset=True, dry_run=dry_run),
    ]
    needs, play = player()
    return LaunchDescription(
        [
            *shared_arguments(use_sim_time=True, namespace="replay"),
            *viewer_arguments(),
            *needs,
            *recorder(**OUR_NAMES),
            *viewers(**OUR_NAMES),
            *bring_up(nodes, then=[play]),
        ]
    )
