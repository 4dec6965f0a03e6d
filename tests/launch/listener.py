# SPDX-License-Identifier: Apache-2.0
"""A node in the domain of a launch that hears what the car is told and does."""

import time
from bisect import bisect
from collections.abc import Callable
from typing import Any

import numpy as np
import rclpy
from launched import PATIENCE_S, Launched
from lifecycle_msgs.msg import TransitionEvent
from rclpy.executors import SingleThreadedExecutor
from rclpy.serialization import deserialize_message
from std_srvs.srv import Trigger

from tidegate.messages import TOPICS, decode
from tidegate.nodes.remote import Remote
from tidegate.nodes.topics import message_class, offered_qos, ros_name
from tidegate.records import Mode

ARRAY = "effort_controller/commands"
TOLD = ("truth", "command", ARRAY, "safety_node/barriers", "safety_node/would_command")
WHEELS = slice(2, None)


class Listener:
    """Keeps the oldest and the newest of what it hears."""

    def __init__(self, environment: dict[str, str], *, lock_step: bool, namespace: str = "") -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context, args=[], domain_id=int(environment["ROS_DOMAIN_ID"]))
        self.node: Any = rclpy.create_node("listener", context=self._context, namespace=namespace)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._oldest: dict[str, bytes] = {}
        self._newest: dict[str, bytes] = {}
        for topic in TOLD:
            kind, profile = message_class(TOPICS[topic].type), offered_qos(topic, lock_step)
            self.node.create_subscription(kind, ros_name(topic), self._keep(topic), profile, raw=True)

    def _keep(self, topic: str) -> Callable[[bytes], None]:
        def heard(data: bytes) -> None:
            self._oldest.setdefault(topic, data)
            self._newest[topic] = data

        return heard

    def newest(self, topic: str) -> Any:
        """The newest record on ``topic``; None = nothing yet."""
        return _record(topic, self._newest.get(topic))

    def oldest(self, topic: str) -> Any:
        """The first record since ``forget``; None = nothing yet."""
        return _record(topic, self._oldest.get(topic))

    def forget(self) -> None:
        """Begin anew."""
        self._oldest.clear()
        self._newest.clear()

    def braked(self) -> bool:
        """Whether the last messages on both topics of the actuators brake every wheel."""
        array = deserialize_message(self._newest[ARRAY], message_class(TOPICS[ARRAY].type)).data
        efforts = (self.newest("command").effort, np.array(array))
        return all(bool((effort[WHEELS] < 0).all()) for effort in efforts)

    def transitions(self, *nodes: str) -> list[tuple[str, str]]:
        """A list that grows with (node, state) as ``nodes`` tell of their transitions, in the order in which they do:
        an executor that comes late takes all of one node first."""
        told: list[tuple[str, str]] = []
        stamps: list[int] = []

        def hear(node: str) -> Callable[[TransitionEvent, dict[str, int]], None]:
            def heard(event: TransitionEvent, info: dict[str, int]) -> None:
                place = bisect(stamps, info["source_timestamp"])
                stamps.insert(place, info["source_timestamp"])
                told.insert(place, (node, event.goal_state.label))

            return heard

        for node in nodes:
            self.node.create_subscription(TransitionEvent, f"{node}/transition_event", hear(node), 20)
        return told

    def change(self, node: str, transition: int, goal: str) -> None:
        """Ask ``node`` for a transition, as ``ros2 lifecycle set`` does, and wait for its end."""
        remote = Remote(self.node, node)
        end = time.monotonic() + PATIENCE_S
        while not remote.ready():
            assert time.monotonic() < end, node
            self.spin(0.05)
        remote.change(transition)
        while (outcome := remote.outcome(goal)) is None:
            assert time.monotonic() < end, node
            self.spin(0.05)
        remote.close()
        assert outcome, (node, goal)

    def state(self, node: str) -> str:
        """The lifecycle state of ``node``."""
        remote, end = Remote(self.node, node), time.monotonic() + PATIENCE_S
        while not (state := remote.state()):
            assert time.monotonic() < end, node
            self.spin(0.05)
        remote.close()
        return state

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def until(self, done: Callable[[], bool], launched: Launched) -> None:
        end = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < end, launched.said
            self.spin(0.05)

    def speed(self) -> float:
        truth = self.newest("truth")
        return 0.0 if truth is None else abs(truth.values["speed"])

    def mode(self) -> Mode | None:
        state = self.newest("safety_node/barriers")
        return None if state is None else state.mode

    def reset(self) -> None:
        client = self.node.create_client(Trigger, "safety_node/reset")
        future = client.call_async(Trigger.Request())
        self._executor.spin_until_future_complete(future, timeout_sec=10)
        self.node.destroy_client(client)

    def release(self, launched: Launched) -> None:
        """Ask for resets until the car may drive, which it may once all that it is told by is there."""
        launched.wait_for("all nodes are active")

        def released() -> bool:
            self.reset()
            self.spin(1.0)
            return self.mode() == Mode.NORMAL

        self.until(released, launched)

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self._context)


def _record(topic: str, data: bytes | None) -> Any:
    return None if data is None else decode(topic, deserialize_message(data, message_class(TOPICS[topic].type)))
