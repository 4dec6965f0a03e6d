# SPDX-License-Identifier: Apache-2.0
"""What the checks are told: of this machine, of its ROS, of the running graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class RosFacts:
    """The ROS that Python finds: ``rclpy`` its version, ``rmw`` the middleware; ``absent`` why there is none."""

    rclpy: str = ""
    rmw: str = ""
    absent: str = ""


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """This machine.

    Attributes:
        environment: of the process.
        here: its working folder, where Fast DDS looks for a profile of its own.
        shared_memory: size of ``/dev/shm`` [B]; None = there is none.
        left_over: segments there of Fast DDS whose process is no more.
        receive_buffer: most that a socket may hold [B]; None = the system does not tell.
        folder, free: where bags would go, and the space left there [B].
        governors: of the processors; empty = the system does not tell.
        priority_refused: why real-time priority ``priority`` is not granted; empty = it is.
        graphics: why the simulator gets no picture; empty = it does. None = there is no simulator here.
    """

    environment: Mapping[str, str]
    here: Path
    shared_memory: int | None
    left_over: int
    receive_buffer: int | None
    folder: Path
    free: int
    governors: frozenset[str]
    priority: int
    priority_refused: str
    graphics: str | None


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """One topic of the graph, watched for a while.

    Attributes:
        name: absolute name, where it is a driver's own.
        publishers, subscribers: full names of the nodes, this one excepted.
        types: what is published there.
        count: messages that came; ``rate_hz`` by their stamps; NaN = fewer than two.
        behind_s: how far the stamps are behind the clock [s]: the least delay in real time, where more is transport,
            and newest against newest in simulated time; NaN = no stamps.
        mismatched: pairs whose quality of service does not match, in words.
        largest: bytes of the largest message.
        record: the newest record, where it is looked at; ``fault`` why it cannot be read.
        course: all records that came, where their course is looked at.
    """

    name: str = ""
    publishers: tuple[str, ...] = ()
    subscribers: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    count: int = 0
    rate_hz: float = float("nan")
    behind_s: float = float("nan")
    mismatched: tuple[str, ...] = ()
    largest: int = 0
    record: Any = None
    fault: str = ""
    course: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """The graph.

    Attributes:
        domain: it was looked for in; ``namespace`` likewise.
        nodes: full names of all others.
        states: lifecycle state by the stack's node that is there; '' = it does not answer.
        simulated: the time comes from ``/clock``.
        topics: by relative name.
        elsewhere: domains in which nodes of this package run on this machine.
        controlled: joints that the ``effort_controller`` drives, in its order; None = there is none that says so.
        segments: shared memory [B] of the nodes that publish the camera's images, where it is known.
        pictures: type by absolute name of the topics of pictures that are not the stack's, whoever publishes them.
    """

    domain: str
    namespace: str
    nodes: tuple[str, ...]
    states: Mapping[str, str] = field(default_factory=dict)
    simulated: bool = False
    topics: Mapping[str, TopicFacts] = field(default_factory=dict)
    elsewhere: frozenset[str] = frozenset()
    controlled: tuple[str, ...] | None = None
    segments: Mapping[str, int] = field(default_factory=dict)
    pictures: Mapping[str, str] = field(default_factory=dict)
