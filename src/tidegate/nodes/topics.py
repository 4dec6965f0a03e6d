# SPDX-License-Identifier: Apache-2.0
"""The topic table in rclpy's terms: message classes and quality of service."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message

from tidegate.errors import MessageError
from tidegate.messages import LENS, PICTURES, TOPICS, Topic, decode, published_as, type_on
from tidegate.messages.graph import GLOBAL
from tidegate.messages.image_view import VIEWS
from tidegate.messages.topics import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE

INSIDE = ("/diagnostics", "diagnostics")
CLOCK_INSIDE = ("/clock", "clock")
"""Remappings that put them into the namespace all the same: robots side by side do not hear of each other's faults. The
clock goes there too where the graph has a simulator of its own; otherwise it is one that several robots may share."""

TF_INSIDE = [("/tf", "tf"), ("/tf_static", "tf_static")]
"""The same for who tells or shows frames, as Nav2 does: robots have links of the same names."""

OUR_NAMES = {"camera.topic": PICTURES}
"""Parameter of who listens to feigned sensors: those are never published under the name that a robot's own driver has,
for it may be absolute, and outside of any namespace."""

FOREIGN = {"joy", "manual", "emergency_stop"}
"""Topics that other people's nodes publish, with whatever quality they choose."""

NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
"""What the viewers' nodes ask for: served by whatever is offered, and no publisher waits for them."""

DEPTH = {"sensor": 10, "command": 1, "reliable": 10}
LOCK_STEP_DEPTH = 200
"""A node that is not waited for may lag by some rounds: nothing may be overwritten before it was read."""


@cache
def message_class(type_name: str) -> Any:
    """The class of ``sensor_msgs/msg/Image`` and the like."""
    package, kind, name = type_name.split("/")
    return getattr(import_module(f"{package}.{kind}"), name)


def take(listener: Any) -> bytes | None:
    """The oldest serialised message that waits in a raw subscription; None = none. Past the executor."""
    with listener.handle:
        taken = listener.handle.take_message(listener.msg_type, True)
    return None if taken is None else taken[0]


def make(type_name: str) -> Any:
    """A new message; the maker that ``tidegate.messages.encode`` wants."""
    return message_class(type_name)()


def ros_name(topic: str) -> str:
    """The name to give to rclpy: relative to the namespace, except for the global topics."""
    return f"/{topic}" if topic in GLOBAL else topic


def heard_as(node: Node, topic: str, camera: str) -> tuple[str, str]:
    """Absolute name under which ``node`` hears ``topic``, where ``camera.topic`` is ``camera``, and the type there: by
    the name that is left when it is remapped."""
    name = node.resolve_topic_name(ros_name(published_as(topic, camera)))
    return name, type_on(topic, name)


def camera_names(node: Node, camera: str) -> dict[str, str]:
    """Absolute names of the camera's topics: those to which the perception node in the namespace of ``node`` listens,
    and while there is none that does, those that ``camera.topic`` states."""
    names = {topic: heard_as(node, topic, camera)[0] for topic in (PICTURES, LENS)}
    there = ("perception_node", node.get_namespace())
    if there in node.get_node_names_and_namespaces():
        what = {IMAGE: PICTURES, COMPRESSED_IMAGE: PICTURES, CAMERA_INFO: LENS}
        heard = node.get_subscriber_names_and_types_by_node(*there)
        names |= {what[kinds[0]]: name for name, kinds in heard if kinds[0] in what}
    return names


def remap_flags(*rules: tuple[str, str]) -> list[str]:
    """``-r old:=new`` for each, to follow ``--ros-args``."""
    return [part for old, new in rules for part in ("-r", f"{old}:={new}")]


def publishers(node: Node, topic: str) -> list[str]:
    """Full names of the nodes that publish ``topic``, as ``node`` knows of them; a node that was killed is listed for a
    while."""
    known = node.get_publishers_info_by_topic(ros_name(topic))
    return [f"{info.node_namespace.rstrip('/')}/{info.node_name}" for info in known]


def rivals(node: Node, topic: str) -> list[str]:
    """Who else publishes ``topic``, which ``node`` publishes once at most; a namesake of it is somebody else."""
    known, own = publishers(node, topic), node.get_fully_qualified_name()
    if own in known and any(one.topic_name == node.resolve_topic_name(ros_name(topic)) for one in node.publishers):
        known.remove(own)
    return sorted(set(known))


def offered_qos(topic: str, lock_step: bool, deadline_s: float | None = None) -> QoSProfile:
    """What a publisher offers: reliable throughout, so that whoever asks for best effort or reliable is served.

    In lock-step the last messages are kept for those who join late: the first round then waits for nobody's discovery.
    ``deadline_s`` and a lease are offered, never requested: a subscription that requested them would be refused.
    """
    profile = _profile(TOPICS[topic], lock_step)
    if deadline_s is not None:
        profile.deadline = Duration(seconds=deadline_s)
        profile.liveliness = LivelinessPolicy.AUTOMATIC
        profile.liveliness_lease_duration = Duration(seconds=1.0)
    return profile


def requested_qos(topic: str, lock_step: bool) -> QoSProfile:
    """What a subscription asks for: SensorDataQoS for sensors in real time, else reliable."""
    profile = _profile(TOPICS[topic], lock_step and topic not in FOREIGN)
    if TOPICS[topic].qos == "sensor" and not lock_step:
        profile.reliability = ReliabilityPolicy.BEST_EFFORT
    return profile


def kept_qos(topic: str) -> QoSProfile:
    """What a publisher offers that tells something once: who joins later hears it too."""
    profile = _profile(TOPICS[topic], lock_step=False)
    profile.durability = DurabilityPolicy.TRANSIENT_LOCAL
    return profile


def latched_qos(topic: str) -> QoSProfile:
    """Asks for what was published before the subscription as well."""
    profile = _profile(TOPICS[topic], lock_step=False)
    profile.durability = DurabilityPolicy.TRANSIENT_LOCAL
    return profile


def loose_qos(topic: str) -> QoSProfile:
    """Asks for what is sent as best effort as well."""
    profile = _profile(TOPICS[topic], lock_step=False)
    profile.reliability = ReliabilityPolicy.BEST_EFFORT
    return profile


def _profile(topic: Topic, lock_step: bool) -> QoSProfile:
    if topic.name == "clock":  # as rclpy asks for it; a moment that has passed interests nobody
        return QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=LOCK_STEP_DEPTH if lock_step and topic.name != "camera/image_raw" else DEPTH[topic.qos],
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if lock_step else DurabilityPolicy.VOLATILE,
    )


def deserialise(data: bytes, kind: str) -> Any:
    """The message of the type ``kind`` whose serialised form is ``data``.

    Raises:
        MessageError: it is none; whoever is in the domain may send any bytes.
    """
    try:
        return deserialize_message(data, message_class(kind))
    except RuntimeError as error:  # the middleware's
        raise MessageError(f"{len(data)} bytes that are no whole {kind}") from error


def read(topic: str, data: bytes, kind: str = "") -> Any:
    """The record in a serialised message of ``topic``, of the type ``kind`` where that is not the table's.

    Raises:
        ImageError, MessageError: as ``decode``; what no picture's bytes can be is one of these too.
    """
    kind = kind or TOPICS[topic].type
    if topic == PICTURES:
        return decode(topic, VIEWS[kind](data))
    return decode(topic, deserialise(data, kind))
