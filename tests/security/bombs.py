# SPDX-License-Identifier: Apache-2.0
"""Bags that are small on the disk and large, or without end, for who believes them. Made byte by byte: the libraries'
own writers make none."""

from __future__ import annotations

import contextlib
import sqlite3
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lz4.frame
from mcap.data_stream import RecordBuilder
from mcap.records import Channel, Chunk, ChunkIndex, DataEnd, Footer, Header, Schema, Statistics

MAGIC = b"\x89MCAP0\r\n"
TOPIC, TYPE = "/camera/image_raw", "sensor_msgs/msg/Image"
HUGE = 1 << 32
"""Bytes that a bomb has once it is expanded: more than any test may hold."""
LARGE = 100 << 20
"""Bytes of a chunk that is within the bounds by itself."""
BLOCK = 1 << 17


def zstd_of_zeros(size: int, head: bytes = b"") -> bytes:
    """One frame, which does not say its size: ``head``, then ``size`` zeros in four bytes per block."""
    frame = bytearray(b"\x28\xb5\x2f\xfd\x00\x58")
    if head:
        frame += struct.pack("<I", len(head) << 3)[:3] + head
    whole, rest = divmod(size, BLOCK)
    frame += (struct.pack("<I", BLOCK << 3 | 2)[:3] + b"\0") * whole
    return bytes(frame + struct.pack("<I", rest << 3 | 3)[:3] + b"\0")


def lz4_of_zeros(size: int) -> bytes:
    """One frame of blocks of 4 MiB, of which each is the same."""
    options = {"block_size": lz4.frame.BLOCKSIZE_MAX4MB, "block_linked": False, "store_size": False}
    one = lz4.frame.compress(bytes(4 << 20), **options)
    return one[:7] + one[7:-4] * (size >> 22) + one[-4:]


def message(size: int, channel: int = 1, received: int = 5) -> bytes:
    """The beginning of a record of a message that has ``size`` bytes."""
    return struct.pack("<BQHIQQ", 5, 22 + size, channel, 0, received, received)


def chunk(data: bytes, compression: str, told: int, begin: int = 5, end: int = 5) -> Chunk:
    """A chunk that is said to have ``told`` bytes."""
    return Chunk(compression, data, end, begin, 0, told)


def mcap(path: Path, chunks: Sequence[Chunk], *, indexed: bool) -> Path:
    """A file whose index, where it has one, is right."""

    def written(*records: Any) -> bytes:
        builder = RecordBuilder()
        for record in records:
            record.write(builder)
        return bytes(builder.end())

    described = written(Schema(1, b"", "", TYPE), Channel(1, TOPIC, "cdr", {}, 1))
    made = bytearray(MAGIC + written(Header("ros2", "")) + described)
    index = []
    for one in chunks:
        data = written(one)
        times = one.message_end_time, 0, {}, one.message_start_time
        index.append(ChunkIndex(len(data), len(made), one.compression, len(one.data), *times, one.uncompressed_size))
        made += data
    made += written(DataEnd(0))
    begin = len(made)
    count = len(chunks)
    made += described + written(Statistics(0, 1, {1: count}, count, count, 5, 5, 0, 1), *index) if indexed else b""
    made += written(Footer(begin if indexed else 0, 0, 0)) + MAGIC
    path.write_bytes(made)
    return path


def mcap_bombs(folder: Path) -> Iterator[Path]:
    """Each with an index and without."""
    tiny = zstd_of_zeros(9 << 21)  # records of a kind that is not known, without content
    kinds = {
        "zstd that is more than told": [chunk(zstd_of_zeros(HUGE), "zstd", 1000)],
        "zstd that is as large as told": [chunk(zstd_of_zeros(HUGE, message(HUGE)), "zstd", HUGE + 31)],
        "lz4 that is more than told": [chunk(lz4_of_zeros(HUGE), "lz4", 1000)],
        "lz4 that is as large as told": [chunk(lz4_of_zeros(HUGE), "lz4", HUGE)],
        "a size that is not there": [chunk(zstd_of_zeros(9), "zstd", 1 << 60), chunk(b"", "lz4", 1 << 62)],
        "records without end": [chunk(tiny, "zstd", 9 << 21)] * 2,
    }
    for name, chunks in kinds.items():
        for indexed in (True, False):
            yield mcap(folder / f"{name}{', indexed' if indexed else ''}.mcap", chunks, indexed=indexed)


def at_once(folder: Path) -> Path:
    """Chunks that are within the bounds, each by itself, and all open at one time."""
    one = zstd_of_zeros(LARGE, message(LARGE))
    return mcap(folder / "chunks of one time.mcap", [chunk(one, "zstd", LARGE + 31, 0, 2**63)] * 9, indexed=True)


SCHEMA = {
    "topics": "CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, serialization_format TEXT)",
    "messages": "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB)",
}
ENDLESS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS id, 1 AS topic_id, i AS timestamp, "
    "zeroblob(100) AS data FROM n"
)
COMPUTED = SCHEMA["messages"].replace("data BLOB", "data BLOB AS (zeroblob(900000000))")
NAMED = f"INSERT INTO topics VALUES (1, '{TOPIC}', '{TYPE}', 'cdr')"


def sqlite(path: Path, statements: Sequence[str]) -> Path:
    """A database."""
    with contextlib.closing(sqlite3.connect(path)) as base:
        base.execute("PRAGMA page_size=512")
        for statement in statements:
            base.execute(statement)
        base.commit()
    return path


def sqlite_bombs(folder: Path) -> Iterator[Path]:
    """What computes, and what has no end."""
    topics, messages = SCHEMA["topics"], SCHEMA["messages"]
    view = f"CREATE VIEW messages AS {ENDLESS}"
    yield sqlite(folder / "view.db3", [topics, NAMED, view])
    feigned = "UPDATE sqlite_master SET type = 'table' WHERE name = 'messages'"
    yield sqlite(folder / "view that says table.db3", [topics, NAMED, view, "PRAGMA writable_schema=ON", feigned])
    version = "CREATE VIEW schema AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT i FROM n"
    yield sqlite(folder / "another view.db3", [topics, NAMED, messages, version])
    rows = [f"INSERT INTO messages (id, topic_id, timestamp) VALUES ({number}, 1, 5)" for number in range(200)]
    yield sqlite(folder / "computed.db3", [topics, NAMED, COMPUTED, *rows])
    yield circle(sqlite(folder / "circle.db3", [topics, NAMED, messages, *rows]))


def circle(path: Path) -> Path:
    """Give a database a table of messages with more rows than stars: twelve pages, each of which stands for the one
    below it as often as there is room."""
    data, page = bytearray(path.read_bytes()), 512
    with contextlib.closing(sqlite3.connect(path)) as base:
        (root,) = base.execute("SELECT rootpage FROM sqlite_master WHERE name = 'messages'").fetchone()
    leaf = len(data) // page + 1
    old = data[(root - 1) * page : root * page]
    assert old[0] == 5  # an interior page already: its first child is a leaf with rows
    (pointer,) = struct.unpack_from(">H", old, 12)
    (child,) = struct.unpack_from(">I", old, pointer)
    data += data[(child - 1) * page : child * page]
    cells, below = 60, leaf
    for _ in range(12):
        places = [page - 5 * (number + 1) for number in range(cells)]
        made = bytearray(page)
        struct.pack_into(">BHHHBI", made, 0, 5, 0, cells, places[-1], 0, below)
        struct.pack_into(f">{cells}H", made, 12, *places)
        for place in places:
            struct.pack_into(">IB", made, place, below, 1)
        data += made
        below = len(data) // page
    data[(root - 1) * page : root * page] = data[-page:]
    struct.pack_into(">I", data, 28, len(data) // page)
    path.write_bytes(data)
    return path


def compressed_one_by_one(folder: Path) -> Path:
    """A bag whose messages are compressed each by itself."""
    folder.mkdir()
    path = sqlite(folder / "drive_0.db3", [*SCHEMA.values(), NAMED])
    with contextlib.closing(sqlite3.connect(path)) as base:
        for number in range(3):
            base.execute("INSERT INTO messages VALUES (?, 1, 5, ?)", (number, zstd_of_zeros(HUGE)))
        base.commit()
    described = "rosbag2_bagfile_information: {compression_mode: message, compression_format: zstd}\n"
    (folder / "metadata.yaml").write_text(described)
    return folder
