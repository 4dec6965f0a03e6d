# SPDX-License-Identifier: Apache-2.0
"""Nodes that die are started again, at longer and longer intervals, and brought back to active."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

from launch import Action, LaunchContext
from launch.actions import LogInfo, OpaqueFunction, TimerAction
from launch.event_handlers import OnProcessExit
from launch_ros.actions import Node
from launch_ros.ros_adapters import get_ros_node

from tidegate.nodes.arguments import is_true
from tidegate.nodes.bond import bond
from tidegate.nodes.member import Member
from tidegate.nodes.remote import STEPS, Remote
from tidegate.nodes.scope import Scope, When

FIRST_S, LONGEST_S = 1.0, 30.0
"""The first interval, twice as long each time, and the longest."""
CALM_S = 60.0
"""A node that lived for so long begins with the first interval anew."""
POLL_S = 0.1

Ended = Callable[[Any, LaunchContext], list[Action] | None]
"""What is done when a process has ended, given its event."""


class Backoff:
    """How long to wait before a node is started again."""

    def __init__(self) -> None:
        self._deaths: dict[str, tuple[int, float]] = {}

    def delay(self, name: str, now: float) -> float:
        """The interval [s] after ``name`` has died at ``now`` [s]; it is taken to live again from its end on."""
        count, begun = self._deaths.get(name, (0, -math.inf))
        count = 1 if now - begun > CALM_S else count + 1
        delay = min(FIRST_S * 2.0 ** (count - 1), LONGEST_S)
        self._deaths[name] = count, now + delay
        return delay


class Respawn:
    """Where the argument ``use_respawn`` is true. Until the whole graph has been ``up`` once, a death ends the launch.
    With ``autostart`` false it never does, and an operator brings up the nodes that were started again too.

    While a node is missing the safety filter's watchdogs hold the robot stopped, or the actuators' time-out does where
    the safety node is what is missing; no reset but an operator's leads out.
    """

    def __init__(self, otherwise: Ended) -> None:
        """``otherwise``: what is done where a process is not started again."""
        self.up = False
        self._otherwise = otherwise
        self._backoff = Backoff()

    def on_exit(self, member: Member, action: Node) -> Ended:
        """For the exit of the process of ``action``, which runs ``member``."""

        def ended(event: Any, context: LaunchContext) -> list[Action] | None:
            settled = self.up or not is_true("autostart", context)
            if context.is_shutdown or not event.returncode or not (settled and is_true("use_respawn", context)):
                return self._otherwise(event, context)
            return self._again(context, member, str(action.node_name), event.returncode)

        return ended

    def _again(self, context: LaunchContext, member: Member, name: str, code: int) -> list[Action]:
        delay = self._backoff.delay(name, time.monotonic())
        node = member.again()
        start = Scope(context).inside(
            When(OnProcessExit(target_action=node, on_exit=self.on_exit(member, node))),
            node,
            OpaqueFunction(function=self._begin, args=[name, node]),
        )
        told = f"{name} ended by itself with code {code}; it is started again in {delay:g} s"
        return [LogInfo(msg=told), TimerAction(period=delay, actions=start)]

    def _begin(self, context: LaunchContext, name: str, node: Node) -> list[Action] | None:
        if not is_true("autostart", context):
            bond(context, node, starting=True)
            return [LogInfo(msg=f"{name} is started again and waits for 'ros2 lifecycle set'")]
        remote = Remote(get_ros_node(context), name)
        return self._poll(context, name, node, remote, bring_back(remote))

    def _poll(
        self, context: LaunchContext, name: str, node: Node, remote: Remote, steps: Iterator[float]
    ) -> list[Action] | None:
        if context.is_shutdown or node.return_code is not None:  # it died again: another is started
            remote.close()
            return None
        pause = next(steps, None)
        if pause is None:
            remote.close()
            bond(context, node)
            return [LogInfo(msg=f"{name} is active again; the robot stays stopped until the safety node is reset")]
        look = OpaqueFunction(function=self._poll, args=[name, node, remote, steps])
        return [TimerAction(period=pause, actions=Scope(context).inside(look))]


def bring_back(remote: Remote) -> Iterator[float]:
    """Configure and activate a node; yields how long to wait [s] until the next look.

    A step that fails is tried again: a safety node is refused as a second master for as long as the middleware lists
    the one that was killed.
    """
    for transition, _, goal in STEPS:
        pause, done = FIRST_S, False
        while not done:
            while not remote.ready():
                yield POLL_S
            remote.change(transition)
            while (outcome := remote.outcome(goal)) is None:
                yield POLL_S
            done = outcome
            if not done:
                yield pause
                pause = min(2 * pause, LONGEST_S)
