# SPDX-License-Identifier: Apache-2.0
"""What a bag's file still holds that was cut off or damaged: whole chunks of MCAP, rows of SQLite."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mcap.opcode import Opcode
from mcap.reader import make_reader
from mcap.records import Attachment, Channel, Chunk, Message, Metadata, Schema
from mcap.stream_reader import StreamReader, breakup_chunk

Raw = tuple[str, str, int, bytes]
"""Absolute topic, ROS type, time of receipt [ns], CDR."""
Noted = Callable[[str], None]
"""Hears what is wrong."""


def salvage(path: Path, definitions: dict[str, str], noted: Noted = lambda text: None) -> Iterator[Raw]:
    """Messages of an MCAP or SQLite file in the order in which they were written.

    Args:
        path: the file.
        definitions: gets the text of each message definition that the file carries, by ROS type.
        noted: hears of chunks that cannot be read; what is beyond them is read all the same.
    """
    return _sqlite(path, noted) if path.suffix == ".db3" else _mcap(path, definitions, noted)


def _mcap(path: Path, definitions: dict[str, str], noted: Noted) -> Iterator[Raw]:
    types: dict[int, str] = {}
    channels: dict[int, Channel] = {}
    unread = 0

    def learn(record: Any) -> None:
        if isinstance(record, Schema):
            types[record.id] = record.name
            if record.encoding == "ros2msg":
                definitions[record.name] = record.data.decode("utf-8", "replace")
        elif isinstance(record, Channel):
            channels[record.id] = record

    places = _index(path, learn)
    for record in _records(path) if places is None else _at(path, places):
        learn(record)
        try:
            inside = breakup_chunk(record, validate_crc=True) if isinstance(record, Chunk) else [record]
        except Exception:  # mcap's, struct's, zstandard's or lz4's own errors of a broken one
            inside, unread = [], unread + 1
        unread += record is None
        for message in inside:
            learn(message)
            if isinstance(message, Message):
                channel = channels.get(message.channel_id)
                if channel is None or channel.schema_id not in types:
                    noted(f"{path.name}: messages of a topic whose name is lost were left out")
                else:
                    yield channel.topic, types[channel.schema_id], message.log_time, message.data
    if unread:
        noted(f"{path.name}: {unread} damaged chunk(s) left out")


def _index(path: Path, learn: Callable[[Any], None]) -> list[int] | None:
    """Offsets of the chunks in the order of the file, by the index at its end; None = it has none that is whole."""
    with path.open("rb") as file:
        try:
            summary = make_reader(file).get_summary()
        except Exception:  # as above
            return None
    if summary is None or not summary.chunk_indexes:
        return None
    for record in (*summary.schemas.values(), *summary.channels.values()):
        learn(record)
    return sorted(index.chunk_start_offset for index in summary.chunk_indexes)


def _at(path: Path, places: list[int]) -> Iterator[Any]:
    """The chunk at each place; None where there is none."""
    with path.open("rb") as file:
        for place in places:
            file.seek(place)
            is_chunk = file.read(1) == bytes([Opcode.CHUNK])  # a reader would go on to the next record
            file.seek(place)
            try:
                yield next(StreamReader(file, skip_magic=True, emit_chunks=True).records) if is_chunk else None
            except Exception:  # as above
                yield None


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
        records = StreamReader(file, emit_chunks=True).records
        while True:
            try:
                yield next(records)
            except Exception:  # its end, or as above
                return


def _sqlite(path: Path, noted: Noted) -> Iterator[Raw]:
    """SQLite refuses a file that is shorter than it says, unless its schema may be written; nothing is."""
    address = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as base:
        try:
            base.execute("PRAGMA writable_schema=ON")
            topics = {number: (name, kind) for number, name, kind in base.execute("SELECT id, name, type FROM topics")}
            rows = base.execute("SELECT topic_id, timestamp, data FROM messages ORDER BY id")
            for number, received, data in rows:
                name, kind = topics.get(number, (None, None))
                if not all(map(isinstance, (name, kind, received, data), (str, str, int, bytes))):
                    break  # a page that was cut through
                yield name, kind, received, data
            else:
                return
        except sqlite3.Error:
            pass
    noted(f"{path.name}: read up to where it breaks")
