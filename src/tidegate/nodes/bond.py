# SPDX-License-Identifier: Apache-2.0
"""Nodes that hang: a launch asks each for its state, and ends the process of one that no longer answers."""

from __future__ import annotations

import math
import signal
from typing import Any

from launch import LaunchContext
from launch.events import matches_action
from launch.events.process import SignalProcess
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.ros_adapters import get_ros_node
from lifecycle_msgs.srv import GetState
from rclpy.clock import Clock, ClockType

PERIOD_S = 1.0
LAST_WORDS_S = 1.0
"""For a node that hangs to say where, before it is killed."""


def bond(context: LaunchContext, action: Node, *, starting: bool = False) -> None:
    """Watch the lifecycle node of ``action`` from now on, if the argument ``bond_timeout`` says so; of one that is
    ``starting`` nothing is counted before its first answer."""
    limit_s = float(LaunchConfiguration("bond_timeout").perform(context))
    if limit_s > 0:
        _Bond(context, action, math.ceil(limit_s / PERIOD_S), met=not starting)


class _Bond:
    """What is counted is questions without an answer, not time: while the launch itself is held up, nothing is.

    A node that hangs is killed, and what follows is what follows every death. It did not command any more: the car
    was stopped by the safety filter's watchdogs, or by the actuators' time-out where the safety node hangs.
    """

    def __init__(self, context: LaunchContext, action: Node, looks: int, *, met: bool) -> None:
        """``looks``: so many questions in a row may stay without answer; ``met``: it has answered somebody already."""
        self._context, self._action, self._looks = context, action, looks
        self._node = get_ros_node(context)
        self._client = self._node.create_client(GetState, f"{action.node_name}/get_state")
        self._asked: list[Any] = []
        self._met, self._silent = met, 0
        self._timer = self._node.create_timer(PERIOD_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _look(self) -> None:
        """In the thread of the launch's ROS node."""
        if self._context.is_shutdown or self._action.return_code is not None:
            self._end()
            return
        if any(question.done() for question in self._asked):
            self._met, self._silent = True, 0
            self._forget()
        elif self._met and self._asked:
            self._silent += 1
        if self._silent > self._looks:
            self._end()
            self._context.asyncio_loop.call_soon_threadsafe(self._give_up)
        else:
            self._asked.append(self._client.call_async(GetState.Request()))

    def _forget(self) -> None:
        for question in self._asked:
            self._client.remove_pending_request(question)
        self._asked.clear()

    def _end(self) -> None:
        self._node.destroy_timer(self._timer)
        self._node.destroy_client(self._client)

    def _give_up(self) -> None:
        """In the thread of the launch."""
        told = f"{self._action.node_name} has not answered for {self._looks * PERIOD_S:g} s: it hangs and is killed"
        get_logger("launch").error(told)
        self._signal(signal.SIGUSR1)  # it then writes where it is
        self._context.asyncio_loop.call_later(LAST_WORDS_S, self._signal, signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        event = SignalProcess(signal_number=number, process_matcher=matches_action(self._action))
        self._context.emit_event_sync(event)
