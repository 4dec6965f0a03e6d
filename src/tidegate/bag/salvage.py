# SPDX-License-Identifier: Apache-2.0
"""What a bag's file still holds that was cut off: messages from its beginning to where it ends or breaks."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mcap.records import Attachment, Channel, Message, Metadata, Schema
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
            channel = channels.get(record.channel_id)
            if channel is not None and channel.schema_id in types:  # else the record that tells is broken
                yield channel.topic, types[channel.schema_id], record.log_time, record.data


def notes(path: Path) -> dict[str, dict[str, str]]:
    """What travels in an MCAP file beside its messages: metadata records, and attachments with type and size [B]."""
    found: dict[str, dict[str, str]] = {}
    for record in _records(path, whole_chunks=True):
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
    address = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(address, uri=True)) as base:
        base.execute("PRAGMA writable_schema=ON")
        topics = {number: (name, kind) for number, name, kind in base.execute("SELECT id, name, type FROM topics")}
        rows = base.execute("SELECT topic_id, timestamp, data FROM messages ORDER BY id")
        for number, received, data in rows:
            name, kind = topics.get(number, (None, None))
            if not all(map(isinstance, (name, kind, received, data), (str, str, int, bytes))):
                return  # a page that was cut through
            yield name, kind, received, data
