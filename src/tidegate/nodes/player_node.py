# SPDX-License-Identifier: Apache-2.0
"""A bag → the topics of its sensors, with the timing of the recording, as ``ros2 bag play`` does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.node import Node

from tidegate.bag import BagReader, remappings
from tidegate.bag.timing import ANOTHER_CLOCK
from tidegate.bag.typestore import deserialise
from tidegate.errors import BagError, TidegateError
from tidegate.messages import TOPICS, decode, encode, encode_clock, serialised_stamp
from tidegate.messages.graph import SENSORS
from tidegate.nodes.parameters import Own, command_line, declare_own
from tidegate.nodes.topics import make, message_class, offered_qos, publishers, ros_name
from tidegate.records import NANOSECONDS

PARAMETERS = (
    Own("bag", "", "folder or file of the recording"),
    Own("remap", "", "/front/image:=camera/image_raw and the like, by comma"),
    Own("rate", 1.0, "times as fast as recorded, above 0"),
    Own("clock_hz", 200.0, "/clock so many times a second of the bag; 0 = none"),
)
OPERATOR = ("manual", "emergency_stop")
UNHEARD = {"camera/camera_info", *OPERATOR}
"""Topics whose listeners are not waited for."""
WAIT_S = 5.0
"""How long it waits for listeners before it begins all the same."""
SETTLED_S = 0.5
"""So long nobody new has come to listen when it begins: a recorder comes when it sees what is published, and a bag that
lacks the first frame is no record of what was made of it."""
POLL_S = 0.001
FLUSH_S = 0.5


class PlayerNode(Node):  # type: ignore[misc]
    """Publishes serialised messages as they were received, never decoded: sensors, and what an operator told.

    Compressed images alone are decoded: a topic of the table has the table's type.

    ``/clock`` is that of the bag, where it holds one; else the time of receipt, or that of the sensors' stamps where
    these are of another clock, so that nodes with ``use_sim_time`` live in the time of the recording. A moment's clock
    follows its messages.

    Attributes:
        over: the bag has ended.
    """

    def __init__(self, arguments: Sequence[str] | None = None) -> None:
        """Open the bag that the parameter ``bag`` names, its topics named as ``remap`` says (rules by comma);
        ``arguments`` replace those of the process.

        Raises:
            BagError: no bag was given, it cannot be read, or it has no topic of a sensor; a rate of 0.
            SettingsError: a parameter or a rule of ``remap`` is refused.
        """
        super().__init__(
            "player_node",
            **command_line(arguments),
        )
        try:
            path, remap, self._rate, clock_hz = (declare_own(self, item) for item in PARAMETERS)
            if not path:
                raise BagError("player_node: the parameter 'bag' must name the recording")
            rules = [rule for rule in remap.split(",") if rule.strip()]
            if not self._rate:
                raise BagError(f"player_node: rate is {self._rate}; it must be above 0")
            self._open(BagReader(path, remappings(rules)), clock_hz)
        except BaseException:
            self.destroy_node()
            raise
        self.over = False
        self._made = self._changed = time.monotonic()
        self._listening: dict[str, int] = {}
        self._begun: int | None = None
        self.create_timer(POLL_S, self._play, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def needed(self) -> bool:
        """Nobody is driven by it."""
        return False

    def close(self) -> None:
        """Wait until what was sent has arrived."""
        for sender in self._senders.values():
            sender.wait_for_all_acked(Duration(seconds=FLUSH_S))

    def _open(self, reader: BagReader, clock_hz: float) -> None:
        names = {topic: reader.held(topic) for topic in (*SENSORS, *OPERATOR, *(("clock",) if clock_hz else ()))}
        topics = {name: topic for topic, name in names.items() if name}
        if not set(topics.values()) & set(SENSORS):
            raise BagError(f"{reader.path}: has none of the sensors' topics: {', '.join(SENSORS)}")
        wanted = {*topics.values(), *(("clock",) if clock_hz else ())}
        self._senders: dict[str, Any] = {
            topic: self.create_publisher(message_class(TOPICS[topic].type), ros_name(topic), offered_qos(topic, False))
            for topic in wanted
        }
        self._messages = ((topics[name], received, kind, data) for name, kind, received, data in reader.raw(topics))
        self._next = next(self._messages, None)
        assert self._next is not None
        self._first = self._told = self._next[1]
        stamp = _stamp(self._next)
        self._by_stamp = stamp is not None and abs(stamp - self._first) > ANOTHER_CLOCK
        if stamp is not None and self._by_stamp:
            self._told = stamp
        self._period = round(NANOSECONDS / clock_hz) if clock_hz and "clock" not in topics.values() else 0

    def _play(self) -> None:
        """Publish what is due."""
        if self.over or (self._begun is None and not self._begin()):
            return
        assert self._begun is not None
        now = self._first + int((time.monotonic_ns() - self._begun) * self._rate)
        while self._next is not None and self._next[1] <= now:
            topic, received, kind, data = self._next
            at = _stamp(self._next) if self._by_stamp else received
            if at is not None:
                self._tell_time(at - 1)
            self._publish(topic, kind, data)
            if at is not None and self._by_stamp:
                self._tell_time(at)
            self._next = next(self._messages, None)
            if self._next is None:
                now = received
        if not self._by_stamp:
            self._tell_time(now)
        if self._next is None:
            self.get_logger().info("the bag has ended")
            self.over = True

    def _publish(self, topic: str, kind: str, data: bytes) -> None:
        """As it is where it has the topic's type; compressed images decoded."""
        if kind == TOPICS[topic].type:
            self._senders[topic].publish(data)
            return
        try:
            self._senders[topic].publish(encode(decode(topic, deserialise(data, kind)), make))
        except TidegateError as error:
            self.get_logger().warning(f"{topic}: {error}", throttle_duration_sec=1.0)

    def _begin(self) -> bool:
        """Whether all that listen are there, or were waited for long enough."""
        now, listening = time.monotonic(), {topic: one.get_subscription_count() for topic, one in self._senders.items()}
        if listening != self._listening:
            self._listening, self._changed = listening, now
        alone = [topic for topic, count in listening.items() if not count and topic not in UNHEARD]
        if (alone or now - self._changed < SETTLED_S) and now - self._made < WAIT_S:
            return False
        for topic in alone:
            self.get_logger().warning(f"nobody listens to {topic}")
        me = f"{self.get_namespace().rstrip('/')}/{self.get_name()}"
        for topic in self._senders:
            for who in publishers(self, topic):
                if who != me:
                    self.get_logger().warning(f"{topic} is published by {who} too")
        self.get_logger().info(f"playing {', '.join(self._senders)}")
        self._begun = time.monotonic_ns()
        return True

    def _tell_time(self, until: int) -> None:
        """``/clock`` of every period up to ``until`` [ns]."""
        while self._period and self._told <= until:
            self._senders["clock"].publish(encode_clock(self._told, make))
            self._told += self._period


def _stamp(message: tuple[str, int, str, bytes]) -> int | None:
    """Stamp [ns] of a sensor's message as ``PlayerNode`` keeps it; None = it has none."""
    topic, _, _, data = message
    return serialised_stamp(data) if topic in SENSORS else None
