# SPDX-License-Identifier: Apache-2.0
"""The access control policy of SROS 2 that the node graph needs, and nothing beyond it.

The form is that of the ``ros2 security`` tools, version 0.2.0 (ROS 2 design, "ROS 2 Access Control Policies").
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal
from xml.etree import ElementTree

from tidegate.errors import SettingsError
from tidegate.messages import PICTURES, published_as
from tidegate.messages.graph import GRAPH, LIFECYCLE, SIMULATED, Interface

Time = Literal["system", "simulator", "shared"]
"""Where the nodes take it from: the system's clock, the embedded simulator's inside their namespace, or a ``/clock``
outside of any, which Gazebo or a played bag tells."""

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
TOOLS = {"launch_ros": "launch_ros_*", "operator": "_ros2cli_requester_std_srvs_Trigger"}
"""Processes of ROS's own tools and how they call their nodes, which no argument moves into a namespace. ``ros2 launch``
puts its process number in the place of the asterisk; permissions are matched as POSIX ``fnmatch`` does."""
ONLY: dict[str, Time] = {"simulator_node": "simulator", "player_node": "shared"}
"""Nodes that feign sensors have no rights where none are to be feigned."""
NAMESPACE = re.compile(r"(/[A-Za-z_]\w*)*", re.ASCII)


def enclave(node: str) -> str:
    """The security enclave of a node's process. ``ros2 launch`` takes none by argument and is in the root enclave."""
    return "/" if node == "launch_ros" else f"/tidegate/{node}"


def access_policy(namespace: str = "/", time: Time = "system", camera: str = PICTURES) -> str:
    """The policy as XML, one enclave per process.

    Args:
        namespace: of the nodes and topics.
        time: where the nodes take it from; the simulator's node comes with its clock, the player's with a shared one.
        camera: where the robot's driver publishes pictures; who feigns sensors does it under our own names.

    Raises:
        SettingsError: no such namespace can be.
    """
    space = "/".join(("", *filter(None, namespace.split("/"))))
    if not NAMESPACE.fullmatch(space):
        raise SettingsError(f"namespace is '{namespace}'; it must be letters, digits and _ between slashes")
    root = ElementTree.Element("policy", version=VERSION)
    enclaves = ElementTree.SubElement(root, "enclaves")
    for node in (*GRAPH, "operator"):
        if ONLY.get(node, time) == time:
            place = ElementTree.SubElement(enclaves, "enclave", path=enclave(node))
            where = {"ns": "/", "node": TOOLS[node]} if node in TOOLS else {"ns": space or "/", "node": node}
            profile = ElementTree.SubElement(ElementTree.SubElement(place, "profiles"), "profile", where)
            for (kind, right), names in _rights(node, time).items():
                if node not in ONLY and kind == "topics":
                    names = [published_as(name, camera) for name in names]
                _allow(profile, kind, right, [f"{space}/{name}" if _foreign(node, name) else name for name in names])
    ElementTree.indent(root)
    return "\n".join(("<?xml version='1.0' encoding='UTF-8'?>", ElementTree.tostring(root, "unicode"), ""))


def _foreign(node: str, name: str) -> bool:
    """Whether ``node``, which is in no namespace, means a name of the graph, which is in one."""
    return node in TOOLS and name[0] not in "~/"


def _rights(node: str, time: Time) -> dict[tuple[str, str], Iterable[str]]:
    """Names by kind and right."""
    own, lifecycle = GRAPH.get(node, OPERATOR), node in LIFECYCLE
    every = (ONLOOKER_PUBLISHES, ONLOOKER_SERVES) if own.onlooker else (EVERY_PUBLISHES, EVERY_SERVES)
    managed = ("~/transition_event",), ("clock",), LIFECYCLE_SERVES
    more = managed if lifecycle else ((), (), ())
    rights: dict[tuple[str, str], Iterable[str]] = {
        ("topics", "publish"): (*every[0], *more[0], *own.publishes),
        ("topics", "subscribe"): (*more[1], *own.subscribes),
        ("services", "reply"): (*every[1], *more[2], *own.serves),
        ("services", "request"): own.calls,
    }
    return {right: _there(names, own.onlooker, time) for right, names in rights.items()}


def _there(names: Iterable[str], onlooker: bool, time: Time) -> list[str]:
    """Without what only the simulator has, and each clock where it is.

    Onlookers ask within their namespace whether there is a clock.
    """
    clock = {"system": [], "simulator": ["clock"], "shared": ["/clock"]}[time]
    found = []
    for name in names:
        if name == "clock":
            found += ["clock"] if onlooker else clock
        elif time == "simulator" or not (name in SIMULATED or name.startswith("simulator_node/")):
            found.append(name)
    return found


def _allow(profile: ElementTree.Element, kind: str, right: str, names: Iterable[str]) -> None:
    """One list of the schema, which may not be empty."""
    listed = sorted(set(names))
    if listed:
        element = ElementTree.SubElement(profile, kind, {right: "ALLOW"})
        for name in listed:
            ElementTree.SubElement(element, kind.removesuffix("s")).text = name
