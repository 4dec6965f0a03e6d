# SPDX-License-Identifier: Apache-2.0
"""What a bag holds and how well it was recorded, whatever robot it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.bag.reader import BagReader
from tidegate.bag.timing import ANOTHER_CLOCK, Spread, Timing, measure
from tidegate.bag.typestore import STORE, deserialise
from tidegate.messages import decode, serialised_stamp
from tidegate.records import NANOSECONDS, UsedInputs, Values

CHAIN = ("camera/image_raw", "features", "nominal")
"""What carries the stamp of the camera frame that caused it; then comes the tick that used the last of them."""
USED, COMMAND = "safety_node/inputs", "command"
HOPS = (*pairwise((*CHAIN, COMMAND)), (CHAIN[0], COMMAND))
RENDERED, COMMANDED = "timing/rendered", "timing/commanded"
STAMPED = ("std_msgs/msg/Header", "builtin_interfaces/msg/Time")


@dataclass(frozen=True, slots=True)
class TopicSummary:
    """One topic.

    Attributes:
        name, type: absolute name, ROS type.
        count: messages that could be read.
        stated_hz: what the settings state; None = nothing.
        by_stamp: ``timing`` is by the header's stamps; else by the times of receipt.
        timing: rate, jitter, gaps and drops.
        latency: receipt less header stamp; None without stamps or where these are of another clock.
        begins_s, ends_s: from the bag's first message to this topic's first, and from its last to the bag's last [s].
    """

    name: str
    type: str
    count: int
    stated_hz: float | None
    by_stamp: bool
    timing: Timing
    latency: Spread | None
    begins_s: float
    ends_s: float


@dataclass(frozen=True, slots=True)
class BagSummary:
    """A bag.

    Attributes:
        path, storage: where, and ``mcap`` or ``sqlite3``.
        indexed: it has a ``metadata.yaml``; ``interrupted``: it was cut off; ``problems``: what is wrong, a line each.
        begins, ends: first and last receipt [ns].
        topics: by name.
        hops: latency from hop to hop, by name.
        ages: age of each input at the ticks that used it, as the safety filter saw it.
        another_clock: stamps and receipts are of two clocks, so that ``TopicSummary.latency`` means nothing.
        unreadable: messages of the live path that could not be decoded.
        contract: what the bag says of the robot that recorded it; ``carried``: what else travels inside.
    """

    path: Path
    storage: str
    indexed: bool
    interrupted: bool
    problems: tuple[str, ...]
    begins: int
    ends: int
    topics: tuple[TopicSummary, ...]
    hops: dict[str, Spread]
    ages: dict[str, Spread]
    another_clock: bool
    unreadable: int
    contract: dict[str, str]
    carried: dict[str, dict[str, str]]


@dataclass(slots=True)
class _Heard:
    """What one pass over the bag keeps of a topic: receipts and stamps [ns] (empty where the type has none)."""

    type: str
    stamped: bool
    received: list[int] = field(default_factory=list)
    stamps: list[int] = field(default_factory=list)


def summarise(reader: BagReader, stated: Mapping[str, float]) -> BagSummary:
    """Read the whole bag once; damaged parts are left out, and told as ``problems``.

    Args:
        reader: of the bag.
        stated: rate [Hz] by relative topic; it counts for topics of the type that the graph gives them.
    """
    heard, records, unreadable = _read(reader)
    contract = reader.contract()
    every = [received for topic in heard.values() for received in topic.received]
    begins, ends = min(every, default=0), max(every, default=0)
    delays = {
        name: np.array(topic.received) - np.array(topic.stamps) for name, topic in heard.items() if any(topic.stamps)
    }
    other = any(abs(np.median(delay)) > ANOTHER_CLOCK for delay in delays.values())

    def of(name: str, topic: _Heard) -> TopicSummary:
        delay, rate = delays.get(name), stated.get(reader.stands_for(name))
        return TopicSummary(
            name=name,
            type=topic.type,
            count=len(topic.received),
            stated_hz=rate,
            by_stamp=delay is not None,
            timing=measure(topic.received if delay is None else topic.stamps, rate),
            latency=None if delay is None or other else Spread.of(delay),
            begins_s=(min(topic.received, default=ends) - begins) / NANOSECONDS,
            ends_s=(ends - max(topic.received, default=begins)) / NANOSECONDS,
        )

    return BagSummary(
        path=reader.path,
        storage=reader.storage,
        indexed=reader.indexed,
        interrupted=reader.interrupted,
        problems=tuple(reader.problems),
        begins=begins,
        ends=ends,
        topics=tuple(of(name, topic) for name, topic in heard.items()),
        hops=dict(_hops(reader, heard, records)),
        ages=_ages(records[USED]),
        another_clock=other,
        unreadable=unreadable,
        contract=contract,
        carried={name: entries for name, entries in reader.carried().items() if entries != contract},
    )


def _read(reader: BagReader) -> tuple[dict[str, _Heard], dict[str, list[Any]], int]:
    """One pass: what was heard by topic, the records that tell of hops, and how many of these were unreadable."""
    heard = {
        name: _Heard(kind, _is_stamped(kind, reader.definitions.get(kind, "")))
        for name, kind in sorted(reader.topics.items())
    }
    records: dict[str, list[Any]] = {USED: [], RENDERED: [], COMMANDED: []}
    unreadable = 0
    for name, kind, received, data in reader.raw(set(heard)):
        topic, wanted = heard[name], reader.stands_for(name)
        topic.received.append(received)
        stamp = serialised_stamp(data) if topic.stamped else None
        if stamp is not None:
            topic.stamps.append(stamp)
        elif topic.stamped:  # no message of that type: its stamps are not believed
            topic.stamped, topic.stamps = False, []
        if wanted in records:
            try:
                records[wanted].append(decode(wanted, deserialise(data, kind)))
            except Exception:  # rosbags has no error class of its own for bytes that are no such message
                unreadable += 1
    return heard, records, unreadable


def _is_stamped(kind: str, text: str) -> bool:
    """Whether messages of the type begin with a header (or are one, or a clock)."""
    if kind == STAMPED[0]:
        return True
    if kind in STORE.fielddefs:
        first = STORE.fielddefs[kind][1][:1]
        return bool(first) and first[0][1][1] in STAMPED
    lines = (line.split("#")[0].split() for line in text.splitlines())
    words = next((words for words in lines if len(words) >= 2 and "=" not in "".join(words)), [""])
    return words[0] in ("std_msgs/Header", "std_msgs/msg/Header", "Header")


def _hops(
    reader: BagReader, heard: Mapping[str, _Heard], records: Mapping[str, list[Any]]
) -> Iterator[tuple[str, Spread]]:
    """From one receipt to the next of what one camera frame caused: one clock, the recorder's, whatever the stamps."""
    times: dict[str, dict[int, int]] = {}
    for wanted in (*CHAIN, COMMAND):
        name = reader.held(wanted)
        if name is not None and heard[name].stamps:
            stamps, received = heard[name].stamps, heard[name].received
            times[wanted] = dict(zip(reversed(stamps), reversed(received), strict=True))  # of two the first counts
    ticks = times.pop(COMMAND, {})
    answered = times[COMMAND] = {}
    tick: UsedInputs
    for tick in records[USED]:
        used = tick.inputs.get("nominal")
        if used is not None and tick.stamp in ticks:
            answered.setdefault(used[0], ticks[tick.stamp])
    rendered, commanded = (_steady(records[topic]) for topic in (RENDERED, COMMANDED))
    hops: list[tuple[str, Mapping[int, float], Mapping[int, float]]] = [
        (f"{one} → {other}", times.get(one, {}), times.get(other, {})) for one, other in HOPS
    ]
    for name, before, after in [*hops, ("rendered → commanded, on one steady clock", rendered, commanded)]:
        spread = Spread.of([at - before[stamp] for stamp, at in after.items() if stamp in before])
        if spread is not None:
            yield name, spread


def _steady(records: list[Values]) -> dict[int, float]:
    """Moment on the steady clock [ns] by the frame's stamp."""
    return {record.stamp: record.values["steady"] for record in records if "steady" in record.values}


def _ages(ticks: list[UsedInputs]) -> dict[str, Spread]:
    """Age of each input over the ticks that had it."""
    ages: dict[str, list[int]] = {}
    for tick in ticks:
        for name, used in tick.inputs.items():
            if used is not None:
                ages.setdefault(name, []).append(used[1])
    return {name: spread for name, values in ages.items() if (spread := Spread.of(values)) is not None}
