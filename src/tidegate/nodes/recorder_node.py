# SPDX-License-Identifier: Apache-2.0
"""All topics of the graph → a bag, as ``ros2 bag record`` writes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from tidegate.bag import BagWriter
from tidegate.errors import BagError
from tidegate.messages import TOPICS, Topic
from tidegate.nodes.topics import message_class, ros_name, take

DEPTH = 1000
"""Messages per topic that may wait while the disk is busy: five seconds at the safety filter's rate."""
QUIET_S = 0.1
"""At its end it takes what waits or is on its way, until nothing has come for this long."""
LOOK_PERIOD_S = 0.1
"""How often it looks for publishers of topics that it does not record yet."""


class RecorderNode(Node):  # type: ignore[misc]
    """Writes serialised messages as they come, never decoded; an interrupted bag can be read up to its end.

    A topic is subscribed once somebody publishes it, with the quality that is offered. What viewers ask for, and what
    can be made again from the rest, is left out (``Topic.recorded``).
    """

    def __init__(self, arguments: Sequence[str] | None = None) -> None:
        """Begin to record into the folder that the parameter ``path`` names.

        Raises:
            BagError: no path was given, or it exists.
        """
        super().__init__(
            "recorder_node",
            cli_args=None if arguments is None else list(arguments),
            use_global_arguments=arguments is None,
        )
        path = self.declare_parameter("path", "").value
        self._linger = self.declare_parameter("linger", False).value
        try:
            if not path:
                raise BagError("recorder_node: the parameter 'path' must name the folder to make")
            self._writer = BagWriter(path)
        except BaseException:
            self.destroy_node()
            raise
        self._unseen = {name: topic for name, topic in TOPICS.items() if topic.recorded}
        self._listeners: list[tuple[Subscription, Callable[[bytes], None]]] = []
        self.create_timer(LOOK_PERIOD_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def needed(self) -> bool:
        """With the parameter ``linger``: record to the very end, as long as the safety node is up."""
        return bool(self._linger) and self.count_publishers(ros_name("command")) > 0

    def close(self) -> None:
        """Take what is still waiting, of a busy machine whole seconds, and write the index of the bag."""
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < QUIET_S:
            if self._fetch():
                quiet_since = time.monotonic()
            else:
                time.sleep(QUIET_S / 10)
        self._writer.close()

    def _fetch(self) -> bool:
        """Write one message of each topic that has any; whether there was one."""
        found = False
        for listener, keep in self._listeners:
            data = take(listener)
            if data is not None:
                keep(data)
                found = True
        return found

    def _look(self) -> None:
        for topic in list(self._unseen.values()):
            offered = [info.qos_profile for info in self.get_publishers_info_by_topic(ros_name(topic.name))]
            if offered:
                del self._unseen[topic.name]
                self._record(topic, offered)

    def _record(self, topic: Topic, offered: Sequence[QoSProfile]) -> None:
        """Subscribe with the best quality that all publishers offer."""
        name = self.resolve_topic_name(ros_name(topic.name))
        reliable = all(profile.reliability == ReliabilityPolicy.RELIABLE for profile in offered)
        latched = all(profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for profile in offered)
        profile = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=DEPTH,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )

        def keep(data: bytes) -> None:
            self._writer.write_raw(name, topic.type, data, time.time_ns())

        listener = self.create_subscription(message_class(topic.type), ros_name(topic.name), keep, profile, raw=True)
        self._listeners.append((listener, keep))
