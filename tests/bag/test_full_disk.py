# SPDX-License-Identifier: Apache-2.0
"""Writing fails: what was recorded before stays readable, and nobody waits."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from disks import small_disk
from mcap.stream_reader import StreamReader

from tidegate.bag import BackgroundWriter, BagReader, BagWriter
from tidegate.bag.sink import Sink
from tidegate.errors import BagError
from tidegate.records import Frame

IMAGE = np.random.default_rng(0).integers(0, 255, (80, 160, 3), dtype=np.uint8)


def fill(writer: BagWriter) -> int:
    """Write until it fails; how many were taken."""
    taken = 0
    with pytest.raises(BagError, match="No space left on device"):  # noqa: PT012
        while taken < 10**4:
            writer.write("camera/image_raw", Frame(taken, IMAGE))
            taken += 1
    return taken


@pytest.mark.parametrize("split", [0, 300_000])
def test_a_full_disk_keeps_what_was_recorded(tmp_path: Path, split: int) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        writer = BagWriter(disk / "drive", {"robot": "car"}, max_size=split)
        taken = fill(writer)
        with pytest.raises(BagError, match="cannot be written"):
            writer.write("camera/image_raw", Frame(taken, IMAGE))
        writer.close()
        reader = BagReader(disk / "drive")
        stamps = [record.stamp for _, _, record in reader.messages(["camera/image_raw"])]
        assert stamps == list(range(len(stamps)))
        assert taken - 3 <= len(stamps) <= taken + 1  # at most the chunk that found no room is lost: two images
        assert len(stamps) > 15
        assert reader.contract() == {"robot": "car"}


def test_a_bag_is_whole_where_room_was_made_before_its_end(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        (disk / "ballast").write_bytes(bytes(200_000))
        writer = BagWriter(disk / "drive")
        taken = fill(writer)
        (disk / "ballast").unlink()
        writer.close()
        reader = BagReader(disk / "drive")
        assert not reader.interrupted
        assert reader.counts["/camera/image_raw"] == taken + 1  # the one that found no room has it now
        assert reader.problems == []


def test_a_failed_write_is_taken_back(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        sink = Sink(disk / "file")
        sink.write(b"a" * 40_000)
        with pytest.raises(OSError, match="No space left"):
            sink.write(b"b" * 40_000)
        assert sink.tell() == 40_000
        sink.write(b"c" * 10_000)
        sink.close()
        assert (disk / "file").read_bytes() == b"a" * 40_000 + b"c" * 10_000


def test_a_disk_without_room_at_all_is_named(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        with pytest.raises(OSError, match="No space"):
            (disk / "ballast").write_bytes(bytes(2**20))
        with pytest.raises(BagError, match=r"drive: cannot be made \(No space left on device\)"):
            BagWriter(disk / "drive")
        assert not (disk / "drive").exists()


class Slow:
    """A disk that does not answer until it is released."""

    def __init__(self) -> None:
        self.released, self.got = threading.Event(), []

    def write_raw(self, topic: str, type_name: str, data: bytes, stamp: int) -> None:
        self.released.wait(60)
        self.got.append(stamp)

    def flush(self) -> None: ...

    def close(self) -> None: ...


def test_messages_are_taken_while_the_disk_stalls() -> None:
    disk = Slow()
    writer = BackgroundWriter([disk])
    for stamp in range(5000):
        writer.put("/odom", "nav_msgs/msg/Odometry", stamp, bytes(700))
    assert disk.got == []
    disk.released.set()
    writer.close()
    assert disk.got == list(range(5000))
    assert (writer.failure, writer.lost) == ("", 0)


def test_beyond_its_room_messages_are_lost_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.bag.background.ROOM_BYTES", 10_000)
    disk = Slow()
    writer = BackgroundWriter([disk])
    for stamp in range(100):
        writer.put("/odom", "nav_msgs/msg/Odometry", stamp, bytes(1000))
    disk.released.set()
    writer.close()
    assert 10 <= len(disk.got) == 100 - writer.lost < 100


def test_a_disk_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.bag.background.END_S", 0.2)
    disk = Slow()
    writer = BackgroundWriter([disk])
    writer.put("/odom", "nav_msgs/msg/Odometry", 0, b"")
    writer.close()
    assert "did not answer" in writer.failure
    disk.released.set()


def test_what_waits_is_on_the_disk_within_a_moment_though_nothing_more_comes(tmp_path: Path) -> None:
    """Less than a chunk: without a flush by time it would be lost with the process."""
    bag = BagWriter(tmp_path / "drive")
    flushed = threading.Event()
    inner = bag.flush
    bag.flush = lambda: (inner(), bag.counts and flushed.set())  # type: ignore[method-assign, assignment]
    writer = BackgroundWriter([bag])
    writer.put("/a", "std_msgs/msg/Empty", 7, b"\0\1\0\0\0")
    assert flushed.wait(60)
    reader = BagReader(tmp_path / "drive")
    assert (reader.interrupted, [item[2] for item in reader.raw({"/a"})]) == (True, [7])
    writer.close()
    with (tmp_path / "drive" / "drive_0.mcap").open("rb") as file:
        assert sum(type(record).__name__ == "Message" for record in StreamReader(file).records) == 1
