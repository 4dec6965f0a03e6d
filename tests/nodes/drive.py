# SPDX-License-Identifier: Apache-2.0
"""A graph of real processes that drives, and what its world and its safety node say of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from plant import CAR_YAML
from std_srvs.srv import Trigger

from tidegate.messages import TOPICS
from tidegate.nodes.bringup import Graph
from tidegate.nodes.graph_options import GraphOptions
from tidegate.nodes.topics import message_class, offered_qos, read
from tidegate.records import Command, Mode, SafetyState, Values
from tidegate.share import share_path

PATIENCE_S = 60.0
AT_SPEED = 5.0
"""Speed [m/s] at which a node is hit."""
SEED = 1003
DEPTH = 1000
"""Messages that may wait while this process is busy."""


class Drive:
    """A graph that drives, and what is said of it; entering ``graph`` brings it up."""

    def __init__(self, record: Path | None = None) -> None:
        self.lines: list[tuple[str, str, str]] = []
        options = GraphOptions(share_path("models/car-ltc19"), CAR_YAML, seed=SEED, record=record)
        self.graph = Graph(options, lambda *line: self.lines.append(line))
        self.truth: list[Values] = []
        self.states: list[SafetyState] = []
        self.commands: list[Command] = []

    def listen(self) -> None:
        """Keep the world's own word and the filter's state."""
        heard_of = {"truth": self.truth, "safety_node/barriers": self.states, "command": self.commands}
        for topic, kept in heard_of.items():
            kind, profile = message_class(TOPICS[topic].type), offered_qos(topic, lock_step=False)
            profile.depth = DEPTH

            def heard(data: bytes, topic: str = topic, kept: list = kept) -> None:  # type: ignore[type-arg]
                kept.append(read(topic, data))

            self.graph.node.create_subscription(kind, topic, heard, profile, raw=True)

    @property
    def speed(self) -> float:
        return abs(self.truth[-1].values["speed"]) if self.truth else 0.0

    def until(self, done: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < end, (self.speed, self.states[-1:], self.lines[-5:])
            self.graph.spin(0.05)

    def stop(self) -> None:
        """Have the car stopped, which a busy machine may take longer for than a graph that goes down waits."""
        client = self.graph.node.create_client(Trigger, "safety_node/stop")
        self.until(client.service_is_ready)
        client.call_async(Trigger.Request())
        self.until(lambda: self.states[-1].mode == Mode.STOPPED)

    def hit(self, number: int, node: str = "safety_node") -> None:
        os.kill(self.graph.children[node].pid, number)
