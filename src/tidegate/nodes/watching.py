# SPDX-License-Identifier: Apache-2.0
"""The node behind ``tidegate watch``: it listens, counts, and tells what it heard as a ``View``."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rclpy.qos import QoSProfile, ReliabilityPolicy

from tidegate.doctor.middleware import domain_of
from tidegate.errors import MessageError, TidegateError
from tidegate.messages import PICTURES, TOPICS, clock_of, decode, serialised_stamp, statuses
from tidegate.nodes.onlooker import Spin, onlooker
from tidegate.nodes.topics import camera_names, deserialise, heard_as, message_class, publishers
from tidegate.operate.view import BARE, CAMERA, HEARD, Meter, Seen, View
from tidegate.records import NANOSECONDS, ArmSafetyState, Status

STATE = "safety_node/barriers"
COUNTED = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Nobody waits for it, and nothing is lost while a picture is drawn, or rates would be too low."""
ACTED_S = 1.0
"""How long a barrier that changed the command stays marked; most interventions are shorter than a glance."""


class Watch:
    """Hears the topics of one graph; what is newest is decoded when a view is asked for."""

    def __init__(self, node: Any, spin: Spin, camera: str) -> None:
        self.spin = spin
        self._node, self._camera = node, camera
        self._meters = {topic: Meter() for topic in HEARD}
        self._newest: dict[str, bytes] = {}
        self._states: list[bytes] = []
        self._statuses: dict[str, Status] = {}
        self._acted: dict[str, int] = {}
        for topic in HEARD:
            name, kind = heard_as(node, topic, camera)
            node.create_subscription(message_class(kind), name, self._hear(topic), COUNTED, raw=True)

    def view(self) -> View:
        """The graph as it is now."""
        steady, clock = time.monotonic_ns(), self._record("clock")
        now = time.time_ns() if clock is None else clock
        pictures = camera_names(self._node, self._camera)[PICTURES]
        states, self._states = self._states, []
        for data in states:  # all of them: a barrier may act for one tick
            state = self._decoded(STATE, data)
            if state is not None and state.intervened:
                self._acted[state.intervened] = steady
        return View(
            namespace=self._node.get_namespace(),
            domain=domain_of(os.environ),
            now=now,
            simulated=clock is not None,
            topics={
                CAMERA: Seen(self._publishers(pictures)),
                **{topic: meter.seen(steady, now, self._publishers(topic)) for topic, meter in self._meters.items()},
            },
            pictures="" if pictures == self._node.resolve_topic_name(PICTURES) else pictures,
            records={topic: record for topic in HEARD if (record := self._record(topic)) is not None},
            statuses=dict(self._statuses),
            acted=frozenset(name for name, since in self._acted.items() if steady - since < ACTED_S * NANOSECONDS),
        )

    def _hear(self, topic: str) -> Callable[[bytes], None]:
        def heard(data: bytes) -> None:
            stamp = None if topic in BARE else serialised_stamp(data)
            self._meters[topic].heard(time.monotonic_ns(), stamp)
            self._newest[topic] = data
            if topic == STATE:
                self._states.append(data)
            elif topic == "diagnostics":  # seldom, and each message is another node's
                with contextlib.suppress(MessageError):
                    message = deserialise(data, TOPICS[topic].type)
                    self._statuses.update((status.node, status) for status in statuses(message))

        return heard

    def _record(self, topic: str) -> Any:
        data = self._newest.get(topic)
        return None if data is None else self._decoded(topic, data)

    def _decoded(self, topic: str, data: bytes) -> Any:
        """The record, or the time that ``/clock`` tells; None = another layout than the topic's, or no record."""
        try:
            message = deserialise(data, TOPICS[topic].type)
            if topic == "clock":
                return clock_of(message)
            made = None if TOPICS[topic].record is None else decode(topic, message)
        except TidegateError:
            return None
        return None if isinstance(made, ArmSafetyState) else made  # an arm's, which nothing here can show

    def _publishers(self, topic: str) -> tuple[str, ...]:
        return tuple(sorted(set(publishers(self._node, topic))))


@contextmanager
def watching(namespace: str = "", camera: str = PICTURES) -> Iterator[Watch]:
    """Within, the graph of this process's domain is listened to; nothing is published.

    ``camera``: where the camera's driver publishes pictures, until perception tells by listening.

    Raises:
        GraphError: ROS does not start.
    """
    with onlooker("tidegate_watch", namespace) as (node, spin):
        yield Watch(node, spin, camera)
