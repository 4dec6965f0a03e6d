# SPDX-License-Identifier: Apache-2.0
"""What the launch files share: lifecycle nodes that are brought up in order by events and go down safely."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from launch import Action, LaunchContext
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    TimerAction,
)
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit, OnProcessStart
from launch.events import Shutdown, matches_action
from launch.substitutions import EnvironmentVariable, EqualsSubstitution, LaunchConfiguration, NotSubstitution
from launch_ros.actions import LifecycleNode, Node
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare
from lifecycle_msgs.msg import Transition

from tidegate.share import PROFILES

GO_DOWN_S = "12"
"""How long a node may take to go down: the safety node brakes the car first, the others wait for it."""
HEARS_S = 1.0
"""By then a launch has heard of a Ctrl-C that its nodes have obeyed already."""
SHARE = FindPackageShare("tidegate")


def shared_arguments(use_sim_time: bool, namespace: str = "") -> list[Action]:
    """The arguments that every launch file of the car has, and the middleware's profile unless the user has one.

    ``use_sim_time`` and ``namespace`` are the defaults of the arguments of these names.
    """
    robot = LaunchConfiguration("robot")
    return [
        DeclareLaunchArgument("robot", default_value="car", description="which robot: names config/<robot>.yaml"),
        DeclareLaunchArgument("namespace", default_value=namespace, description="of all nodes and topics"),
        DeclareLaunchArgument(
            "use_sim_time", default_value=str(use_sim_time).lower(), description="take the time from /clock"
        ),
        DeclareLaunchArgument(
            "params_file",
            default_value=[SHARE, "/config/", robot, ".yaml"],
            description="the robot's settings",
        ),
        DeclareLaunchArgument(
            "bundle",
            default_value=[SHARE, "/models/", robot, "-ltc19"],
            description="folder of the trained model",
        ),
        DeclareLaunchArgument("autostart", default_value="true", description="configure and activate the nodes"),
        DeclareLaunchArgument("log_level", default_value="info", description="of all nodes"),
        DeclareLaunchArgument("record", default_value="", description="folder of a bag to make; empty = none"),
        SetEnvironmentVariable(PROFILES, EnvironmentVariable(PROFILES, default_value=[SHARE, "/config/fastdds.xml"])),
    ]


def stack_node(executable: str, **own: Any) -> LifecycleNode:
    """One lifecycle node of the graph with its ``own`` parameters."""
    return LifecycleNode(
        package="tidegate",
        executable=executable,
        name=executable,
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        parameters=[
            LaunchConfiguration("params_file"),
            {"use_sim_time": LaunchConfiguration("use_sim_time"), **own},
        ],
        ros_arguments=["--log-level", LaunchConfiguration("log_level")],
        sigterm_timeout=GO_DOWN_S,
        sigkill_timeout=GO_DOWN_S,
    )


def recorder() -> list[Action]:
    """Records all topics where the argument ``record`` names a folder."""
    folder = LaunchConfiguration("record")
    wanted = IfCondition(NotSubstitution(EqualsSubstitution(folder, "")))
    node = Node(
        package="tidegate",
        executable="recorder_node",
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        parameters=[{"path": folder, "linger": True}],
        condition=wanted,
        sigterm_timeout=GO_DOWN_S,
    )
    return [RegisterEventHandler(OnProcessExit(target_action=node, on_exit=_ended)), node]


def player(listener: LifecycleNode) -> list[Action]:
    """Plays the bag of the argument ``bag`` once ``listener``, the last of a bring-up, is active; the launch ends with
    it."""
    kinds = {"bag": str, "rate": float, "clock_hz": float}
    node = Node(
        package="tidegate",
        executable="player_node",
        namespace=LaunchConfiguration("namespace"),
        output="screen",
        parameters=[{name: ParameterValue(LaunchConfiguration(name), value_type=kind) for name, kind in kinds.items()}],
        sigterm_timeout=GO_DOWN_S,
    )
    listens = OnStateTransition(
        target_lifecycle_node=listener, start_state="activating", goal_state="active", entities=[node]
    )
    return [
        DeclareLaunchArgument("bag", description="folder or file of the recording"),
        DeclareLaunchArgument("rate", default_value="1.0", description="times as fast as recorded"),
        DeclareLaunchArgument(
            "clock_hz", default_value="200.0", description="/clock so many times a second of the bag; 0 = none"
        ),
        RegisterEventHandler(OnProcessExit(target_action=node, on_exit=_ended)),
        RegisterEventHandler(listens),
    ]


def bring_up(nodes: Sequence[LifecycleNode]) -> list[Action]:
    """Configure ``nodes`` one after the other, then activate them in the same order; end the launch if one fails.

    Each step is caused by the event that the step before has succeeded, so the order holds on any machine.
    """
    steps = [(node, *step) for step in (CONFIGURE, ACTIVATE) for node in nodes]
    actions: list[Action] = []
    for node in nodes:
        actions += [node, RegisterEventHandler(OnProcessExit(target_action=node, on_exit=_ended))]
    for (node, _, _, goal), (following, transition, _, _) in pairwise(steps):
        actions.append(
            RegisterEventHandler(
                OnStateTransition(
                    target_lifecycle_node=node, goal_state=goal, entities=[_change(following, transition)]
                )
            )
        )
    for node, _, start, goal in steps:
        back = "unconfigured" if goal == "inactive" else "inactive"
        failed = OpaqueFunction(function=_failed, args=[node, start])
        actions.append(
            RegisterEventHandler(
                OnStateTransition(target_lifecycle_node=node, start_state=start, goal_state=back, entities=[failed])
            )
        )
    first = OnProcessStart(target_action=nodes[0], on_start=[_change(nodes[0], steps[0][1])])
    return [RegisterEventHandler(first, condition=IfCondition(LaunchConfiguration("autostart"))), *actions]


CONFIGURE = (Transition.TRANSITION_CONFIGURE, "configuring", "inactive")
ACTIVATE = (Transition.TRANSITION_ACTIVATE, "activating", "active")


def _change(node: LifecycleNode, transition: int) -> EmitEvent:
    return EmitEvent(event=ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition))


def _failed(_context: LaunchContext, node: LifecycleNode, state: str) -> None:
    raise RuntimeError(f"{node.node_name} failed while {state}; its message is above")


def _ended(event: Any, context: LaunchContext) -> list[Action] | None:
    """A node that went down as asked takes the others with it, unless the launch comes to hear of the Ctrl-C itself.

    Raises:
        RuntimeError: it went down for another reason.
    """
    if context.is_shutdown:
        return None
    if event.returncode:
        raise RuntimeError(f"{event.process_name} ended by itself with code {event.returncode}")
    return [TimerAction(period=HEARS_S, actions=[OpaqueFunction(function=_shut_down)])]


def _shut_down(context: LaunchContext) -> list[Action] | None:
    """Once: ``launch`` does not bear a second shutdown before the first is handled."""
    if context.is_shutdown or "shut_down" in context.get_locals_as_dict():
        return None
    context.extend_globals({"shut_down": True})
    return [EmitEvent(event=Shutdown(reason="a node has gone down"))]
