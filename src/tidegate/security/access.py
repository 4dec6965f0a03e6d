# SPDX-License-Identifier: Apache-2.0
"""The access control policy of SROS 2 that the node graph needs, and nothing beyond it.

The form is that of the ``ros2 security`` tools, version 0.2.0 (ROS 2 design, "ROS 2 Access Control Policies").
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree

from tidegate.messages.graph import GRAPH, LIFECYCLE, SIMULATED, Interface

VERSION = "0.2.0"
EVERY_PUBLISHES = ("/rosout", "/parameter_events")
EVERY_SERVES = (
    "~/describe_parameters",
    "~/get_parameter_types",
    "~/get_parameters",
    "~/get_type_description",
    "~/list_parameters",
    "~/set_parameters",
    "~/set_parameters_atomically",
)
ONLOOKER_PUBLISHES, ONLOOKER_SERVES = ("/parameter_events",), ("~/get_type_description",)
LIFECYCLE_SERVES = (
    "~/change_state",
    "~/get_available_states",
    "~/get_available_transitions",
    "~/get_state",
    "~/get_transition_graph",
)
OPERATOR = Interface(calls=("safety_node/stop", "safety_node/reset"))
"""A person with ``ros2 service call``."""


def enclave(node: str) -> str:
    """The security enclave of a node's process. ``ros2 launch`` takes none by argument and is in the root enclave."""
    return "/" if node == "launch_ros" else f"/tidegate/{node}"


def access_policy(namespace: str = "/", simulation: bool = False) -> str:
    """The policy as XML, one enclave per process.

    Args:
        namespace: of the nodes and topics.
        simulation: with the simulator's node, and with simulated time for all.
    """
    root = ElementTree.Element("policy", version=VERSION)
    enclaves = ElementTree.SubElement(root, "enclaves")
    for node in (*GRAPH, "operator"):
        if simulation or node != "simulator_node":
            path = "/" if node == "launch_ros" else namespace
            profile = _profile(enclaves, node, path)
            for (kind, right), names in _rights(node, simulation).items():
                _allow(profile, kind, right, names)
    ElementTree.indent(root)
    return "\n".join(("<?xml version='1.0' encoding='UTF-8'?>", ElementTree.tostring(root, "unicode"), ""))


def _rights(node: str, simulation: bool) -> dict[tuple[str, str], Iterable[str]]:
    """Names by kind and right."""
    own, lifecycle = GRAPH.get(node, OPERATOR), node in LIFECYCLE
    publishes, subscribes, calls = own.publishes, own.subscribes, own.calls
    if lifecycle:
        publishes = ("~/transition_event", *publishes)
        subscribes = (*subscribes, "clock")
    if not simulation:
        publishes = _robots(publishes)
        subscribes = subscribes if own.onlooker else _robots(subscribes)  # these ask whether there is a clock
        calls = tuple(name for name in calls if not name.startswith("simulator_node/"))
        subscribes = tuple(name for name in subscribes if not name.startswith("simulator_node/"))
    every = (ONLOOKER_PUBLISHES, ONLOOKER_SERVES) if own.onlooker else (EVERY_PUBLISHES, EVERY_SERVES)
    return {
        ("topics", "publish"): (*every[0], *publishes),
        ("topics", "subscribe"): subscribes,
        ("services", "reply"): (*every[1], *(LIFECYCLE_SERVES if lifecycle else ()), *own.serves),
        ("services", "request"): calls,
    }


def _robots(topics: Iterable[str]) -> tuple[str, ...]:
    """Without what only a simulator makes."""
    return tuple(topic for topic in topics if topic not in SIMULATED)


def _profile(enclaves: ElementTree.Element, node: str, namespace: str) -> ElementTree.Element:
    place = ElementTree.SubElement(enclaves, "enclave", path=enclave(node))
    return ElementTree.SubElement(ElementTree.SubElement(place, "profiles"), "profile", ns=namespace, node=node)


def _allow(profile: ElementTree.Element, kind: str, right: str, names: Iterable[str]) -> None:
    """One list of the schema, which may not be empty."""
    listed = sorted(set(names))
    if listed:
        element = ElementTree.SubElement(profile, kind, {right: "ALLOW"})
        for name in listed:
            ElementTree.SubElement(element, kind.removesuffix("s")).text = name
