# SPDX-License-Identifier: Apache-2.0
"""One MCAP file of a bag, complete in itself: contract, schemas, channels, chunks, index."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from mcap.writer import Writer

from tidegate.bag.sink import Sink

CHUNK_BYTES = 65536
"""A chunk reaches the disk once it is this large: about two camera images, 0.1 s of the whole graph."""
CONTRACT = "tidegate"
"""Name of the metadata record that carries the contract."""


Quality = Mapping[str, Any]
"""What a publisher offers, by rosbag2's names: ``{"reliability": "reliable", "depth": 10, …}``."""


@dataclass(slots=True)
class Channel:
    """A topic being recorded: ROS type, its definition and RIHS01 hash, qualities offered, and messages so far."""

    name: str
    type: str
    definition: str
    digest: str
    offered: list[Quality]
    count: int = 0


@dataclass(slots=True)
class Span:
    """First and last time of receipt [ns] and number of messages."""

    first: int = 0
    last: int = 0
    count: int = 0

    def add(self, stamp: int) -> None:
        """Count a message."""
        self.first, self.last = (min(self.first, stamp), max(self.last, stamp)) if self.count else (stamp, stamp)
        self.count += 1

    def metadata(self) -> dict[str, Any]:
        """As ``metadata.yaml`` has it."""
        return {
            "duration": {"nanoseconds": self.last - self.first},
            "starting_time": {"nanoseconds_since_epoch": self.first},
            "message_count": self.count,
        }


class McapFile:
    """The file at ``path``; everything may raise OSError, and what was written before stays readable."""

    def __init__(self, path: Path, contract: Mapping[str, str]) -> None:
        self.path, self.span, self._sink = path, Span(), Sink(path)
        self._writer = Writer(cast(Any, self._sink), chunk_size=CHUNK_BYTES)
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        try:
            self._writer.start(profile="ros2", library="tidegate")
            if contract:
                self._writer.add_metadata(CONTRACT, dict(contract))
        except OSError:
            self._sink.close()
            path.unlink()
            raise

    @property
    def size(self) -> int:
        """What is written so far [B]."""
        return self._sink.tell()

    def add(self, topic: Channel, data: bytes, stamp: int) -> None:
        """Take in a serialised message, the last of those that ``topic`` counts; it is written with its chunk."""
        self.span.add(stamp)
        with self._undone():
            if topic.name not in self._channels:
                if topic.type not in self._schemas:
                    text = topic.definition.encode()
                    self._schemas[topic.type] = self._writer.register_schema(topic.type, "ros2msg", text)
                offered = yaml.safe_dump(topic.offered, sort_keys=False) if topic.offered else ""
                metadata = {"offered_qos_profiles": offered, "topic_type_hash": topic.digest}
                schema = self._schemas[topic.type]
                self._channels[topic.name] = self._writer.register_channel(topic.name, "cdr", schema, metadata)
            self._writer.add_message(self._channels[topic.name], stamp, data, stamp, topic.count - 1)

    def flush(self) -> None:
        """End the chunk and have all put on the disk."""
        with self._undone():
            self._writer.flush()  # type: ignore[no-untyped-call]
        self._sink.sync()

    def finish(self) -> None:
        """Write the index and close; a second call does nothing."""
        if not self._sink.closed:
            try:
                self._writer.finish()  # type: ignore[no-untyped-call]
            finally:
                self._sink.close()

    @contextlib.contextmanager
    def _undone(self) -> Iterator[None]:
        """A chunk comes with its index or not at all: its writer keeps it and tries again at the end."""
        begun = self._sink.tell()
        try:
            yield
        except OSError:
            self._sink.truncate(begun)
            raise
