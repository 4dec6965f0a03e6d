# SPDX-License-Identifier: Apache-2.0
"""Drive with the real graph for a while, watch it, and say how it went."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tidegate.messages import TOPICS
from tidegate.nodes.bringup import Graph
from tidegate.nodes.graph_options import GraphOptions
from tidegate.nodes.topics import message_class, offered_qos, read, ros_name
from tidegate.records import ArmSafetyState, Mode, SafetyState, Values, seconds
from tidegate.settings import Settings

WATCH_PERIOD_S = 0.1
STOPPED_S = 3.0
"""A car that was driving and is STOPPED for this long will not drive on by itself."""
PROBLEMS = ("WARN", "ERROR", "FATAL")


@dataclass(frozen=True, slots=True)
class Status:
    """How the drive stands: times [s] simulated or real, ``distance`` and ``goal`` [m], ``speed`` [m/s]."""

    elapsed: float
    mode: Mode | None
    distance: float
    goal: float
    speed: float


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What came of it.

    Attributes:
        end: ``goal``, ``contact``, ``off road``, ``duration``, ``stopped`` or ``interrupted``.
        standing: the safety filter saw the car stand at the end.
        duration: driven time [s], by the stamps; ``wall`` [s] that it took.
        distance, goal: [m]; NaN without the simulator.
        frames: frames that the simulator sent (real time only).
        latency_ms: of every frame, from rendered to the first command that used it published (real time only).
        pss_mb: largest proportional memory of each node [MB].
        problems: what the nodes warned of, one line each.
        done: whether an arm has done what its scene wants; None = nothing is wanted, or the simulator is not ours.
    """

    end: str
    standing: bool
    duration: float
    wall: float
    distance: float
    goal: float
    frames: int
    latency_ms: tuple[float, ...]
    pss_mb: dict[str, float]
    problems: tuple[str, ...]
    done: bool | None = None


def run_graph(
    options: GraphOptions,
    *,
    duration_s: float = float("inf"),
    until_goal: bool = False,
    told: Callable[[Status], None] = lambda status: None,
    warned: Callable[[str], None] = lambda line: None,
) -> RunSummary:
    """Bring the graph up, drive until the goal, the time, a stop for good or a signal, and bring it down safely.

    Args:
        options: what to bring up.
        duration_s: longest drive [s], by the stamps: simulated time in lock-step.
        until_goal: end at the scene's goal, or when the lap is lost.
        told: called about ten times a second.
        warned: called with each line that a node warns of.

    Raises:
        GraphError: the graph did not come up, or a node ended by itself; the car was braked as far as could be.
        SettingsError: the settings are refused.
    """
    problems: list[str] = []
    watch = Watch()
    end = "interrupted"

    def said(node: str, level: str, text: str) -> None:
        if level in PROBLEMS:
            problems.append(f"{node}: {text}")
            if watch.begun:  # before, an error ends the bring-up and is told by it
                warned(problems[-1])

    with signals_counted() as interrupted:
        try:
            with Graph(options, said, interrupted) as graph:
                watch.begin(graph, options.lock_step)
                while not interrupted():
                    graph.spin(WATCH_PERIOD_S)
                    watch.weigh(graph)
                    told(watch.status())
                    found = watch.end(duration_s, until_goal)
                    if found:
                        end = found
                        break
        except KeyboardInterrupt:
            pass
    return watch.summary(end, tuple(problems))


@contextmanager
def signals_counted() -> Iterator[Callable[[], bool]]:
    """Within, SIGINT and SIGTERM only make the yielded function true. Outside the main thread nothing is changed."""
    seen: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda number, _frame: seen.append(number)) for number in numbers}
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Watch:
    """What the parent of a graph sees of it; messages stay undecoded until they are looked at."""

    def __init__(self) -> None:
        self._off_road_s = float("inf")
        self.begun = False
        self._newest: dict[str, bytes] = {}
        self._rendered: dict[int, float] = {}
        self._commanded: dict[int, float] = {}
        self._pss: dict[str, float] = {}
        self._weighed = 0.0
        self._first: int | None = None
        self._first_wall = self._last_wall = 0.0
        self._last = 0
        self._driven = False
        self._stopped_since: int | None = None
        self._off_since: int | None = None
        self._mode: Mode | None = None
        self._truth: dict[str, float] = {}

    def begin(self, graph: Graph, lock_step: bool) -> None:
        """Listen to the nodes of ``graph``."""
        self.begun = True
        if isinstance(graph.settings, Settings):
            self._off_road_s = graph.settings.evaluation.off_road_s
        self._listen(graph, "safety_node/barriers", lock_step, self._keep)
        self._listen(graph, "timing/commanded", lock_step, self._timed(self._commanded))
        if graph.options.simulate:
            self._listen(graph, "truth", lock_step, self._keep)
            self._listen(graph, "timing/rendered", lock_step, self._timed(self._rendered))

    def _listen(self, graph: Graph, topic: str, lock_step: bool, heard: Callable[[str, bytes], None]) -> None:
        kind, profile = message_class(TOPICS[topic].type), offered_qos(topic, lock_step)
        graph.node.create_subscription(kind, ros_name(topic), lambda data: heard(topic, data), profile, raw=True)

    def _keep(self, topic: str, data: bytes) -> None:
        self._newest[topic] = data

    def _timed(self, times: dict[int, float]) -> Callable[[str, bytes], None]:
        def heard(topic: str, data: bytes) -> None:
            values: Values = read(topic, data)
            times.setdefault(values.stamp, values.values["steady"])

        return heard

    def weigh(self, graph: Graph) -> None:
        """Look at the memory of every node about once a second."""
        if time.monotonic() - self._weighed > 1.0:
            self._weighed = time.monotonic()
            for name, child in graph.children.items():
                child.weigh()
                self._pss[name] = child.pss_mb

    def status(self) -> Status:
        """Decode the newest of what was heard."""
        state: SafetyState | ArmSafetyState | None = self._read("safety_node/barriers")
        if state is not None:
            if self._first is None:
                self._first, self._first_wall = state.stamp, time.monotonic()
            self._last, self._last_wall, self._mode = state.stamp, time.monotonic(), state.mode
            self._driven = self._driven or state.mode == Mode.NORMAL
            stopped = self._driven and state.mode == Mode.STOPPED
            self._stopped_since = (self._stopped_since or state.stamp) if stopped else None
        truth: Values | None = self._read("truth")
        if truth is not None:
            self._truth = truth.values
            self._off_since = (self._off_since or truth.stamp) if truth.values.get("wheels_off") else None
        nan = float("nan")
        return Status(
            self._elapsed(), self._mode, *(self._truth.get(name, nan) for name in ("distance", "goal", "speed"))
        )

    def end(self, duration_s: float, until_goal: bool) -> str:
        """Why the drive is over; empty = it is not."""
        if until_goal and self._truth:
            if self._truth["distance"] >= self._truth["goal"]:
                return "goal"
            if self._truth["contacts"]:
                return "contact"
            if self._off_since is not None and seconds(self._last - self._off_since) > self._off_road_s:
                return "off road"
        if self._stopped_since is not None and seconds(self._last - self._stopped_since) > STOPPED_S:
            return "stopped"
        return "duration" if self._elapsed() >= duration_s else ""

    def summary(self, end: str, problems: tuple[str, ...]) -> RunSummary:
        """The drive in figures."""
        duration = self._elapsed()
        status = self.status()
        both = sorted(set(self._rendered) & set(self._commanded))
        latency = tuple((self._commanded[stamp] - self._rendered[stamp]) / 1e6 for stamp in both)
        standing = status.mode in (Mode.STOPPED, None)
        return RunSummary(
            end,
            standing,
            duration,
            self._last_wall - self._first_wall,
            status.distance,
            status.goal,
            len(self._rendered),
            latency,
            self._pss,
            problems,
            bool(self._truth["done"]) if "done" in self._truth else None,
        )

    def _elapsed(self) -> float:
        return 0.0 if self._first is None else seconds(self._last - self._first)

    def _read(self, topic: str) -> Any:
        data = self._newest.pop(topic, None)
        return None if data is None else read(topic, data)
