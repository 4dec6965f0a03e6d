# SPDX-License-Identifier: Apache-2.0
"""The topics of the graph → a bag, as ``ros2 bag record`` writes it, and snapshots of the interventions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from tidegate.bag import BackgroundWriter, BagWriter, Snapshots, folder_named
from tidegate.bag.background import Keeper
from tidegate.bag.reader import relative
from tidegate.bag.typestore import definition
from tidegate.errors import BagError
from tidegate.messages import DIAGNOSTICS, PICTURES, SUFFIX, TOPICS, Topic
from tidegate.nodes.diagnostics import PERIOD_S, recorder_diagnostics
from tidegate.nodes.parameters import Own, command_line, declare_own
from tidegate.nodes.topics import heard_as, kept_qos, make, message_class, ros_name, take
from tidegate.records import NANOSECONDS
from tidegate.robot.contract import contract_of
from tidegate.settings import load_settings, settings_from
from tidegate.settings.kind import robot_kind

PARAMETERS = (
    Own("path", "", "folder to make for the bag; true = bags/<time in UTC>, empty or false = snapshots alone"),
    Own("all_topics", False, "every topic whose message type is a standard one, of other nodes too; else the stack's"),
    Own("max_bag_size", 0, "a file of the bag that is as large [B] is followed by another; 0 = one file"),
    Own("max_bag_duration", 0.0, "a file of the bag that is as long [s] is followed by another; 0 = one file"),
    Own("snapshots", "", "folder for small bags of what happened around interventions; empty = none"),
    Own("snapshot_before_s", 10.0, "seconds before an intervention that its snapshot holds"),
    Own("snapshot_after_s", 5.0, "seconds after it"),
    Own("snapshot_max_size", 1_000_000_000, "of all snapshots [B]; the oldest are deleted"),
    Own("config", "", "the robot's settings file, for the contract that travels in the bag; empty = not told"),
    Own("bundle", "", "folder of the model that drives, for the contract; empty = not told"),
    Own("camera.topic", "", "where the camera's driver publishes pictures; empty = as 'config' states it"),
    Own("linger", False, "record on as long as the safety node is up"),
)
DEPTH = 1000
"""Messages per topic that may wait while the machine is busy: five seconds at the safety filter's rate."""
QUIET_S = 0.1
"""At its end it takes what waits or is on its way, until nothing has come for this long."""
TAKE_S, ON_ITS_WAY_S = 5.0, 1.0
"""And no longer, where the graph goes on: for what waits, and from the moment on when nothing waited any more."""
LOOK_PERIOD_S = 0.1
"""How often it looks for publishers of topics that it does not record yet, and whether the disk still takes all."""
HELD_UP_S = 1.0
"""For Fast DDS a process that stands still for as long is dead; who writes in shared memory may not find back to it."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A ``topic`` of the stack: absolute name under which it is ``heard``, its ``type`` there, and the name under which
    it is ``kept``."""

    topic: Topic
    heard: str
    type: str
    kept: str


class RecorderNode(Node):  # type: ignore[misc]
    """Hands on serialised messages as they come, never decoded; a thread writes them.

    A topic is subscribed once somebody publishes it, with the quality that is offered. What viewers ask for, and what
    can be made again from the rest, is left out (``Topic.recorded``); so is, with a warning, what has another type than
    the table says, or none that is known here. What has a driver's own name is kept under the table's. Once a second it
    tells ``/diagnostics`` how much was written. Where writing fails, it says so there, records no more and stays: the
    robot drives on. An interrupted bag can be read up to its end.
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
            values = {item.name: declare_own(self, item) for item in PARAMETERS}
            asked, values["path"] = values["path"], folder_named(values["path"])
            self._linger, self._all = values["linger"], values["all_topics"]
            config, bundle = (Path(values[name]) if values[name] else None for name in ("config", "bundle"))
            contract = contract_of(config, bundle)
            self._robot = contract.get("robot", "")
            camera = _camera_topic(values["camera.topic"], config)
            self._writer = BackgroundWriter(_keepers(values, contract))
            profile = kept_qos("diagnostics")
            profile.depth = 1
            self._sender = self.create_publisher(message_class(DIAGNOSTICS), ros_name("diagnostics"), profile)
        except BaseException:
            self.destroy_node()
            raise
        self._own = {part.heard: part for part in self._table(camera)}
        self._seen: set[str] = {name for name, part in self._own.items() if not part.topic.recorded}
        self._listeners: list[tuple[Subscription, Callable[[bytes], None]]] = []
        self._told_failure = self._told_loss = False
        self._told_at = self._held_up = 0.0
        self._looked_at = time.monotonic()
        if values["path"] and str(values["path"]) != asked:
            self.get_logger().info(f"recording into {values['path']}")
        self.create_timer(LOOK_PERIOD_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _table(self, camera: str) -> Iterator[_Part]:
        """The stack's topics, where the pictures of the camera are published on ``camera``."""
        for topic in TOPICS.values():
            heard, kind = heard_as(self, topic.name, camera)
            suffix = "" if kind == topic.type else SUFFIX
            kept = heard
            if relative(heard, suffix) != topic.name:  # a driver's own name, by which no reader would know it
                kept = self.resolve_topic_name(f"{ros_name(topic.name)}{suffix}", only_expand=True)
            yield _Part(topic, heard, kind, kept)

    def needed(self) -> bool:
        """With the parameter ``linger``: record to the very end, as long as the safety node is up."""
        return bool(self._linger) and self.count_publishers(ros_name("command")) > 0

    def close(self) -> None:
        """Take what is still waiting, of a busy machine whole seconds, and write the index of the bag."""
        quiet_since = time.monotonic()
        end = quiet_since + TAKE_S
        while (now := time.monotonic()) - quiet_since < QUIET_S and now < end:
            if self._fetch():
                quiet_since = now
            else:
                end = min(end, now + ON_ITS_WAY_S)
                time.sleep(QUIET_S / 10)
        self._writer.close()
        self._tell()

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
        self._notice()
        self._tell()
        if self._told_failure:
            return
        for name, kind in self._published().items():
            offered = [
                info
                for info in self.get_publishers_info_by_topic(name)
                if (info.node_name, info.node_namespace) != (self.get_name(), self.get_namespace())
            ]
            if offered:
                self._seen.add(name)
                if fault := _unfit(kind, {info.topic_type for info in offered}):
                    self.get_logger().warning(f"{name} is not recorded: {fault}")
                else:
                    self._record(name, kind, [info.qos_profile for info in offered])

    def _published(self) -> dict[str, str]:
        """Type by absolute name of the topics that may be recorded and are not yet, in the order of the table."""
        found = {name: part.type for name, part in self._own.items()}
        if self._all:
            taken = {part.kept for part in self._own.values()} - set(found)
            for name, kinds in self.get_topic_names_and_types():
                # not one that is remapped into the namespace, nor a second camera by the name that the car's is kept by
                if self.resolve_topic_name(name) == name and name not in taken:
                    found.setdefault(name, kinds[0])
        return {name: kind for name, kind in found.items() if name not in self._seen}

    def _notice(self) -> None:
        """A standstill of this process since the last look."""
        now = time.monotonic()
        pause, self._looked_at = now - self._looked_at, now
        if pause > HELD_UP_S:
            self._held_up = max(self._held_up, pause)
            self.get_logger().warning(
                f"held up for {pause:.1f} s: some topics may be heard no more; end this recording and begin another"
            )

    def _tell(self) -> None:
        """Once each in the log, that messages were lost and that nothing is recorded any more; and the state, once a
        second and when that happens."""
        if self._writer.lost and not self._told_loss:
            self._told_loss = True
            self.get_logger().warning("the disk is too slow: messages are lost")
        failure = self._writer.failure
        if failure and not self._told_failure:
            self._told_failure = True
            self.get_logger().error(f"recording has ended: {failure}")
            self._told_at = 0.0
            for listener, _ in self._listeners:
                self.destroy_subscription(listener)
            self._listeners.clear()
        if time.monotonic() - self._told_at >= PERIOD_S:
            self._told_at, counts = time.monotonic(), (len(self._listeners), self._writer.written, self._writer.lost)
            now = self.get_clock().now().nanoseconds
            self._sender.publish(recorder_diagnostics(now, *counts, self._held_up, failure, make, self._robot))

    def _record(self, name: str, kind: str, offered: Sequence[QoSProfile]) -> None:
        """Subscribe with the best quality that all publishers offer."""
        reliable = all(profile.reliability == ReliabilityPolicy.RELIABLE for profile in offered)
        latched = all(profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for profile in offered)
        profile = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=DEPTH,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )

        kept = self._own[name].kept if name in self._own else name

        def keep(data: bytes) -> None:
            self._writer.put(kept, kind, time.time_ns(), data)

        self._writer.offer(kept, [quality(one) for one in offered])
        listener = self.create_subscription(message_class(kind), name, keep, profile, raw=True)
        self._listeners.append((listener, keep))


def quality(profile: QoSProfile) -> dict[str, Any]:
    """A quality of service as rosbag2 writes it (``metadata.yaml`` of version 9)."""
    return {
        "history": profile.history.short_key,
        "depth": profile.depth,
        "reliability": profile.reliability.short_key,
        "durability": profile.durability.short_key,
        "deadline": _duration(profile.deadline),
        "lifespan": _duration(profile.lifespan),
        "liveliness": profile.liveliness.short_key,
        "liveliness_lease_duration": _duration(profile.liveliness_lease_duration),
        "avoid_ros_namespace_conventions": profile.avoid_ros_namespace_conventions,
    }


def _duration(duration: Duration) -> dict[str, int]:
    sec, nsec = divmod(duration.nanoseconds, NANOSECONDS)
    return {"sec": sec, "nsec": nsec}


def _unfit(kind: str, offered: set[str]) -> str:
    """Why a topic of type ``kind`` cannot be recorded from publishers of the types ``offered``; empty = it can."""
    if other := sorted(offered - {kind}):
        return f"it is {' and '.join(other)}; it must be {kind}"
    try:
        message_class(kind)
        definition(kind)
    except (ImportError, AttributeError, ValueError, KeyError):
        return f"its type {kind} is none of the standard ones that are installed here"
    return ""


def _camera_topic(given: str, config: Path | None) -> str:
    """Where the camera's driver publishes: as ``given``, else as the settings file states it.

    Raises:
        SettingsError: that is no topic's name, or the file is refused.
    """
    if given:
        return settings_from({"camera": {"topic": given}}, "recorder_node", Path()).camera.topic
    seeing = config is not None and robot_kind(config) == "car"  # an arm has no camera
    return load_settings(config).camera.topic if config is not None and seeing else PICTURES


def _keepers(values: dict[str, Any], contract: dict[str, str]) -> list[Keeper]:
    """The bag and the snapshots that the parameters ask for.

    Raises:
        BagError: as ``RecorderNode``.
    """
    if not (values["path"] or values["snapshots"]):
        raise BagError("recorder_node: the parameter 'path' must name the folder to make, or 'snapshots' one for these")
    keepers: list[Keeper] = []
    if values["snapshots"]:
        seconds = values["snapshot_before_s"], values["snapshot_after_s"]
        keepers.append(Snapshots(Path(values["snapshots"]), *seconds, values["snapshot_max_size"], contract))
    if values["path"]:
        size, duration = values["max_bag_size"], values["max_bag_duration"]
        keepers.append(BagWriter(values["path"], contract, max_size=size, max_duration_s=duration))
    return keepers
