# SPDX-License-Identifier: Apache-2.0
"""An MCAP file, its chunks in order of receipt by the index at its end; without one that is whole, in the order in
which they were written. Whatever the file says of itself, no more than a few chunks are held."""

from __future__ import annotations

import heapq
import struct
import zlib
from array import array
from collections.abc import Collection, Iterator
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.reader import SeekingReader
from mcap.records import Attachment, Channel, Chunk, ChunkIndex, Message, Metadata, Schema
from mcap.stream_reader import StreamReader

from tidegate.bag.expand import LARGEST, Allowance, expand
from tidegate.bag.source import Noted, Raw, Source

MAGIC = b"\x89MCAP0\r\n"
TOGETHER = 2 * LARGEST
"""Bytes of chunks that are held at once where they overlap in time."""
SPARE = 1000
"""A chunk has at most so many records more than compressed bytes: no two messages of a recording are the same."""
LARGEST_TEXT = 1 << 20
"""Bytes of a record that describes a topic or a type."""
_HEAD, _MESSAGE = struct.Struct("<BQ"), struct.Struct("<HIQQ")


class McapSource(Source):
    """See ``source.Source``."""

    def __init__(self, path: Path, noted: Noted) -> None:
        super().__init__(path, noted)
        self._types: dict[int, str] = {}
        self._channels: dict[int, Channel] = {}
        self._index: list[ChunkIndex] = []
        try:
            known = self._summary()
        except Exception as error:  # mcap has no error class of its own for bytes that are no such record
            self.broken, known = str(error) or type(error).__name__, False
        if not known:
            for name, kind, _, _ in self._written(None):
                self.topics[name] = kind
                self.counts[name] += 1

    def raw(self, names: Collection[str]) -> Iterator[Raw]:
        """See ``source.Source``."""
        return self._received(names) if self._index else self._written(names)

    def _summary(self) -> bool:
        """Take in what stands at the end of the file; whether it told of all topics and counts.

        Raises:
            ValueError: the index contradicts itself; whatever else mcap raises of a file that is damaged.
        """
        with self.path.open("rb") as file:
            size = self.path.stat().st_size
            file.seek(max(size - len(MAGIC), 0))
            if file.read() != MAGIC:
                raise ValueError("its end is missing")
            file.seek(0)
            summary = SeekingReader(file, record_size_limit=size).get_summary()
        if summary is None:
            return False
        for record in (*summary.schemas.values(), *summary.channels.values()):
            self._learn(record)
        index = sorted(summary.chunk_indexes, key=lambda chunk: chunk.chunk_start_offset)
        ends = [chunk.chunk_start_offset + chunk.chunk_length for chunk in index]
        begins = [chunk.chunk_start_offset for chunk in index]
        if any(end > begin for end, begin in zip(ends, [*begins[1:], size][: len(ends)], strict=True)):
            raise ValueError("chunks of its index overlap, or lie beyond its end")
        self._index = index
        if not index or summary.statistics is None:
            return False
        counted = summary.statistics.channel_message_counts
        if any(self._name(number) is None for number in counted):
            return False
        for number, channel in self._channels.items():
            if (named := self._name(number)) is not None:
                self.topics[named[0]] = named[1]
                self.counts[channel.topic] += counted.get(number, 0)
        return True

    def _learn(self, record: Any) -> None:
        if isinstance(record, Schema):
            self._types[record.id] = record.name
            if record.encoding == "ros2msg":
                self.definitions[record.name] = record.data.decode("utf-8", "replace")
        elif isinstance(record, Channel):
            self._channels[record.id] = record

    def _name(self, number: int) -> tuple[str, str] | None:
        """Topic and type of a channel; None = one of them is not known."""
        channel = self._channels.get(number)
        kind = None if channel is None else self._types.get(channel.schema_id)
        return None if channel is None or kind is None else (channel.topic, kind)

    def _received(self, names: Collection[str]) -> Iterator[Raw]:
        """By the index: the next chunk is opened once no message of an open one is older than its first."""
        waiting = sorted(self._index, key=lambda chunk: (chunk.message_start_time, chunk.chunk_start_offset))
        waiting.reverse()
        pass_ = _Pass(self, names)
        numbers, held = count(), 0
        begun: list[tuple[int, int, Raw, Iterator[Raw], int]] = []
        with self.path.open("rb") as file:
            while waiting or begun:
                due = bool(waiting) and (not begun or waiting[-1].message_start_time <= begun[0][0])
                if due and begun and held + waiting[-1].uncompressed_size > TOGETHER:
                    self._noted(f"{self.path.name}: chunks overlap in time by too much to put all messages in order")
                    due = False
                if due:
                    chunk = _chunk_at(file, waiting.pop())
                    number, size, rest = next(numbers), 0 if chunk is None else chunk.uncompressed_size, pass_(chunk)
                    held += size
                else:
                    _, number, item, rest, size = heapq.heappop(begun)
                    yield item
                if (following := next(rest, None)) is None:
                    held -= size
                else:
                    heapq.heappush(begun, (following[2], number, following, rest, size))
        pass_.tell()

    def _written(self, names: Collection[str] | None) -> Iterator[Raw]:
        """From the beginning of the file to where it ends or breaks; ``names`` None = all."""
        pass_ = _Pass(self, names)
        for record in _records(self.path):
            self._learn(record)
            if isinstance(record, Chunk):
                yield from pass_(record)
            elif isinstance(record, Message):
                yield from pass_.one(record.channel_id, record.log_time, record.data)
        pass_.tell()


class _Pass:
    """One pass over the chunks of a file: bounded, and with a tally of those that could not be read."""

    def __init__(self, source: McapSource, names: Collection[str] | None) -> None:
        self._source, self._names = source, names
        self._allowance = Allowance(source.path.stat().st_size)
        self._unread, self._why = 0, ""

    def __call__(self, chunk: Chunk | None) -> Iterator[Raw]:
        """Messages of a chunk by time of receipt; none of one that is damaged, whole."""
        try:
            if chunk is None:
                raise ValueError("is not where the index says")
            data, found, times = self._messages(chunk)
        except Exception as error:  # struct's, or mcap's as above
            self._unread += 1
            self._why = self._why or str(error)
            return
        named = {number: self._named(number) for number in set(found[::3])}  # of most messages no more is asked
        for place in np.argsort(np.array(times, np.uint64), kind="stable").tolist():
            number, begin, end = found[3 * place : 3 * place + 3]
            if (told := named[number]) is not None:
                yield *told, times[place], data[begin:end]

    def one(self, number: int, received: int, data: bytes) -> Iterator[Raw]:
        """A message, where its channel is known and wanted."""
        if (named := self._named(number)) is not None:
            yield *named, received, data

    def _named(self, number: int) -> tuple[str, str] | None:
        """Topic and type of a channel, where it is known and wanted."""
        named = self._source._name(number)
        if named is None:
            self._source._noted(f"{self._source.path.name}: messages of a topic whose name is lost were left out")
        elif self._names is None or named[0] in self._names:
            return named
        return None

    def tell(self) -> None:
        """Note what was left out."""
        if self._unread:
            text = f"{self._unread} damaged chunk(s) left out (the first: it {self._why})"
            self._source._noted(f"{self._source.path.name}: {text}")

    def _messages(self, chunk: Chunk) -> tuple[bytes, array[int], array[int]]:
        """The chunk expanded; channel, begin and end of each message, flat; and their times of receipt.

        Raises:
            ValueError, struct.error: damaged, or beyond the bounds.
        """
        self._allowance.take(chunk.uncompressed_size)
        data = expand(chunk.data, chunk.compression, chunk.uncompressed_size)
        if chunk.uncompressed_crc not in (0, zlib.crc32(data)):
            raise ValueError("has another checksum")
        found, times, at, room = array("Q"), array("Q"), 0, len(chunk.data) + SPARE
        while at < len(data):
            kind, length = _HEAD.unpack_from(data, at)
            at, end = at + _HEAD.size, at + _HEAD.size + length
            room -= 1
            if end > len(data) or room < 0:
                raise ValueError("has a record that is cut off" if room >= 0 else "has more records than bytes")
            if kind == Opcode.MESSAGE:
                number, _, received, _ = _MESSAGE.unpack_from(data, at)
                found.extend((number, at + _MESSAGE.size, end))
                times.append(received)
            elif kind in (Opcode.SCHEMA, Opcode.CHANNEL):
                if length > LARGEST_TEXT:
                    raise ValueError(f"has a description of {length:,} bytes")
                stream = ReadDataStream(BytesIO(data[at:end]))
                self._source._learn(Schema.read(stream) if kind == Opcode.SCHEMA else Channel.read(stream))
            at = end
        return data, found, times


def notes(path: Path, *, head: bool = False) -> dict[str, dict[str, str]]:
    """What travels in an MCAP file beside its messages: metadata records, and attachments with type and size [B].

    ``head``: only what comes before the first message.
    """
    found: dict[str, dict[str, str]] = {}
    for record in _records(path):
        if head and isinstance(record, (Chunk, Message)):
            break
        if isinstance(record, Metadata):
            found[record.name] = dict(record.metadata)
        elif isinstance(record, Attachment):
            found[record.name] = {"media_type": record.media_type, "bytes": str(len(record.data))}
    return found


def _records(path: Path) -> Iterator[Any]:
    """The records of an MCAP file from its beginning to where it ends or breaks, chunks as such."""
    with path.open("rb") as file:
        records = StreamReader(file, emit_chunks=True, record_size_limit=path.stat().st_size).records
        while True:
            try:
                yield next(records)
            except Exception:  # its end, or as above
                return


def _chunk_at(file: Any, index: ChunkIndex) -> Chunk | None:
    """The chunk that an entry of the index tells of; None = there is none of that size."""
    file.seek(index.chunk_start_offset)
    try:
        kind, length = _HEAD.unpack(file.read(_HEAD.size))
        if kind != Opcode.CHUNK or _HEAD.size + length != index.chunk_length:
            return None
        chunk = Chunk.read(ReadDataStream(BytesIO(file.read(length))))
    except Exception:  # as above
        return None
    return chunk if chunk.uncompressed_size == index.uncompressed_size else None
