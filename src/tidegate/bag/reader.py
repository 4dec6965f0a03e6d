# SPDX-License-Identifier: Apache-2.0
"""Read rosbag2 bags, MCAP or SQLite; an interrupted recording is read up to the interruption."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from mcap.exceptions import McapError
from mcap.records import Channel, Message, Schema
from mcap.stream_reader import StreamReader
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.errors import ReaderError

from tidegate.bag.typestore import deserialise
from tidegate.errors import BagError, ImageError, MessageError
from tidegate.messages import TOPICS, decode

Raw = tuple[str, str, int, bytes]
"""Absolute topic, ROS type, time of receipt [ns], CDR."""


class BagReader:
    """A bag: the folder that ``ros2 bag record`` makes, or one of its files.

    Attributes:
        topics: ROS type by absolute topic name.
        counts: messages by absolute topic name.
        interrupted: the recording was cut off; what came before the cut can be read.
    """

    def __init__(self, path: str | Path) -> None:
        """Look into the bag.

        Raises:
            BagError: no such bag, unreadable, or cut off before the first message.
        """
        self.path = Path(path)
        self.interrupted = False
        if not self.path.exists():
            raise BagError(f"{path}: no such bag")
        self._source = self.path
        if self.path.is_dir() and not (self.path / "metadata.yaml").exists():
            self._source = self._only_file()
        try:
            with Reader(self._source) as reader:
                self.topics = {connection.topic: connection.msgtype for connection in reader.connections}
                self.counts = {topic: info.msgcount for topic, info in reader.topics.items()}
        except (ReaderError, OSError, AssertionError, ValueError, EOFError, TypeError, IndexError) as error:
            self._salvage(error)

    def _only_file(self) -> Path:
        files = sorted([*self.path.glob("*.mcap"), *self.path.glob("*.db3")])
        if len(files) != 1:
            raise BagError(f"{self.path}: is no bag (no metadata.yaml and {len(files)} files of .mcap or .db3)")
        return files[0]

    def _salvage(self, cause: Exception) -> None:
        """Take what a broken MCAP file still holds.

        Raises:
            BagError: nothing.
        """
        if self._source.is_dir():
            self._source = self._only_file()
        self.topics, self.counts, self.interrupted = {}, {}, True
        if self._source.suffix == ".mcap":
            for topic, type_name, _, _ in _stream(self._source):
                self.topics[topic] = type_name
                self.counts[topic] = self.counts.get(topic, 0) + 1
        if not self.topics:
            raise BagError(f"{self.path}: is cut off or corrupt, no message can be read ({cause})") from cause

    def find(self, topic: str) -> str:
        """Absolute name of the relative ``topic``, in whatever namespace it was recorded.

        Raises:
            BagError: the bag lacks it, has it more than once, or with another type or without a message.
        """
        found = [name for name in self.topics if relative(name) == topic]
        held = ", ".join(sorted(self.topics)) or "none"
        if not found:
            what = "camera images, topic" if topic == "camera/image_raw" else "topic"
            raise BagError(f"{self.path}: has no {what} '{topic}'; its topics: {held}")
        if len(found) > 1:
            raise BagError(f"{self.path}: has '{topic}' more than once: {', '.join(sorted(found))}")
        if self.topics[found[0]] != TOPICS[topic].type:
            raise BagError(f"{self.path}: {found[0]} is {self.topics[found[0]]}; it must be {TOPICS[topic].type}")
        if self.counts[found[0]] == 0:
            raise BagError(f"{self.path}: {found[0]} has no messages")
        return found[0]

    def messages(self, topics: Sequence[str]) -> Iterator[tuple[str, int, Any]]:
        """Records on the relative ``topics`` as (relative topic, time of receipt [ns], record), in order of receipt.

        Raises:
            BagError: a topic is missing, or a message cannot be decoded.
        """
        wanted = {self.find(topic): topic for topic in topics}
        for name, type_name, received, data in self.raw(wanted):
            topic = wanted[name]
            try:
                record = decode(topic, deserialise(data, type_name))
            except (ImageError, MessageError) as error:
                raise BagError(f"{self.path}: {name} at {received} ns: {error}") from error
            except Exception as error:  # rosbags has no error class of its own for bytes that are no such message
                raise BagError(f"{self.path}: {name} at {received} ns is corrupt ({error!r})") from error
            yield topic, received, record

    def raw(self, names: Collection[str]) -> Iterator[Raw]:
        """Serialised messages on the absolute topic ``names``, in order of receipt.

        Raises:
            BagError: the bag is corrupt.
        """
        if self.interrupted:
            yield from (item for item in _stream(self._source) if item[0] in names)
            return
        with Reader(self._source) as reader:
            chosen = [connection for connection in reader.connections if connection.topic in names]
            if not chosen:
                return
            try:
                for connection, received, data in reader.messages(chosen):
                    yield connection.topic, connection.msgtype, received, bytes(data)
            except (ReaderError, ValueError, EOFError, IndexError, TypeError) as error:
                raise BagError(f"{self.path}: is corrupt ({error})") from error


def _stream(path: Path) -> Iterator[Raw]:
    """Messages of an MCAP file from its beginning to where it ends or breaks."""
    types: dict[int, str] = {}
    channels: dict[int, Channel] = {}
    with path.open("rb") as file:
        records = StreamReader(file).records
        while True:
            try:
                record = next(records)
            except (StopIteration, McapError, EOFError, ValueError, OSError):
                return
            except Exception:  # struct.error of the header, zstandard's and lz4's own errors of a broken chunk
                return
            if isinstance(record, Schema):
                types[record.id] = record.name
            elif isinstance(record, Channel):
                channels[record.id] = record
            elif isinstance(record, Message):
                channel = channels[record.channel_id]
                yield channel.topic, types[channel.schema_id], record.log_time, record.data


def relative(name: str) -> str:
    """Topic of the contract that the absolute ``name`` stands for, the longest that fits; empty = none.

    ``/car/expert/nominal`` is ``expert/nominal``, not the ``nominal`` of a namespace ``/car/expert``.
    """
    return max((topic for topic in TOPICS if f"/{name}".endswith(f"/{topic}")), key=len, default="")
