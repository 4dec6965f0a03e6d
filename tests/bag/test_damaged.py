# SPDX-License-Identifier: Apache-2.0
"""Damaged bags: what is wrong is said, and all that is not damaged is read."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mcap.reader import make_reader
from mcap.records import ChunkIndex
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2 import Reader
from typer.testing import CliRunner

from tidegate.bag import BagReader, BagWriter
from tidegate.cli.app import app
from tidegate.errors import BagError
from tidegate.records import Frame, Odometry

PER_CHUNK, CHUNKS = 10, 8
FRAMES = PER_CHUNK * CHUNKS


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files of four chunks, ten frames and as many records of odometry in each."""
    path = tmp_path_factory.mktemp("whole") / "drive"
    random = np.random.default_rng(0)
    with BagWriter(path, {"robot": "car"}, max_duration_s=0.4) as writer:
        for index in range(FRAMES):
            image = random.integers(0, 255, (8, 16, 3), dtype=np.uint8)
            writer.write("camera/image_raw", Frame(index * 10_000_000, image))
            writer.write("odom", Odometry(index * 10_000_000, 0.0, 0.0, 0.0, 1.0, 0.0))
            if index % PER_CHUNK == PER_CHUNK - 1:
                writer.flush()
    assert [len(chunks(path / f"drive_{number}.mcap")) for number in (0, 1)] == [4, 4]
    return path


def chunks(file: Path) -> list[ChunkIndex]:
    with file.open("rb") as stream:
        summary = make_reader(stream).get_summary()
    assert summary is not None
    return summary.chunk_indexes


def edit(file: Path, change: Callable[[bytearray], bytearray | None]) -> None:
    data = bytearray(file.read_bytes())
    file.write_bytes(change(data) or data)


def flip(place: int) -> Callable[[bytearray], None]:
    def change(data: bytearray) -> None:
        data[place] ^= 0x10

    return change


def in_chunk(number: int, change: Callable[[bytearray, int, int], bytearray | None]) -> Callable[[Path], None]:
    """``change(data, from, to)`` of a chunk of the first file."""

    def damage(bag: Path) -> None:
        file = bag / "drive_0.mcap"
        chunk = chunks(file)[number]
        begin = chunk.chunk_start_offset
        edit(file, lambda data: change(data, begin, begin + chunk.chunk_length))

    return damage


def flipped(data: bytearray, begin: int, end: int) -> None:
    data[(begin + end) // 2] ^= 0x10


def zeroed(data: bytearray, begin: int, end: int) -> None:
    data[begin:end] = bytes(end - begin)


def cut_out(data: bytearray, begin: int, end: int) -> bytearray:
    return data[:begin] + data[end:]


def truncated(bag: Path) -> None:
    file = bag / "drive_1.mcap"
    last = chunks(file)[-1]
    edit(file, lambda data: data[: last.chunk_start_offset + last.chunk_length // 2])


def without_end(bag: Path) -> None:
    edit(bag / "drive_0.mcap", lambda data: data[:-40])


def summary_flipped(bag: Path) -> None:
    """The statistics' length, between the data and the footer."""
    file = bag / "drive_0.mcap"
    after = chunks(file)[-1]
    edit(file, lambda data: flip(after.chunk_start_offset + after.chunk_length + after.message_index_length + 20)(data))


def emptied(bag: Path) -> None:
    (bag / "drive_1.mcap").write_bytes(b"")


def metadata(change: Callable[[str], str]) -> Callable[[Path], None]:
    def damage(bag: Path) -> None:
        file = bag / "metadata.yaml"
        file.write_text(change(file.read_text()))

    return damage


CASES: dict[str, tuple[Callable[[Path], None], int, str]] = {
    "truncated": (truncated, 7, r"drive_1\.mcap: is cut off or corrupt"),
    "without its end": (without_end, 8, r"drive_0\.mcap: is cut off or corrupt"),
    "a bit of a chunk": (in_chunk(1, flipped), 7, r"drive_0\.mcap: 1 damaged chunk"),
    "a bit of the first chunk": (in_chunk(0, flipped), 7, r"drive_0\.mcap: 1 damaged chunk"),
    "a chunk of zeros": (in_chunk(2, zeroed), 7, r"drive_0\.mcap: 1 damaged chunk"),
    "a chunk is missing": (in_chunk(1, cut_out), 7, r"drive_0\.mcap: is "),
    "a bit of the index": (summary_flipped, 8, r"drive_0\.mcap: is "),
    "an empty file": (emptied, 4, r"drive_1\.mcap: is cut off or corrupt"),
    "metadata is no YAML": (metadata(lambda text: "{" + text), 8, r"metadata\.yaml: cannot be used"),
    "metadata of something else": (metadata(lambda text: "robot: car\n"), 8, r"metadata\.yaml: cannot be used"),
    "metadata without files": (
        metadata(lambda text: text.replace("relative_file_paths", "other")),
        8,
        r"metadata\.yaml: is incomplete",
    ),
    "metadata names another file": (
        metadata(lambda text: text.replace("drive_1", "drive_7")),
        8,
        r"metadata\.yaml: names drive_7\.mcap, which is not there",
    ),
    "metadata counts wrongly": (
        metadata(lambda text: text.replace("message_count: 160", "message_count: 3")),
        8,
        r"metadata\.yaml: tells of 3 messages, the files hold 160",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_all_that_is_not_damaged_is_read_and_the_damage_is_told(whole: Path, tmp_path: Path, case: str) -> None:
    damage, left, said = CASES[case]
    bag = tmp_path / "drive"
    shutil.copytree(whole, bag)
    damage(bag)
    reader = BagReader(bag)
    found = [record.stamp for _, _, record in reader.messages(["camera/image_raw"])]
    assert len(found) == left * PER_CHUNK
    assert found == sorted(set(found))
    assert sum(1 for _ in reader.raw({"/odom"})) == left * PER_CHUNK
    result = CliRunner().invoke(app, ["info", str(bag)])
    assert result.exit_code == 0, result.exception
    assert re.search(said, result.output)
    assert reader.contract() == {"robot": "car"}


@pytest.mark.parametrize("case", CASES)
def test_what_can_be_read_is_written_into_a_whole_new_bag(whole: Path, tmp_path: Path, case: str) -> None:
    damage, left, _ = CASES[case]
    bag, new = tmp_path / "drive", tmp_path / "new"
    shutil.copytree(whole, bag)
    damage(bag)
    result = CliRunner().invoke(app, ["info", str(bag), "--rescue", str(new)])
    assert result.exit_code == 0, result.exception
    assert f"{2 * left * PER_CHUNK} messages on 2 topics" in result.output
    reader = BagReader(new)
    assert list(reader.raw(set(reader.topics))) == list(BagReader(bag).raw({"/odom", "/camera/image_raw"}))
    assert (reader.problems, reader.interrupted) == ([], False)
    assert reader.contract() == {"robot": "car"}
    with Reader(new) as other:  # an independent one
        assert other.message_count == 2 * left * PER_CHUNK
    again = CliRunner().invoke(app, ["info", str(bag), "--rescue", str(new)])
    assert "exists already" in str(again.exception)


def test_types_that_the_bag_itself_defines_are_rescued_and_others_named(tmp_path: Path) -> None:
    with (tmp_path / "boat.mcap").open("wb") as file:
        writer = McapWriter(file)
        writer.start(profile="ros2")
        for name, text in (("Horn", b"bool on\n"), ("Sail", b"")):
            schema = writer.register_schema(f"boat_msgs/msg/{name}", "ros2msg" if text else "", text)
            channel = writer.register_channel(f"/{name.lower()}", "cdr", schema)
            writer.add_message(channel, 7, b"\0\1\0\0\1", 7)
        writer.finish()
    (tmp_path / "cut.mcap").write_bytes((tmp_path / "boat.mcap").read_bytes()[:-30])
    result = CliRunner().invoke(app, ["info", str(tmp_path / "cut.mcap"), "--rescue", str(tmp_path / "new")])
    assert "/sail: left out, the bag does not define boat_msgs/msg/Sail" in result.output, result.exception
    reader = BagReader(tmp_path / "new")
    assert list(reader.raw({"/horn"})) == [("/horn", "boat_msgs/msg/Horn", 7, b"\0\1\0\0\1")]
    assert reader.definitions["boat_msgs/msg/Horn"].strip() == "bool on"


def test_one_of_two_files_that_is_missing_is_named(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "drive")
    (tmp_path / "drive" / "drive_0.mcap").unlink()
    reader = BagReader(tmp_path / "drive")
    assert reader.counts["/odom"] == FRAMES / 2
    assert reader.problems == ["metadata.yaml: names drive_0.mcap, which is not there"]


def test_a_whole_bag_has_no_problems(whole: Path) -> None:
    reader = BagReader(whole)
    assert sum(1 for _ in reader.raw(set(reader.topics))) == 2 * FRAMES
    assert (reader.problems, reader.interrupted) == ([], False)


@pytest.mark.parametrize("name", ["drive.mcap", "drive.db3"])
@pytest.mark.parametrize("content", [b"", b"hello", bytes(4096)])
def test_what_holds_no_message_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BagError, match=rf"{name}: is cut off or corrupt, no message can be read"):
        BagReader(tmp_path / name)
