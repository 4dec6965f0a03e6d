# SPDX-License-Identifier: Apache-2.0
"""How evenly the safety node ticks: its own process, real time, inputs over DDS, every core kept busy by others.

The robot's graph is up; perception and policy idle, for what they would publish is fed with the sensors. Two gaps are
told: between the stamps of commands (when the node ticked), and between their arrivals at a listener above it.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
from common import MODEL, SETTINGS, Aim, add_check, judge, policy, save
from feed import feed
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message

from tidegate.messages import TOPICS, stamp_of
from tidegate.nodes.bringup import Graph
from tidegate.nodes.graph_options import GraphOptions
from tidegate.nodes.priority import real_time
from tidegate.nodes.topics import message_class, offered_qos, read
from tidegate.records import Mode

LISTENER_PRIORITY = 80
WARM_S = 12.0
"""Until the car drives steadily."""
PATIENCE_S = 60.0
LIMIT_MS = 25.0
QUANTILES = {"median": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


def busy(ended: Event) -> None:
    """Use a core up."""
    while not ended.is_set():
        sum(range(100_000))


class Listener:
    """Arrivals and stamps [ns] of every command, and the modes of every tick."""

    def __init__(self, graph: Graph) -> None:
        self.arrived: list[int] = []
        self.stamps: list[int] = []
        self.modes: list[Mode] = []
        self._class = message_class(TOPICS["command"].type)
        # deep, so that nothing is lost here that the node has sent
        graph.node.create_subscription(self._class, "command", self._command, QoSProfile(depth=1000), raw=True)
        states = message_class(TOPICS["safety_node/barriers"].type), "safety_node/barriers"
        graph.node.create_subscription(*states, self._state, offered_qos(states[1], lock_step=False), raw=True)

    def _command(self, data: bytes) -> None:
        self.arrived.append(time.monotonic_ns())
        self.stamps.append(stamp_of(deserialize_message(data, self._class)))

    def _state(self, data: bytes) -> None:
        self.modes.append(read("safety_node/barriers", data).mode)

    def forget(self) -> None:
        """Begin to count."""
        self.arrived, self.stamps, self.modes = [], [], []


@contextmanager
def company(settings: str) -> Iterator[tuple[Event, dict[str, int]]]:
    """The feeding process and one busy process per core; what makes the car go, and their process ids."""
    context = get_context("spawn")
    go, ended = context.Event(), context.Event()
    made = {f"busy {core}": context.Process(target=busy, args=(ended,)) for core in range(os.cpu_count() or 1)}
    made["feed"] = context.Process(target=feed, args=(settings, go, ended))
    try:
        for process in made.values():
            process.start()
        yield go, {name: process.pid or 0 for name, process in made.items()}
    finally:
        ended.set()
        for process in made.values():
            process.join(10.0)


def gaps(times: list[int]) -> dict[str, float]:
    """Quantiles [ms] of the gaps between ``times`` [ns], and how many are over the limit."""
    found = np.diff(times) / 1e6
    told = {name: float(np.quantile(found, share)) for name, share in QUANTILES.items()}
    return told | {"count": len(found), "over_limit": int((found > LIMIT_MS).sum())}


def stolen() -> float:
    """Time [s] that a hypervisor has given to others, over all cores; no priority helps against it."""
    fields = Path("/proc/stat").read_text("utf-8").split("\n", 1)[0].split()
    return int(fields[8]) / os.sysconf("SC_CLK_TCK")


def measure(minutes: float) -> dict[str, Any]:
    """Drive for so long, and say how it went.

    Raises:
        GraphError: the graph did not come up, or a node died.
        RuntimeError: the car was never released.
    """
    options = GraphOptions(MODEL, Path(SETTINGS), simulate=False)
    log: list[str] = []

    def said(node: str, _level: str, text: str) -> None:
        if node == "safety_node":
            log.append(text)

    with company(SETTINGS) as (go, others), Graph(options, said) as graph:
        listener = Listener(graph)
        with suppress(OSError):  # the table tells
            real_time(LISTENER_PRIORITY)
        end = time.monotonic() + PATIENCE_S
        while Mode.NORMAL not in listener.modes[-1:]:
            graph.spin(0.1)
            if time.monotonic() > end:
                raise RuntimeError(f"the car was not released within {PATIENCE_S:g} s")
        go.set()
        graph.spin(WARM_S)
        pids = {"safety_node": graph.children["safety_node"].pid, "listener": os.getpid(), **others}
        policies = {name: policy(pid) for name, pid in pids.items()}
        listener.forget()
        log.clear()
        before = stolen()
        graph.spin(60 * minutes)
        rate = graph.settings.safety.rate_hz
        return {
            "minutes": minutes,
            "rate_hz": rate,
            "limit_ms": LIMIT_MS,
            "stolen_s": stolen() - before,
            "policies": policies,
            "ticks": gaps(listener.stamps),
            "arrivals": gaps(listener.arrived),
            "normal": listener.modes.count(Mode.NORMAL) / len(listener.modes),
            "log": log.copy(),
        }


def aims(figures: dict[str, Any]) -> Iterator[Aim]:
    """With both cores loaded."""
    yield Aim("duration [min]", figures["minutes"], least=10.0)
    yield Aim("share of the ticks in NORMAL", figures["normal"], least=0.99)
    yield Aim(f"gaps of ticks over {LIMIT_MS:g} ms", figures["ticks"]["over_limit"], most=0)


def main(arguments: list[str] | None = None) -> None:
    """Measure and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    add_check(parser)
    chosen = parser.parse_args(arguments)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"  # made-up sensors must not reach a robot
    figures = measure(chosen.minutes)
    print(save("jitter", figures), figures)
    judge(aims(figures), chosen.check)


if __name__ == "__main__":
    main()
