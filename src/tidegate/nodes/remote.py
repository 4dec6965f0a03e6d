# SPDX-License-Identifier: Apache-2.0
"""The lifecycle services of another node, asked again where an answer was lost."""

from __future__ import annotations

import time
from functools import cached_property
from typing import Any

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.node import Node

from tidegate.nodes.topics import ros_name

STEPS = (
    (Transition.TRANSITION_CONFIGURE, "configure", "inactive"),
    (Transition.TRANSITION_ACTIVATE, "activate", "active"),
)
"""From started to driving: transition, its name, the state that it leads to."""
RETRY_S = 2.0
"""A service may be listed before its answers find their way back; Fast DDS then drops the answer."""


class Remote:
    """A lifecycle node by ``name``, seen from ``node``, whose executor the caller spins between the calls."""

    def __init__(self, node: Node, name: str) -> None:
        self._node, self._name = node, name
        self._getter = node.create_client(GetState, ros_name(f"{name}/get_state"))
        self._request = ChangeState.Request()
        self._answers: list[Any] = []
        self._states: list[Any] = []
        self._asked = 0.0

    @cached_property
    def _changer(self) -> Any:
        """Made once it is wanted: who only looks needs no right to change anything."""
        return self._node.create_client(ChangeState, ros_name(f"{self._name}/change_state"))

    def close(self) -> None:
        """Free the clients."""
        self._node.destroy_client(self._getter)
        if "_changer" in vars(self):
            self._node.destroy_client(self._changer)

    def ready(self) -> bool:
        """Whether its services are there, or answer.

        What the middleware says is the quick way and not enough: rmw_fastrtps calls a service absent for as long as
        the domain has unequal numbers of its request readers and answer writers, as while a namesake is half gone.
        """
        listed = self._changer.service_is_ready() and self._getter.service_is_ready()
        return bool(listed or self.state())

    def change(self, transition: int) -> None:
        """Ask for a transition; ``outcome`` tells how it went."""
        self._request = ChangeState.Request(transition=Transition(id=transition))
        self._answers = [self._changer.call_async(self._request)]
        self._states, self._asked = [], time.monotonic()

    def outcome(self, goal: str) -> bool | None:
        """Whether the transition towards the state ``goal`` succeeded; None = not known yet."""
        for answer in self._answers:
            if answer.done():
                return bool(answer.result().success)
        label = self.state()
        if label == goal:
            return True
        if label:  # it rests elsewhere: the request, or the answer that it failed, was lost
            self._answers.append(self._changer.call_async(self._request))
        return None

    def state(self) -> str:
        """Its state, asked for every ``RETRY_S``; each answer is told once, and empty means that there is none yet."""
        found = ""
        for answer in [answer for answer in self._states if answer.done()]:
            self._states.remove(answer)
            found = answer.result().current_state.label
        if time.monotonic() - self._asked > RETRY_S:
            self._asked = time.monotonic()
            self._states.append(self._getter.call_async(GetState.Request()))
        return str(found)
