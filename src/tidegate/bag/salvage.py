# SPDX-License-Identifier: Apache-2.0
"""What a bag's file still holds that was cut off: messages from its beginning to where it ends or breaks."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mcap.records import Attachment, Channel, Chunk, Message, Metadata, Schema
from mcap.stream_reader import StreamReader

Raw = tuple[str, str, int, bytes]
"""Absolute topic, ROS type, time of receipt [ns], CDR."""


def salvage(path: Path, definitions: dict[str, str]) -> Iterator[Raw]:
    """Messages of an MCAP or SQLite file in the order in which they were written.

    Args:
        path: the file.
        definitions: gets the text of each message definition that the file carries, by ROS type.
    """
    return _sqlite(path) if path.suffix == ".db3" else _mcap(path, definitions)


def _mcap(path: Path, definitions: dict[str, str]) -> Iterator[Raw]:
    types: dict[int, str] = {}
    channels: dict[int, Channel] = {}
    for record in _records(path):
        if isinstance(record, Schema):
            types[record.id] = record.name
            if record.encoding == "ros2msg":
                definitions[record.name] = record.data.decode("utf-8", "replace")
        elif isinstance(record, Channel):
            channels[record.id] = record
        elif isinstance(record, Message):
            channel = channels[record.channel_id]
            yield channel.topic, types[channel.schema_id], record.log_time, record.data


def notes(path: Path, *, head: bool = False) -> dict[str, dict[str, str]]:
    """What travels in an MCAP file beside its messages: metadata records, and attachments with type and size [B].

    ``head``: only what comes before the first message.
    """
    found: dict[str, dict[str, str]] = {}
    for record in _records(path, whole_chunks=True):
        if head and isinstance(record, (Chunk, Message)):
            break
        if isinstance(record, Metadata):
            found[record.name] = dict(record.metadata)
        elif isinstance(record, Attachment):
            found[record.name] = {"media_type": record.media_type, "bytes": str(len(record.data))}
    return found


def _records(path: Path, whole_chunks: bool = False) -> Iterator[Any]:
    with path.open("rb") as file:
        records = StreamReader(file, emit_chunks=whole_chunks).records
        while True:
            try:
                yield next(records)
            except Exception:  # its end; or mcap's, struct's, zstandard's or lz4's own errors of a broken one
                return


def _sqlite(path: Path) -> Iterator[Raw]:
    """SQLite refuses a file that is shorter than it says, unless its schema may be written; nothing is."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as base:
        try:
            base.execute("PRAGMA writable_schema=ON")
            topics = {number: (name, kind) for number, name, kind in base.execute("SELECT id, name, type FROM topics")}
            rows = base.execute("SELECT topic_id, timestamp, data FROM messages ORDER BY id")
            for number, received, data in rows:
                if number not in topics or not isinstance(received, int) or not isinstance(data, bytes):
                    return  # a page that was cut through
                yield *topics[number], received, data
        except sqlite3.Error:
            return
