# SPDX-License-Identifier: Apache-2.0
"""A rosbag of whatever robot, read by the map: pictures and numbers, on one clock, paired in time."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.bag import BagReader
from tidegate.bag.align import newest_before
from tidegate.bag.typestore import deserialise, store_with
from tidegate.data.mapping import DataMap, Source
from tidegate.data.recording import Picture, Recording, Tally
from tidegate.data.series import PAUSE
from tidegate.errors import DataError, ImageError
from tidegate.messages import COMPRESSED, PICTURES, TOPICS, stamp_of
from tidegate.messages.camera import decode_frame
from tidegate.records import NANOSECONDS, Floats

IMAGES = (TOPICS[PICTURES].type, COMPRESSED[PICTURES])
STEP = re.compile(r"\.?([A-Za-z]\w*)|\[([^\[\]]{1,100})\]")
SKEW = 0.1
"""Clocks of two topics that differ by more [s] are told of; by more than ``series.PAUSE`` nothing can be paired."""


@dataclass(slots=True)
class _Heard:
    """Messages of one topic: ``received`` and ``stamps`` [ns] (0 = none), ``values`` by channel."""

    kind: str
    received: list[int] = field(default_factory=list)
    stamps: list[int] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)

    @property
    def stamped(self) -> bool:
        """Whether its headers tell a time."""
        return any(self.stamps)

    def delay(self) -> int:
        """Median [ns] from header to receipt, one that occurred: where the clock jumps, no mean of two."""
        return int(np.quantile(np.array(self.received) - np.array(self.stamps), 0.5, method="lower"))


def read_bag(path: Path, chart: DataMap) -> Iterator[Recording]:
    """The recording in a bag.

    Args:
        path: folder or file.
        chart: names the channels, and the camera's topic where there is more than one.

    Raises:
        BagError: no bag, or nothing can be read.
        DataError: a topic or field is absent, or clocks contradict each other.
    """
    reader = BagReader(path)
    camera = _camera(reader, chart.camera)
    if not chart.channels:
        told = ", ".join(f"{name} ({kind})" for name, kind in sorted(reader.topics.items()))
        raise DataError(
            f"{path}: which topics tell of speed and steering? name them under 'channels' in a map (--topics); it has "
            f"{told}"
        )
    store, refused = store_with(reader.definitions)
    for name, source in chart.channels.items():
        if source.key == camera:
            raise DataError(f"{path}: channel '{name}': {camera} is the camera's topic")
        kind = _known(reader, source.key, f"channel '{name}'")
        if kind in refused or kind not in store.fielddefs:
            raise DataError(
                f"{path}: {source.key} is {kind}, which the bag does not define ({refused.get(kind, 'no text')})"
            )
    tally = Tally()
    decode = partial(deserialise, store=store)
    heard = _hear(reader, camera, chart.channels, decode, tally)
    for problem in reader.problems:
        tally.note(problem)
    seen = heard.pop(camera)
    if not seen.received:
        raise DataError(f"{path}: {camera} has no message that can be read")
    stamp = np.array(_clock(path, camera, seen, heard, chart.clock, tally), np.int64)

    def pictures() -> Iterator[Picture | str]:
        for _, kind, _, data in reader.raw([camera]):
            try:
                message = decode(data, kind)
            except Exception:  # counted when it was heard
                continue
            yield _picture(message)

    yield Recording(
        name=camera,
        stamp=stamp,
        number=np.arange(len(stamp)),
        channels={
            name: source.scale * _paired(stamp, heard[source.key], name) for name, source in chart.channels.items()
        },
        pictures=pictures,
        tally=tally,
    )


def _camera(reader: BagReader, named: str) -> str:
    if named:
        if (kind := _known(reader, named, "camera")) not in IMAGES:
            raise DataError(f"{reader.path}: {named} is {kind}; pictures are {' or '.join(IMAGES)}")
        return named
    found = sorted(name for name, kind in reader.topics.items() if kind in IMAGES)
    if len(found) == 1:
        return found[0]
    told = f"has more than one: {', '.join(found)}; name one as 'camera' in the map (--topics)" if found else "has none"
    raise DataError(f"{reader.path}: topic of pictures: it {told}")


def _known(reader: BagReader, name: str, what: str) -> str:
    if name not in reader.topics:
        raise DataError(
            f"{reader.path}: {what}: no topic '{name}'; its topics: {', '.join(sorted(reader.topics)) or 'none'}"
        )
    return reader.topics[name]


def _hear(
    reader: BagReader, camera: str, channels: Mapping[str, Source], decode: Any, tally: Tally
) -> dict[str, _Heard]:
    """One pass over the bag: times of every topic that is wanted, and numbers of the channels."""
    names = {camera, *(source.key for source in channels.values())}
    heard = {name: _Heard(reader.topics[name]) for name in names}
    wanted = {name: {one: source for one, source in channels.items() if source.key == name} for name in names}
    for name, kind, received, data in reader.raw(names):
        try:
            message = decode(data, kind)
        except Exception:  # rosbags has no error class of its own for bytes that are no such message
            tally.skipped[f"message of {name} is corrupt"] += 1
            continue
        topic = heard[name]
        topic.received.append(received)
        topic.stamps.append(stamp_of(message) if hasattr(message, "header") else 0)
        for one, source in wanted[name].items():
            topic.values.setdefault(one, []).append(_number(message, source, f"{reader.path}: channel '{one}'"))
    return heard


def _clock(path: Path, camera: str, seen: _Heard, heard: dict[str, _Heard], clock: str, tally: Tally) -> list[int]:
    """Stamps [ns] of the pictures; those of ``heard`` are put on the same clock.

    Raises:
        DataError: headers tell no time, or of clocks that are too far apart.
    """
    _tell_jumps(camera, seen, tally)
    if clock == "receipt":
        for topic in heard.values():
            topic.stamps = topic.received
        return seen.received
    if not seen.stamped:
        raise DataError(f"{path}: the headers of {camera} tell no time; 'clock: receipt' in the map takes the receipts")
    own = seen.delay()
    for name, topic in heard.items():
        if not topic.stamped:
            topic.stamps = [received - own for received in topic.received]
            tally.note(f"{name} has no stamps: its receipts count, less the camera's {own / NANOSECONDS:.3f} s")
            continue
        skew = (topic.delay() - own) / NANOSECONDS
        if abs(skew) > PAUSE / NANOSECONDS:
            raise DataError(
                f"{path}: by the headers the clocks of {camera} and {name} are {abs(skew):.3f} s apart; "
                "'clock: receipt' in the map takes the receipts"
            )
        if abs(skew) > SKEW:
            tally.note(f"clock of {name}: {abs(skew):.3f} s {'behind' if skew > 0 else 'ahead of'} that of {camera}")
    return seen.stamps


def _tell_jumps(camera: str, seen: _Heard, tally: Tally) -> None:
    """Where the headers' clock goes on by another time than the receipts do."""
    if not seen.stamped:
        return
    steps = np.diff(np.array(seen.stamps)) - np.diff(np.array(seen.received))
    jumps = np.flatnonzero(np.abs(steps) > PAUSE)
    for index in jumps[:3]:
        tally.note(f"clock of {camera}: jumps by {steps[index] / NANOSECONDS:+.3f} s at frame {index + 1}")
    if len(jumps) > 3:
        tally.note(f"clock of {camera}: {len(jumps) - 3} more such jumps")


def _paired(stamp: Any, topic: _Heard, name: str) -> Floats:
    """(T,): the newest number not later than each picture, NaN where it is too old."""
    values = np.array([*topic.values.get(name, []), math.nan], np.float64)
    return values[newest_before(topic.stamps, stamp)]  # −1 = none is the NaN at the end


def _picture(message: Any) -> Picture | str:
    if hasattr(message, "format"):
        return bytes(message.data) or "picture is empty"
    try:
        return decode_frame(message).image
    except ImageError as error:
        return f"picture: {error}"


def _number(message: Any, source: Source, what: str) -> float:
    return sum(_field(message, path, what) for path in source.fields or ("data",))


def _field(message: Any, path: str, what: str) -> float:
    """The number that ``path`` leads to: names by dots, ``[index]``, or ``[name]`` of what the message names.

    Raises:
        DataError: there is none.
    """
    value, place = message, 0
    for step in STEP.finditer(path):
        if step.start() != place:
            break
        place = step.end()
        if step[1]:
            if step[1] not in getattr(value, "__dataclass_fields__", {}):
                raise _absent(what, path, step[1], value)
            value = getattr(value, step[1])
        else:
            value = _item(message, value, step[2])
    if place != len(path) or not path:
        raise DataError(f"{what}: field '{path}' is none; write twist.linear.x or effort[rear_left_wheel_joint]")
    if isinstance(value, (bool, int, float, np.number)):
        return float(value)
    if value is None:
        return math.nan
    raise DataError(f"{what}: field '{path}' of {message.__msgtype__} is no number but {type(value).__name__}")


def _item(message: Any, value: Any, key: str) -> Any:
    """An element by its number or, where the message has names, by name; None = this message has it not."""
    names = list(getattr(message, "name", []))
    index = names.index(key) if key in names else int(key) if key.isdigit() else -1
    return value[index] if hasattr(value, "__len__") and 0 <= index < len(value) else None


def _absent(what: str, path: str, step: str, value: Any) -> DataError:
    known = ", ".join(name for name in getattr(value, "__dataclass_fields__", {}) if not name.startswith("_"))
    return DataError(f"{what}: field '{path}': no '{step}'" + (f"; there are {known}" if known else " in a number"))
