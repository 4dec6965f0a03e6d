# SPDX-License-Identifier: Apache-2.0
"""All topics of the graph → a bag, as ``ros2 bag record`` writes it, and snapshots of the interventions."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from tidegate.bag import BackgroundWriter, BagWriter, Snapshots
from tidegate.bag.background import Keeper
from tidegate.bag.reader import relative
from tidegate.errors import BagError, SettingsError
from tidegate.messages import DIAGNOSTICS, TOPICS, Topic
from tidegate.nodes.diagnostics import recorder_diagnostics
from tidegate.nodes.parameters import Own, command_line
from tidegate.nodes.topics import make, message_class, offered_qos, ros_name, take
from tidegate.robot.contract import contract_of

PARAMETERS = (
    Own("path", "", "folder to make for the bag; empty = no bag, snapshots alone"),
    Own("max_bag_size", 0, "a file of the bag that is as large [B] is followed by another; 0 = one file"),
    Own("max_bag_duration", 0.0, "a file of the bag that is as long [s] is followed by another; 0 = one file"),
    Own("snapshots", "", "folder for small bags of what happened around interventions; empty = none"),
    Own("snapshot_before_s", 10.0, "seconds before an intervention that its snapshot holds"),
    Own("snapshot_after_s", 5.0, "seconds after it"),
    Own("snapshot_max_size", 1_000_000_000, "of all snapshots [B]; the oldest are deleted"),
    Own("config", "", "the robot's settings file, for the contract that travels in the bag; empty = not told"),
    Own("bundle", "", "folder of the model that drives, for the contract; empty = not told"),
    Own("linger", False, "record on as long as the safety node is up"),
)
DEPTH = 1000
"""Messages per topic that may wait while the machine is busy: five seconds at the safety filter's rate."""
QUIET_S = 0.1
"""At its end it takes what waits or is on its way, until nothing has come for this long."""
LOOK_PERIOD_S = 0.1
"""How often it looks for publishers of topics that it does not record yet, and whether the disk still takes all."""


class RecorderNode(Node):  # type: ignore[misc]
    """Hands on serialised messages as they come, never decoded; a thread writes them.

    A topic is subscribed once somebody publishes it, with the quality that is offered. What viewers ask for, and what
    can be made again from the rest, is left out (``Topic.recorded``). Where writing fails, it says so once on
    ``/diagnostics``, records no more and stays: the robot drives on. An interrupted bag can be read up to its end.
    """

    def __init__(self, arguments: Sequence[str] | None = None) -> None:
        """Begin to record as ``PARAMETERS`` say.

        Raises:
            BagError: neither a bag nor snapshots are asked for, or the bag exists; SettingsError: a parameter is
                refused; RobotError, BundleError: robot or bundle are.
        """
        super().__init__(
            "recorder_node",
            **command_line(arguments),
        )
        try:
            values = {item.name: self._declared(item) for item in PARAMETERS}
            self._linger = values["linger"]
            self._writer = BackgroundWriter(_keepers(values))
            profile = offered_qos("diagnostics", lock_step=False)
            profile.durability = DurabilityPolicy.TRANSIENT_LOCAL  # who joins later hears it too
            self._sender = self.create_publisher(message_class(DIAGNOSTICS), ros_name("diagnostics"), profile)
        except BaseException:
            self.destroy_node()
            raise
        self._unseen = {name: topic for name, topic in TOPICS.items() if topic.recorded}
        self._listeners: list[tuple[Subscription, Callable[[bytes], None]]] = []
        self._told_failure = self._told_loss = False
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
        self._tell()

    def _declared(self, item: Own) -> Any:
        """A parameter's value; a whole number may stand for a float.

        Raises:
            SettingsError: another type than it must have, or negative.
        """
        described = ParameterDescriptor(description=item.description, dynamic_typing=True)
        kind: type = type(item.default)
        value: Any = self.declare_parameter(item.name, item.default, described).value
        if kind is float and type(value) is int:
            value = float(value)
        negative = isinstance(value, (int, float)) and not value >= 0
        if type(value) is not kind or negative:
            must = f"{kind.__name__}, 0 or more" if kind in (int, float) else kind.__name__
            raise SettingsError(f"recorder_node: '{item.name}' is {value!r}; it must be {must} ({item.description})")
        return value

    def _fetch(self) -> bool:
        """Take one message of each topic that has any; whether there was one."""
        found = False
        for listener, keep in self._listeners:
            data = take(listener)
            if data is not None:
                keep(data)
                found = True
        return found

    def _look(self) -> None:
        self._tell()
        if self._told_failure:
            return
        for topic in list(self._unseen.values()):
            offered = [
                info.qos_profile
                for info in self.get_publishers_info_by_topic(ros_name(topic.name))
                if (info.node_name, info.node_namespace) != (self.get_name(), self.get_namespace())
            ]
            if offered:
                del self._unseen[topic.name]
                self._record(topic, offered)

    def _tell(self) -> None:
        """Once each: that messages were lost, and that nothing is recorded any more."""
        if self._writer.lost and not self._told_loss:
            self._told_loss = True
            self.get_logger().warning("the disk is too slow: messages are lost")
        failure = self._writer.failure
        if failure and not self._told_failure:
            self._told_failure = True
            self.get_logger().error(f"recording has ended: {failure}")
            self._sender.publish(recorder_diagnostics(self.get_clock().now().nanoseconds, failure, make))
            for listener, _ in self._listeners:
                self.destroy_subscription(listener)
            self._listeners.clear()

    def _record(self, topic: Topic, offered: Sequence[QoSProfile]) -> None:
        """Subscribe with the best quality that all publishers offer."""
        name = self.resolve_topic_name(ros_name(topic.name))
        if relative(name) != topic.name:  # remapped to a driver's own name, by which no reader would know it
            name = self.resolve_topic_name(ros_name(topic.name), only_expand=True)
        reliable = all(profile.reliability == ReliabilityPolicy.RELIABLE for profile in offered)
        latched = all(profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for profile in offered)
        profile = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=DEPTH,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )

        def keep(data: bytes) -> None:
            self._writer.put(name, topic.type, time.time_ns(), data)

        listener = self.create_subscription(message_class(topic.type), ros_name(topic.name), keep, profile, raw=True)
        self._listeners.append((listener, keep))


def _keepers(values: dict[str, Any]) -> list[Keeper]:
    """The bag and the snapshots that the parameters ask for.

    Raises:
        BagError, SettingsError, RobotError, BundleError: as ``RecorderNode``.
    """
    if not (values["path"] or values["snapshots"]):
        raise BagError("recorder_node: the parameter 'path' must name the folder to make, or 'snapshots' one for these")
    config, bundle = (Path(values[name]) if values[name] else None for name in ("config", "bundle"))
    contract = contract_of(config, bundle)
    keepers: list[Keeper] = []
    if values["snapshots"]:
        seconds = values["snapshot_before_s"], values["snapshot_after_s"]
        keepers.append(Snapshots(Path(values["snapshots"]), *seconds, values["snapshot_max_size"], contract))
    if values["path"]:
        size, duration = values["max_bag_size"], values["max_bag_duration"]
        keepers.append(BagWriter(values["path"], contract, max_size=size, max_duration_s=duration))
    return keepers
