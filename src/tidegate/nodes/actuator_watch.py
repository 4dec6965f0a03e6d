# SPDX-License-Identifier: Apache-2.0
"""Who else is on the actuators' topics: a rival that commands them, or nobody that obeys."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.node import Node

from tidegate.messages.rates import OUTPUTS
from tidegate.nodes.topics import rivals, ros_name
from tidegate.settings import Settings


def commands(settings: Settings) -> tuple[str, ...]:
    """The topics on which the actuators are commanded."""
    return ("command", *OUTPUTS[settings.vehicle.output])


def actuator_faults(node: Node, settings: Settings) -> tuple[str, ...]:
    """What is wrong with the topics that ``node`` commands, in words; empty = one master, and somebody listens."""
    return topic_faults(node, commands(settings))


def topic_faults(node: Node, topics: Sequence[str]) -> tuple[str, ...]:
    """The same, of the ``topics`` that it commands."""
    faults = []
    for topic in topics:
        if others := rivals(node, topic):
            faults.append(f"'{topic}' is published by {', '.join(others)} too")
    if not any(node.count_subscribers(ros_name(topic)) for topic in topics):
        faults.append("nobody listens to the commands")
    return tuple(faults)
