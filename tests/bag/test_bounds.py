# SPDX-License-Identifier: Apache-2.0
"""How much of a bag is believed: sizes, order, tables that compute."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import lz4.frame
import pytest
import zstandard
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter

from tidegate.bag import BagReader, BagWriter, expand, mcap_source
from tidegate.errors import BagError
from tidegate.records import Odometry

WORDS = bytes(range(256)) * 40


def compressed(kind: str, data: bytes) -> bytes:
    return {"zstd": zstandard.compress, "lz4": lz4.frame.compress, "": bytes}[kind](data)


@pytest.mark.parametrize("kind", ["zstd", "lz4", ""])
def test_as_much_as_is_told_is_expanded_and_nothing_else(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = compressed(kind, WORDS)
    assert expand.expand(data, kind, len(WORDS)) == WORDS
    for told in (len(WORDS) - 1, len(WORDS) + 1, 0):
        with pytest.raises(ValueError, match=rf"bytes or more where {told:,} were told"):
            expand.expand(data, kind, told)
    monkeypatch.setattr(expand, "LARGEST", 1000)
    with pytest.raises(ValueError, match=r"says that it has 10,240 bytes; 1,000 are allowed"):
        expand.expand(data, kind, len(WORDS))


def test_frames_without_their_size_are_expanded_up_to_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = zstandard.ZstdCompressor(write_content_size=False).compress(WORDS)
    assert expand.expand(silent, "zstd") == expand.expand(zstandard.compress(WORDS), "zstd") == WORDS
    monkeypatch.setattr(expand, "LARGEST", 1000)
    for data in (silent, zstandard.compress(WORDS)):
        with pytest.raises(ValueError, match=r"1,000"):
            expand.expand(data, "zstd")


@pytest.mark.parametrize("kind", ["zstd", "lz4", "brotli"])
def test_what_is_no_such_frame_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        expand.expand(b"hello", kind, 5)


def overlapping(path: Path, kind: CompressionType) -> Path:
    """Ten chunks of ten messages, of which each begins before the one before has ended."""
    with path.open("wb") as file:
        writer = McapWriter(file, compression=kind)
        writer.start(profile="ros2")
        schema = writer.register_schema("std_msgs/msg/String", "ros2msg", b"string data\n")
        channel = writer.register_channel("/talk", "cdr", schema)
        for number in range(100):
            at = number // 10 * 5 + number % 10
            writer.add_message(channel, at, b"%d" % number, at)
            if number % 10 == 9:
                writer.flush()
        writer.finish()
    return path


@pytest.mark.parametrize("kind", list(CompressionType))
def test_chunks_that_overlap_in_time_are_put_in_order(tmp_path: Path, kind: CompressionType) -> None:
    reader = BagReader(overlapping(tmp_path / "bag.mcap", kind))
    found = [(received, int(data)) for _, _, received, data in reader.raw({"/talk"})]
    assert found == sorted((number // 10 * 5 + number % 10, number) for number in range(100))
    assert (reader.problems, reader.counts["/talk"]) == ([], 100)


def test_where_too_much_would_be_open_at_once_the_order_is_given_up_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcap_source, "TOGETHER", 500)
    reader = BagReader(overlapping(tmp_path / "bag.mcap", CompressionType.ZSTD))
    assert sorted(int(data) for *_, data in reader.raw({"/talk"})) == list(range(100))
    assert reader.problems == ["bag.mcap: chunks overlap in time by too much to put all messages in order"]


def test_a_file_grows_to_so_many_times_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = overlapping(tmp_path / "bag.mcap", CompressionType.ZSTD)
    for growth, left_out in ((1000, 0), (0, 10)):
        monkeypatch.setattr(expand, "FREE", 0)
        monkeypatch.setattr(expand, "GROWTH", growth)
        reader = BagReader(path)
        assert len(list(reader.raw({"/talk"}))) == 100 - 10 * left_out
        assert len(reader.problems) == bool(left_out)
    assert re.search(
        r"10 damaged chunk\(s\) left out \(the first: it would let the file grow to more", reader.problems[0]
    )


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("CREATE VIEW schema AS SELECT 4 AS schema_version", "'schema' is no plain table or index"),
        ("CREATE TRIGGER t AFTER INSERT ON topics BEGIN SELECT 1; END", "'t' is no plain table or index"),
        ("ALTER TABLE messages ADD COLUMN more BLOB AS (zeroblob(9))", r"messages\.more is computed"),
    ],
)
def test_a_database_that_computes_is_refused(tmp_path: Path, statement: str, said: str) -> None:
    with sqlite3.connect(tmp_path / "bag.db3") as base:
        base.execute("CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT)")
        base.execute("CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB)")
        base.execute("INSERT INTO topics VALUES (1, '/talk', 'std_msgs/msg/String')")
        base.execute("INSERT INTO messages VALUES (1, 1, 5, x'00')")
    base.close()
    assert list(BagReader(tmp_path / "bag.db3").raw({"/talk"})) == [("/talk", "std_msgs/msg/String", 5, b"\0")]
    with sqlite3.connect(tmp_path / "bag.db3") as base:
        base.execute(statement)
    base.close()
    with pytest.raises(BagError, match=said):
        BagReader(tmp_path / "bag.db3")


def test_a_bag_without_an_index_is_whole_and_read_as_it_was_written(tmp_path: Path) -> None:
    with (tmp_path / "bag.mcap").open("wb") as file:
        writer = McapWriter(file, use_chunking=False, use_statistics=False, use_summary_offsets=False)
        writer.start(profile="ros2")
        channel = writer.register_channel("/talk", "cdr", writer.register_schema("std_msgs/msg/String", "", b""))
        for at in (3, 1, 2):
            writer.add_message(channel, at, b"%d" % at, at)
        writer.finish()
    reader = BagReader(tmp_path / "bag.mcap")
    assert [received for _, _, received, _ in reader.raw({"/talk"})] == [3, 1, 2]
    assert (reader.problems, reader.interrupted, reader.counts) == ([], False, {"/talk": 3})


def test_two_passes_side_by_side_do_not_disturb_each_other(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        for at in range(50):
            writer.write("odom", Odometry(at, 0.0, 0.0, 0.0, 1.0, 0.0))
            if at % 10 == 9:
                writer.flush()
    reader = BagReader(tmp_path / "bag")
    pairs = list(zip(reader.messages(["odom"]), reader.messages(["odom"]), strict=True))
    assert [(one.stamp, other.stamp) for (_, _, one), (_, _, other) in pairs] == [(at, at) for at in range(50)]
