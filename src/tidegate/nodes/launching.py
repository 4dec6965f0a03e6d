# SPDX-License-Identifier: Apache-2.0
"""What the launch files share: lifecycle nodes that are brought up in order by events and go down safely."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import Action, LaunchContext
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    TimerAction,
)
from launch.conditions import IfCondition
from launch.event_handler import BaseEventHandler
from launch.event_handlers import OnProcessExit, OnProcessStart
from launch.events import Shutdown, matches_action
from launch.logging import get_logger
from launch.substitutions import (
    AnySubstitution,
    EqualsSubstitution,
    LaunchConfiguration,
    NotSubstitution,
)
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.ros_adapters import get_ros_node
from launch_ros.substitutions import FindPackageShare
from lifecycle_msgs.msg import Transition

from tidegate.messages import DIAGNOSTICS
from tidegate.middleware import profile_of
from tidegate.nodes.arguments import FALSE, Flag, Seconds
from tidegate.nodes.bond import bond
from tidegate.nodes.diagnostics import recorder_diagnostics
from tidegate.nodes.main import PARENT, REFUSED
from tidegate.nodes.member import GO_DOWN_S, Member, bystander, remappings
from tidegate.nodes.recorder_node import PARAMETERS
from tidegate.nodes.respawn import Respawn
from tidegate.nodes.scope import When
from tidegate.nodes.topics import kept_qos, make, message_class

HEARS_S = 1.0
"""By then a launch has heard of a Ctrl-C that its nodes have obeyed already."""
SHARE = FindPackageShare("tidegate")
RECORDED = {item.name: item for item in PARAMETERS if item.name.startswith(("max_bag_", "snapshot"))}
"""Parameters of the recorder that are launch arguments of the same name."""
ARGUMENTS = {
    "robot": ("car", "which robot: config/<robot>.yaml and models/<robot>-ltc19, unless the next two say otherwise"),
    "params_file": ([SHARE, "/config/", LaunchConfiguration("robot"), ".yaml"], "the robot's settings"),
    "bundle": ([SHARE, "/models/", LaunchConfiguration("robot"), "-ltc19"], "folder of the trained model"),
    "namespace": ("", "of all nodes, services and topics, /diagnostics included; so several robots share a domain"),
    "use_sim_time": ("", "take the time from the simulator's clock instead of the system's"),
    "autostart": ("true", "configure and activate the nodes, in order; else they wait for 'ros2 lifecycle set'"),
    "use_respawn": ("false", "start a node that died again, after 1, 2, 4 … 30 s; else its death ends the launch"),
    "log_level": ("info", "of all nodes: debug, info, warn, error or fatal"),
    "bond_timeout": ("20.0", "a node that answers nothing for so many seconds is killed, as if it had died; 0 = never"),
    "record": ("", "folder of a bag to make; true = bags/<time in UTC>, empty or false = none"),
    "record_all": ("false", "record every topic of a standard type, of other nodes too; else the stack's"),
    **{name: (str(item.default), item.description) for name, item in RECORDED.items()},
    "dry_run": ("false", "send nothing to the actuators; safety_node/would_command tells what would be"),
}
"""Arguments of every launch file of the car, by name: default and description. Names are Nav2's where it has them."""
FLAGS = {"use_sim_time", "autostart", "use_respawn", "record_all", "dry_run"}
"""Those that are true or false; ``record`` may be."""


def shared_arguments(use_sim_time: bool, namespace: str = "") -> list[Action]:
    """The arguments that every launch file of the car has, and the middleware's profile unless the user has one. Nodes
    go down safely when the process of the launch is gone.

    ``use_sim_time`` and ``namespace`` are the defaults of the arguments of these names.
    """
    defaults = {name: default for name, (default, _) in ARGUMENTS.items()}
    defaults |= {"use_sim_time": str(use_sim_time).lower(), "namespace": namespace}
    return [
        *(_argument(name, defaults[name], description) for name, (_, description) in ARGUMENTS.items()),
        SetEnvironmentVariable(PARENT, str(os.getpid())),
        *(SetEnvironmentVariable(name, value) for name, value in profile_of(os.environ).items()),
    ]


def _argument(name: str, default: Any, description: str) -> Action:
    words = {"default_value": default, "description": description}
    if name in FLAGS or name == "record":
        return Flag(name, or_text=name == "record", **words)
    return Seconds(name, **words) if name == "bond_timeout" else DeclareLaunchArgument(name, **words)


def stack_node(executable: str, *, own_clock: bool = False, **own: Any) -> Member:
    """One lifecycle node of the graph with its ``own`` parameters.

    ``own_clock``: the simulator is the graph's own, so that its clock belongs into the namespace.
    """
    return Member(executable, own, own_clock)


def recorder(*, own_clock: bool = False, **own: Any) -> list[Action]:
    """Records where ``record`` or ``snapshots`` asks for it, with more parameters of its ``own``. It is not started
    again: the folder is there."""
    folder, snapshots = LaunchConfiguration("record"), LaunchConfiguration("snapshots")
    asked = NotSubstitution(AnySubstitution(EqualsSubstitution(folder, ""), EqualsSubstitution(folder, FALSE)))
    wanted = IfCondition(AnySubstitution(asked, NotSubstitution(EqualsSubstitution(snapshots, ""))))
    node = bystander(
        "recorder_node",
        parameters=[
            {
                "path": ParameterValue(folder, value_type=str),
                "all_topics": ParameterValue(LaunchConfiguration("record_all"), value_type=bool),
                **{
                    name: ParameterValue(LaunchConfiguration(name), value_type=type(item.default))
                    for name, item in RECORDED.items()
                },
                "config": LaunchConfiguration("params_file"),
                "bundle": LaunchConfiguration("bundle"),
                "linger": True,
                **own,
            }
        ],
        remappings=remappings(own_clock),
        condition=wanted,
        sigterm_timeout=GO_DOWN_S,
    )
    return [When(OnProcessExit(target_action=node, on_exit=_recorder_ended)), node]


def installed(package: str) -> bool:
    """Whether the ROS package is there."""
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        return False
    return True


def require(who: str, packages: Mapping[str, str]) -> None:
    """Raise unless all ``packages`` are installed: Debian package, after its ``ros-DISTRO-``, by ROS package.

    Raises:
        RuntimeError: naming what is absent, and how to install it.
    """
    absent = {package: apt for package, apt in packages.items() if not installed(package)}
    if absent:
        install = " ".join(f"ros-$ROS_DISTRO-{apt}" for apt in sorted(set(absent.values())))
        raise RuntimeError(f"{who} needs {', '.join(absent)}; install with 'apt-get install {install}'")


def player() -> tuple[list[Action], Action]:
    """What must be there for a bag to be played, and the action that plays the one of the argument ``bag``, where there
    is one; the launch ends with it."""
    bag, kinds = LaunchConfiguration("bag"), {"bag": str, "remap": str, "rate": float, "clock_hz": float}
    node = bystander(
        "player_node",
        parameters=[{name: ParameterValue(LaunchConfiguration(name), value_type=kind) for name, kind in kinds.items()}],
        condition=IfCondition(NotSubstitution(EqualsSubstitution(bag, ""))),
        sigterm_timeout=GO_DOWN_S,
    )
    needs = [
        DeclareLaunchArgument(
            "bag", default_value="", description="folder or file of the recording; empty = somebody else plays one"
        ),
        DeclareLaunchArgument(
            "remap", default_value="", description="/front/image:=camera/image_raw and the like, by comma"
        ),
        DeclareLaunchArgument("rate", default_value="1.0", description="times as fast as recorded"),
        DeclareLaunchArgument(
            "clock_hz", default_value="200.0", description="/clock so many times a second of the bag; 0 = none"
        ),
        RegisterEventHandler(OnProcessExit(target_action=node, on_exit=ended)),
    ]
    return needs, node


def bring_up(members: Sequence[Member], then: Sequence[Action] = ()) -> list[Action]:
    """Configure ``members`` one after the other, then activate them in the same order; end the launch if one fails.

    Each step is caused by the event that the step before has succeeded, so the order holds on any machine. With
    ``autostart`` false each is left to an operator. Once all are active, ``use_respawn`` says what becomes of one that
    dies, those that hang are found, and ``then`` is done.
    """
    respawn = Respawn(ended)
    nodes = [member.first() for member in members]
    awaited = set(nodes)
    steps = [(node, *step) for step in (CONFIGURE, ACTIVATE) for node in nodes]
    begin = OnProcessStart(target_action=nodes[0], on_start=[_change(nodes[0], steps[0][1])])
    chain: list[BaseEventHandler] = [begin]
    for (node, _, _, goal), (following, transition, _, _) in pairwise(steps):
        chain.append(_once(node, goal, _change(following, transition)))
    for node, _, start, goal in steps:
        back = "unconfigured" if goal == "inactive" else "inactive"
        failed = OpaqueFunction(function=_failed, args=[respawn, node, start])
        chain.append(
            OnStateTransition(target_lifecycle_node=node, start_state=start, goal_state=back, entities=[failed])
        )
    by_itself = IfCondition(LaunchConfiguration("autostart"))
    actions: list[Action] = [RegisterEventHandler(handler, condition=by_itself) for handler in chain]
    for member, node in zip(members, nodes, strict=True):
        came_up = OpaqueFunction(function=_came_up, args=[node, nodes, awaited, respawn, then])
        exits = OnProcessExit(target_action=node, on_exit=respawn.on_exit(member, node))
        actions += [When(_once(node, "active", came_up)), When(exits), node]
    return actions


CONFIGURE = (Transition.TRANSITION_CONFIGURE, "configuring", "inactive")
ACTIVATE = (Transition.TRANSITION_ACTIVATE, "activating", "active")


def _once(node: LifecycleNode, goal: str, action: Action) -> OnStateTransition:
    """Do ``action`` when ``node`` comes to the state ``goal`` for the first time; later an operator may do so."""
    return OnStateTransition(target_lifecycle_node=node, goal_state=goal, entities=[action], handle_once=True)


def _change(node: LifecycleNode, transition: int) -> EmitEvent:
    return EmitEvent(event=ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition))


def _came_up(
    context: LaunchContext,
    node: LifecycleNode,
    nodes: Sequence[LifecycleNode],
    awaited: set[LifecycleNode],
    respawn: Respawn,
    then: Sequence[Action],
) -> list[Action] | None:
    awaited.discard(node)
    if awaited:
        return None
    respawn.up = True
    for one in nodes:
        bond(context, one)
    return [LogInfo(msg="all nodes are active"), *then]


def _failed(_context: LaunchContext, respawn: Respawn, node: LifecycleNode, state: str) -> None:
    if not respawn.up:
        raise RuntimeError(f"{node.node_name} failed while {state}; its message is above")


def _recorder_ended(event: Any, context: LaunchContext) -> list[Action] | None:
    """One that was refused at set-up ends the launch, as whoever drives believes that it is recorded; one that goes
    later stops no robot: where nobody asked it to, that is an error, in the log and on ``/diagnostics``."""
    if event.returncode == REFUSED or context.is_shutdown:
        return ended(event, context)
    if not event.returncode:
        return [LogInfo(msg=f"{event.process_name} has ended as asked; nothing is recorded any more")]
    said = f"ended by itself with code {event.returncode}; nothing is recorded any more"
    get_logger("launch.user").error(f"{event.process_name} {said}")
    node, namespace = get_ros_node(context), LaunchConfiguration("namespace").perform(context).strip("/")
    place = f"/{namespace}/diagnostics" if namespace else "/diagnostics"
    sender = node.create_publisher(message_class(DIAGNOSTICS), place, kept_qos("diagnostics"))
    sender.publish(recorder_diagnostics(node.get_clock().now().nanoseconds, 0, 0, 0, 0.0, said, make, ""))
    return None


def ended(event: Any, context: LaunchContext) -> list[Action] | None:
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
