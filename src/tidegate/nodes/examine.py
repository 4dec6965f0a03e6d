# SPDX-License-Identifier: Apache-2.0
"""Watch a running graph for a while, from outside, and tell what there is: facts for ``tidegate.doctor``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import GetParameters
from rclpy.qos import HistoryPolicy, QoSCompatibility, QoSProfile, ReliabilityPolicy, qos_check_compatible

from tidegate.doctor.facts import GraphFacts, RosFacts, TopicFacts
from tidegate.doctor.graph import BARE, MAKES, STACK, WATCHED
from tidegate.doctor.middleware import domain_of
from tidegate.doctor.segments import segment_of
from tidegate.errors import TidegateError
from tidegate.messages import LENS, PICTURES, TOPICS, serialised_stamp, type_on
from tidegate.messages.graph import LIFECYCLE, SENSORS
from tidegate.messages.rates import rate_of
from tidegate.messages.topics import COMPRESSED_IMAGE, IMAGE
from tidegate.nodes.onlooker import Spin, onlooker
from tidegate.nodes.remote import Remote
from tidegate.nodes.topics import camera_names, message_class, read, requested_qos, ros_name
from tidegate.records import seconds
from tidegate.robot.control import CONTROLLER

DISCOVERY_S = 5.0
"""Longest time until the first other node is seen: who misses its first greeting hears the next one after 3 s."""
SETTLED_S, SETTLING_S = 1.0, 10.0
"""Discovery is over when nothing new was seen for this long, and at the latest after this."""
SLOWEST = 5.0
"""By how much the watch may be longer than asked for: until each sensor was heard, and where simulated time is slow."""
ANSWER_S = 5.0
"""Longest wait for the lifecycle states."""
DEPTH = 200
READ = ("joint_states", "points", PICTURES, LENS)
"""Topics whose content is looked at."""
COURSE = ("lane", "odom")
"""Topics of which every message is."""


def ros_facts() -> RosFacts:
    """The ROS that this process has."""
    try:
        number = version("rclpy")
    except PackageNotFoundError:  # an installation that left out the metadata
        number = os.environ.get("ROS_DISTRO", "of unknown version")
    return RosFacts(number, rclpy.get_rmw_implementation_identifier())


@dataclass(slots=True)
class _Watch:
    """What one topic has told: stamps and times of receipt by the system's clock [ns], and the newest message. ``name``
    is what to give to rclpy, ``kind`` the type that messages must have."""

    name: str
    kind: str
    stamps: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    last: bytes = b""
    largest: int = 0
    course: list[bytes] = field(default_factory=list)


def examine(namespace: str = "", watch_s: float = 3.0, camera: str = PICTURES) -> GraphFacts:
    """Look at the graph of this process's domain.

    Args:
        namespace: of the stack's nodes and topics.
        watch_s: how long messages are counted [s], in simulated time where there is a clock.
        camera: where its driver publishes pictures; where perception runs, what that listens to is looked at.

    Raises:
        GraphError: ROS does not start.
    """
    with onlooker("tidegate_doctor", namespace) as (node, spin):
        spin(DISCOVERY_S, lambda: len(_others(node)) > 0)
        seen, end = _seen(node, camera), time.monotonic() + SETTLING_S
        while _others(node) and time.monotonic() < end:
            spin(SETTLED_S)
            before, seen = seen, _seen(node, camera)
            if before == seen:
                break
        watches = _listen(node, camera)
        sensed = [watches[topic] for topic in (*SENSORS, "clock") if node.count_publishers(watches[topic].name)]
        spin(SLOWEST * watch_s, lambda: all(watch.received for watch in sensed))  # a busy machine is long in connecting
        clock, begun = watches["clock"].stamps, time.monotonic()

        def watched() -> bool:
            passed = seconds(clock[-1] - clock[0]) if clock else time.monotonic() - begun
            return passed >= watch_s

        spin(SLOWEST * watch_s, watched)
        states, controlled = _states(node, spin), _controlled(node, spin)
        return GraphFacts(
            domain=domain_of(os.environ),
            namespace=node.get_namespace(),
            nodes=tuple(_others(node)),
            states=states,
            simulated=bool(watches["clock"].stamps),
            topics=dict(_topics(node, watches)),
            elsewhere=frozenset(_elsewhere()),
            controlled=controlled,
            segments=dict(_segments(node, watches[PICTURES].name)),
            pictures=dict(_pictures(node)),
        )


def _others(node: Any) -> list[str]:
    """Full names of the nodes that are not this one, hidden ones (the command line's daemon) excepted."""
    found = (f"{space.rstrip('/')}/{name}" for name, space in node.get_node_names_and_namespaces() if name[0] != "_")
    return sorted(set(found) - {node.get_fully_qualified_name()})


def _names(node: Any, camera: str) -> dict[str, str]:
    """What to give to rclpy for each topic that is watched."""
    return {**{topic: ros_name(topic) for topic in (*WATCHED, "clock")}, **camera_names(node, camera)}


def _seen(node: Any, camera: str) -> list[int]:
    """How much of the graph is known: nodes, and publishers of each topic that is watched."""
    return [len(_others(node)), *(node.count_publishers(name) for name in _names(node, camera).values())]


def _listen(node: Any, camera: str) -> dict[str, _Watch]:
    """Subscribe to whatever is published, with a quality that its publishers offer."""
    watches = {}
    for topic, name in _names(node, camera).items():
        watches[topic] = watch = _Watch(name, type_on(topic, name))
        offered = [info for info in node.get_publishers_info_by_topic(name) if info.topic_type == watch.kind]
        if not offered:
            continue
        reliable = all(info.qos_profile.reliability == ReliabilityPolicy.RELIABLE for info in offered)
        profile = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=DEPTH,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        )
        node.create_subscription(message_class(watch.kind), name, _hear(watch, topic), profile, raw=True)
    return watches


def _hear(watch: _Watch, topic: str) -> Callable[[bytes], None]:
    def heard(data: bytes) -> None:
        watch.received.append(time.time_ns())
        stamp = None if topic in BARE else serialised_stamp(data)
        if stamp is not None:
            watch.stamps.append(stamp)
        watch.last, watch.largest = data, max(watch.largest, len(data))
        if topic in COURSE:
            watch.course.append(data)

    return heard


def _topics(node: Any, watches: dict[str, _Watch]) -> Iterator[tuple[str, TopicFacts]]:
    now = max(watches["clock"].stamps, default=None)
    for topic, watch in watches.items():
        known = node.get_publishers_info_by_topic(watch.name)
        listeners = [
            info for info in node.get_subscriptions_info_by_topic(watch.name) if info.node_name != node.get_name()
        ]
        ours = node.resolve_topic_name(watch.name) == node.resolve_topic_name(ros_name(topic))
        behind = float("nan")
        if watch.stamps and now is not None:
            behind = seconds(now - max(watch.stamps))
        elif watch.stamps:
            behind = seconds(int(np.min(np.array(watch.received) - np.array(watch.stamps))))
        record, fault = _read(topic, watch)
        yield (
            topic,
            TopicFacts(
                name="" if ours else watch.name,
                publishers=tuple(sorted(_full(info) for info in known)),
                subscribers=tuple(sorted(_full(info) for info in listeners)),
                types=tuple(sorted({info.topic_type for info in known})),
                count=len(watch.received),
                rate_hz=rate_of(watch.stamps),
                behind_s=behind,
                mismatched=tuple(_mismatched(topic, watch.kind, known, listeners)),
                largest=watch.largest,
                record=record,
                fault=fault,
                course=tuple(_course(topic, watch)),
            ),
        )


def _read(topic: str, watch: _Watch) -> tuple[Any, str]:
    """The newest record of a topic that is looked at, and why it cannot be read."""
    if topic not in READ or not watch.last:
        return None, ""
    try:
        return read(topic, watch.last, watch.kind), ""
    except TidegateError as error:
        return None, str(error)


def _course(topic: str, watch: _Watch) -> Iterator[Any]:
    """Every record that can be read."""
    for data in watch.course:
        with suppress(TidegateError):
            yield read(topic, data, watch.kind)


def _mismatched(topic: str, kind: str, known: Sequence[Any], listeners: Sequence[Any]) -> Iterator[str]:
    """Pairs between which nothing passes; where the stack is not there yet, with what it will ask for."""
    asks = [(_full(info), info.qos_profile) for info in listeners if info.topic_type == kind]
    if topic in SENSORS and not any(name.rpartition("/")[2] in STACK for name, _ in asks):
        asks.append(("the stack", requested_qos(topic, lock_step=False)))
    for info, (name, profile) in product(known, asks):
        compatible, reason = qos_check_compatible(info.qos_profile, profile)
        if compatible == QoSCompatibility.ERROR:
            yield f"{_full(info)} → {name}: {reason.strip()}"


def _pictures(node: Any) -> Iterator[tuple[str, str]]:
    """Topics of pictures that somebody publishes, with their type, but for the stack's own vectors and views."""
    ours = {node.resolve_topic_name(ros_name(topic)) for topic in TOPICS if topic != PICTURES}
    for name, (kind, *_) in node.get_topic_names_and_types():
        if kind in (IMAGE, COMPRESSED_IMAGE) and name not in ours and node.count_publishers(name):
            yield name, kind


def _segments(node: Any, pictures: str) -> Iterator[tuple[str, int]]:
    """Shared memory of the processes that publish the camera's images, where it can be told."""
    heard = node.get_subscriptions_info_by_topic(pictures)
    mine = next((bytes(info.endpoint_gid) for info in heard if info.node_name == node.get_name()), b"")
    for info in node.get_publishers_info_by_topic(pictures):
        size = segment_of(bytes(info.endpoint_gid), mine)
        if size is not None:
            yield _full(info), size


def _full(info: Any) -> str:
    return f"{info.node_namespace.rstrip('/')}/{info.node_name}"


def _states(node: Any, spin: Spin) -> dict[str, str]:
    """Lifecycle state by node of the stack that is there."""
    place = node.get_namespace()
    there = {name for name, space in node.get_node_names_and_namespaces() if space == place}
    remotes = {name: Remote(node, name) for name in LIFECYCLE if name in there}
    states = dict.fromkeys(remotes, "")

    def all_known() -> bool:
        for name, remote in remotes.items():
            states[name] = states[name] or remote.state()
        return all(states.values())

    spin(ANSWER_S, all_known)
    for remote in remotes.values():
        remote.close()
    return states


def _controlled(node: Any, spin: Spin) -> tuple[str, ...] | None:
    """The joints of the controller that takes the efforts, in its order, as it says itself."""
    client = node.create_client(GetParameters, f"{CONTROLLER}/get_parameters")
    if (CONTROLLER, node.get_namespace()) not in node.get_node_names_and_namespaces():
        return None
    answer = client.call_async(GetParameters.Request(names=["joints"]))
    spin(ANSWER_S, answer.done)
    values = answer.result().values if answer.done() else []
    if not values or values[0].type != ParameterType.PARAMETER_STRING_ARRAY:
        return None
    return tuple(values[0].string_array_value)


def _elsewhere() -> Iterator[str]:
    """Domains of this package's nodes on this machine, as far as their environment may be read."""
    names = {*MAKES.values(), "simulator_node"}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = process.joinpath("cmdline").read_bytes().decode(errors="replace").split("\0")
            if not names.intersection(word.rpartition("/")[2] for word in words[:5]):
                continue
            pairs = process.joinpath("environ").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        yield domain_of(dict(pair.split("=", 1) for pair in pairs if "=" in pair))
