# SPDX-License-Identifier: Apache-2.0
"""What an SROS 2 policy grants, read by the rules of its design, and what live nodes are seen to have."""

from __future__ import annotations

import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any
from xml.etree import ElementTree

import rclpy
from rclpy.signals import SignalHandlerOptions

Rights = dict[str, set[str]]
KINDS = ("publish", "subscribe", "reply", "request")
PATIENCE_S = 30.0


def rights(policy: str) -> dict[str, Rights]:
    """Full names by right, by enclave."""
    found = {}
    for place in ElementTree.fromstring(policy).iter("enclave"):
        (profile,) = place.iter("profile")
        space, node = profile.attrib["ns"].rstrip("/"), profile.attrib["node"]
        allowed: Rights = {kind: set() for kind in KINDS}
        for listed in profile:
            ((right, verdict),) = listed.attrib.items()
            assert verdict == "ALLOW"
            for name in (item.text or "" for item in listed):
                own = f"{space}/{node}{name[1:]}" if name[0] == "~" else f"{space}/{name}"
                allowed[right].add(name if name[0] == "/" else own)
        found[place.attrib["path"]] = allowed
    return found


def dds_names(allowed: Rights) -> tuple[set[str], set[str]]:
    """The topics of DDS that an enclave may write and read, as rmw names them."""
    says = {
        *(f"rt{name}" for name in allowed["publish"]),
        *(f"rr{name}Reply" for name in allowed["reply"]),
        *(f"rq{name}Request" for name in allowed["request"]),
    }
    hears = {
        *(f"rt{name}" for name in allowed["subscribe"]),
        *(f"rq{name}Request" for name in allowed["reply"]),
        *(f"rr{name}Reply" for name in allowed["request"]),
    }
    return says, hears


def nothing() -> Rights:
    return {kind: set() for kind in KINDS}


def united(*some: Rights) -> Rights:
    return {kind: set().union(*(one[kind] for one in some)) for kind in KINDS}


def without(some: Rights, absent: set[str]) -> Rights:
    return {kind: names - absent for kind, names in some.items()}


def beyond(seen: Rights, allowed: Rights) -> Rights:
    """What is had and not allowed; names in a policy are patterns."""
    return {
        kind: {name for name in seen[kind] if not any(fnmatchcase(name, one) for one in allowed[kind])}
        for kind in KINDS
    }


def unused(seen: Rights, allowed: Rights) -> Rights:
    """What is allowed and not had."""
    return {
        kind: {one for one in allowed[kind] if not any(fnmatchcase(name, one) for name in seen[kind])} for kind in KINDS
    }


class Observer:
    """A participant of its own that asks the live graph of ``domain``; None = of this process."""

    def __init__(self, domain: int | None = None) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context, args=[], signal_handler_options=SignalHandlerOptions.NO, domain_id=domain)
        self.node: Any = rclpy.create_node("observer", context=self.context)
        self._ask = {
            "publish": self.node.get_publisher_names_and_types_by_node,
            "subscribe": self.node.get_subscriber_names_and_types_by_node,
            "reply": self.node.get_service_names_and_types_by_node,
            "request": self.node.get_client_names_and_types_by_node,
        }

    def names(self) -> dict[str, str]:
        """The enclave by full name of the node."""
        found = self.node.get_node_names_and_namespaces_with_enclaves()
        return {f"{space.rstrip('/')}/{name}": place for name, space, place in found}

    def sees(self, node: str) -> Rights:
        """What the node of this full name has; all empty while it is not known."""
        space, _, name = node.rpartition("/")
        if node not in self.names():
            return nothing()
        try:
            return {kind: {found for found, _ in ask(name, space or "/")} for kind, ask in self._ask.items()}
        except RuntimeError:  # it has just gone
            return nothing()

    def until(self, node: str, wanted: Callable[[Rights], bool]) -> Rights:
        """What it has once it is as ``wanted``, or when patience ends."""
        end = time.monotonic() + PATIENCE_S
        while not wanted(self.sees(node)) and time.monotonic() < end:
            time.sleep(0.05)
        return self.sees(node)

    def close(self) -> None:
        self.node.destroy_node()
        rclpy.try_shutdown(context=self.context)
