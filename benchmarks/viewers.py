# SPDX-License-Identifier: Apache-2.0
"""What those who look on cost the path from camera to command: the live graph, looked at and not, by turns.

Looked at are the topics that are for insight. ``saliency_node`` and ``markers_node`` are there all the time and work
only then. Turns are as long by the stamps, so that a machine that is slower than real time has as many frames in each.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

from common import MODEL, SETTINGS, Aim, add_check, judge, ratio, save, spread, table

from tidegate.messages import TOPICS
from tidegate.nodes.bringup import Graph
from tidegate.nodes.children import Child, parameter_flags
from tidegate.nodes.graph_options import GraphOptions
from tidegate.nodes.topics import message_class, offered_qos, read, ros_name
from tidegate.records import seconds

LOOKED_AT = ("saliency", "markers", "neurons", "gains", "safety_node/barriers", "safety_node/inputs")
STACK = ("perception_node", "policy_node", "safety_node")
WARM_S, SETTLE_S = 10.0, 1.0
"""By the stamps: until the car drives, and after each change of who looks."""
PATIENCE_S = 120.0
"""No turn may take longer by the clock."""
SIDES = "alone", "looked at"


class Frames:
    """When each frame was rendered and its first command was out [ns], by its stamp."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._times: dict[str, dict[int, float]] = {"timing/rendered": {}, "timing/commanded": {}}
        for topic, times in self._times.items():
            listen(graph, topic, lambda data, topic=topic, times=times: self._keep(topic, times, data))

    def _keep(self, topic: str, times: dict[int, float], data: bytes) -> None:
        values = read(topic, data)
        times.setdefault(values.stamp, values.values["steady"])

    def drive(self, lasts_s: float) -> list[float]:
        """Camera to command [ms] of the frames of the next ``lasts_s`` [s], by the stamps.

        Raises:
            RuntimeError: they did not come.
        """
        for times in self._times.values():
            times.clear()
        rendered, commanded = self._times.values()
        end = time.monotonic() + PATIENCE_S
        while not rendered or seconds(max(rendered) - min(rendered)) < lasts_s:
            self._graph.spin(0.05)
            if time.monotonic() > end:
                raise RuntimeError(f"{len(rendered)} frames in {PATIENCE_S:g} s; {lasts_s:g} s of them were waited for")
        return [(commanded[stamp] - rendered[stamp]) / 1e6 for stamp in sorted(set(rendered) & set(commanded))]


def listen(graph: Graph, topic: str, heard: Callable[[bytes], None]) -> Any:
    """A subscription with the quality that is offered."""
    kind, profile = message_class(TOPICS[topic].type), offered_qos(topic, lock_step=False)
    return graph.node.create_subscription(kind, ros_name(topic), heard, profile, raw=True)


@contextmanager
def viewers() -> Iterator[None]:
    """The nodes for viewers."""
    own: dict[str, dict[str, object]] = {"saliency_node": {"bundle": str(MODEL)}, "markers_node": {}}
    nodes = [
        Child(name, ["--params-file", SETTINGS, *parameter_flags(values)], lambda *_: None)
        for name, values in own.items()
    ]
    try:
        yield
    finally:
        for node in nodes:
            node.ask_to_stop()
        for node in nodes:
            node.end()


def processor_ms(pid: int) -> float:
    """Processor time of a process [ms], all of its threads."""
    return sum(int(file.read_text().split()[0]) for file in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e6


def turn(graph: Graph, frames: Frames, lasts_s: float, *, looked_at: bool) -> dict[str, Any]:
    """One turn: frames, their median latency [ms], and the processor time of each node per frame [ms]."""
    shown: Counter[str] = Counter()
    topics = LOOKED_AT if looked_at else ()
    looking = [listen(graph, topic, lambda _data, topic=topic: shown.update([topic])) for topic in topics]
    frames.drive(SETTLE_S)
    before = {name: processor_ms(child.pid) for name, child in graph.children.items()}
    latency = frames.drive(lasts_s)
    spent = {name: (processor_ms(child.pid) - before[name]) / len(latency) for name, child in graph.children.items()}
    for one in looking:
        graph.node.destroy_subscription(one)
    return {"frames": len(latency), "latency_ms": statistics.median(latency), "processor_ms": spent, "shown": shown}


def compared(turns: list[dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """The medians of both sides, and how many times that alone it takes looked at, pair by pair."""
    measures: dict[str, Callable[[dict[str, Any]], float]] = {
        "latency": lambda one: one["latency_ms"],
        "stack": lambda one: sum(one["processor_ms"][name] for name in STACK),
        **{name: lambda one, name=name: one["processor_ms"][name] for name in (*STACK, "simulator_node")},
    }
    return {
        name: {side: statistics.median(of(pair[side]) for pair in turns) for side in SIDES}
        | spread(of(pair["looked at"]) / of(pair["alone"]) for pair in turns)
        for name, of in measures.items()
    }


def aims(figures: dict[str, Any]) -> Iterator[Aim]:
    """Below 2 % of the latency."""
    yield Aim("latency looked at, times that alone", figures["compared"]["latency"]["ratio"], most=1.02)
    yield Aim("processor time of the stack, times that alone", figures["compared"]["stack"]["ratio"], most=1.02)


def tell(figures: dict[str, Any]) -> str:
    """The table of docs/results.md."""
    rows = [
        (
            "camera to command" if name == "latency" else f"processor time of {name}",
            *(f"{one[side]:.2f}" for side in SIDES),
            ratio(one, ".3f"),
        )
        for name, one in figures["compared"].items()
    ]
    return (
        f"## Looked at\n\nThe live graph, {figures['pairs']} pairs of turns of {figures['seconds']:g} s; per frame "
        f"[ms], medians of the turns.\n\n{table(('what', *SIDES, 'times alone'), rows)}"
    )


def main(arguments: list[str] | None = None) -> None:
    """Drive, look and look away, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=5.0, help="of a turn, by the stamps")
    parser.add_argument("--scene", default="road")
    parser.add_argument("--seed", type=int, default=1000)
    add_check(parser)
    chosen = parser.parse_args(arguments)
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")  # viewers start before the graph sets it
    options = GraphOptions(MODEL, Path(SETTINGS), scene=chosen.scene, seed=chosen.seed)
    with Graph(options, lambda *_: None) as graph, viewers():
        frames = Frames(graph)
        frames.drive(WARM_S)
        turns = [
            {side: turn(graph, frames, chosen.seconds, looked_at=side == "looked at") for side in sides}
            for _, sides in zip(range(chosen.pairs), cycle((SIDES, SIDES[::-1])), strict=False)
        ]
    figures = {**vars(chosen), "turns": turns, "compared": compared(turns)}
    print(tell(figures))
    print(save("viewers", figures))
    judge(aims(figures), chosen.check)


if __name__ == "__main__":
    main()
