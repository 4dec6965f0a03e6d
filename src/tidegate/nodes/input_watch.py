# SPDX-License-Identifier: Apache-2.0
"""Who publishes what a node listens to: one source for each topic, of the type that it must have."""

from __future__ import annotations

from collections.abc import Mapping

from rclpy.node import Node

from tidegate.nodes.topics import publishers


def input_faults(node: Node, heard: Mapping[str, str]) -> tuple[str, ...]:
    """What is wrong with who publishes the topics that ``node`` hears, in words: ``heard`` is their types by name. Of
    two sources the newer word would count by turns; of another type nothing arrives."""
    faults = []
    for name, kind in heard.items():
        offered = node.get_publishers_info_by_topic(name)
        if len(offered) > 1:
            faults.append(f"{name} is published by {' and by '.join(sorted(publishers(node, name)))}")
        if others := sorted({info.topic_type for info in offered} - {kind}):
            faults.append(f"{name} is {' and '.join(others)}; it must be {kind}")
    return tuple(faults)
