# SPDX-License-Identifier: Apache-2.0
"""Bags that are whole, cut off, empty or no time series."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcap.reader import make_reader
from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from tidegate.bag import BagReader, BagWriter, align, typestore
from tidegate.bag.align import newest_before
from tidegate.bag.reader import relative
from tidegate.errors import BagError
from tidegate.messages import TOPICS, encode
from tidegate.records import Frame, LaneEstimate, Nominal, Odometry

PERIOD = 50_000_000


def frame(stamp: int, value: int = 0, seed: int = 0) -> Frame:
    image = np.random.default_rng(seed).integers(0, 255, (8, 16, 3), dtype=np.uint8)
    image[0, 0] = value
    return Frame(stamp, image)


def record_drive(path: Path, frames: list[Frame], labels: bool = True, odometry_from: int = 0) -> None:
    with BagWriter(path) as writer:
        for index, item in enumerate(frames):
            if index >= odometry_from:
                writer.write("odom", Odometry(item.stamp - 1, 0.0, 0.0, 0.0, 0.5 * index, 0.0), item.stamp)
            writer.write("camera/image_raw", item)
            if labels:
                writer.write("expert/nominal", Nominal(item.stamp, 10.0 * index, 0.01))
                bound = np.zeros(4)
                writer.write("expert/lane", LaneEstimate(item.stamp, 0.1 * index, 0.2, np.array([0.3, 0.4]), bound))


def moving(count: int) -> list[Frame]:
    return [frame(1000 + index * PERIOD, index) for index in range(count)]


def test_what_was_written_is_read_in_order(tmp_path: Path) -> None:
    frames = moving(5)
    record_drive(tmp_path / "drive", frames)
    reader = BagReader(tmp_path / "drive")
    assert not reader.interrupted
    assert reader.counts["/camera/image_raw"] == 5
    found = list(reader.messages(["camera/image_raw", "odom"]))
    assert [topic for topic, _, _ in found[:2]] == ["odom", "camera/image_raw"]
    images = [record for topic, _, record in found if topic == "camera/image_raw"]
    for one, other in zip(images, frames, strict=True):
        assert one.stamp == other.stamp
        np.testing.assert_array_equal(one.image, other.image)


def test_the_bag_opens_with_rosbags(tmp_path: Path) -> None:
    record_drive(tmp_path / "drive", moving(5))
    with Reader(tmp_path / "drive") as reader:
        assert reader.message_count == 20
        assert reader.start_time == 1000
        assert reader.duration == 4 * PERIOD + 1
        assert {c.topic: c.msgtype for c in reader.connections}["/odom"] == "nav_msgs/msg/Odometry"
        assert all(connection.digest or connection.msgdef.data for connection in reader.connections)


def test_sqlite_bags_in_a_namespace_are_read(tmp_path: Path) -> None:
    with Writer(tmp_path / "old", version=8, storage_plugin=StoragePlugin.SQLITE3) as writer:
        kind = TOPICS["camera/image_raw"].type
        connection = writer.add_connection("/robot1/camera/image_raw", kind, typestore=typestore.STORE)
        for item in moving(3):
            writer.write(connection, item.stamp, typestore.serialise(encode(item, typestore.make)))
    reader = BagReader(tmp_path / "old")
    assert reader.find("camera/image_raw") == "/robot1/camera/image_raw"
    assert [stamp for _, stamp, _ in reader.messages(["camera/image_raw"])] == [1000 + i * PERIOD for i in range(3)]


def test_an_exception_while_recording_loses_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="crash"), BagWriter(tmp_path / "drive") as writer:  # noqa: PT012
        writer.write("odom", Odometry(5, 0.0, 0.0, 0.0, 0.0, 0.0))
        raise RuntimeError("crash")
    assert BagReader(tmp_path / "drive").counts == {"/odom": 1}


RECORDER = """
import sys, numpy as np
from tidegate.bag import BagWriter
from tidegate.records import Frame, Odometry
random = np.random.default_rng(0)
writer = BagWriter(sys.argv[1])
for index in range(10**6):
    writer.write("camera/image_raw", Frame(index * 1000, random.integers(0, 255, (80, 160, 3), dtype=np.uint8)))
    writer.write("odom", Odometry(index * 1000, 0.0, 0.0, 0.0, 1.0, 0.0))
    print(index, flush=True)
"""


def test_a_killed_recording_is_read_up_to_the_kill(tmp_path: Path) -> None:
    path = tmp_path / "killed"
    recorder = subprocess.Popen([sys.executable, "-c", RECORDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert recorder.stdout is not None
    written = -1
    while written < 50:
        written = int(recorder.stdout.readline())
    os.kill(recorder.pid, signal.SIGKILL)
    written = max([written, *(int(line) for line in recorder.stdout.read().splitlines() if line.isdigit())])
    recorder.wait()
    reader = BagReader(path)
    assert reader.interrupted
    stamps = [record.stamp for _, _, record in reader.messages(["camera/image_raw"])]
    assert stamps == [index * 1000 for index in range(len(stamps))]
    assert written - 4 <= len(stamps) <= written + 2  # at most the last chunk is lost: two images


def test_a_file_cut_anywhere_is_read_or_refused_but_never_crashes(tmp_path: Path) -> None:
    record_drive(tmp_path / "drive", moving(40))
    whole = (tmp_path / "drive" / "drive_0.mcap").read_bytes()
    counts = []
    for index, size in enumerate(np.linspace(0, len(whole) - 1, 60).astype(int)):
        path = tmp_path / f"cut{index}.mcap"
        path.write_bytes(whole[:size])
        try:
            reader = BagReader(path)
        except BagError:
            counts.append(0)
            continue
        assert reader.interrupted
        counts.append(sum(1 for _ in reader.raw(set(reader.topics))))
    assert counts == sorted(counts)
    assert counts[-1] == 160


def test_a_cut_file_beside_its_metadata_is_read(tmp_path: Path) -> None:
    record_drive(tmp_path / "drive", moving(40))
    file = tmp_path / "drive" / "drive_0.mcap"
    file.write_bytes(file.read_bytes()[:-200])
    drive = align(BagReader(tmp_path / "drive"), lambda image: image)
    assert drive.interrupted
    assert len(drive.stamp) == 40


def test_wrong_bytes_are_named(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "drive") as writer:
        writer.write_raw("/camera/image_raw", TOPICS["camera/image_raw"].type, b"\x00\x01\x00\x00nonsense", 5)
    with pytest.raises(BagError, match=r"/camera/image_raw at 5 ns is corrupt"):
        list(BagReader(tmp_path / "drive").messages(["camera/image_raw"]))


def refused(path: Path, said: str, **options: Any) -> None:
    with pytest.raises(BagError, match=said):
        align(BagReader(path), lambda image: image, **options)


def test_missing_things_are_named(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "no such bag")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "is no bag")
    (tmp_path / "text.mcap").write_text("hello")
    refused(tmp_path / "text.mcap", "no message can be read")
    for storage in ("folder.mcap", "folder.db3"):  # stands for whatever the system does not let be read
        (tmp_path / "unreadable" / storage).mkdir(parents=True)
        refused(tmp_path / "unreadable", "folder.* cannot be read|no message can be read")
        (tmp_path / "unreadable" / storage).rmdir()
    with BagWriter(tmp_path / "blind") as writer:
        writer.write("odom", Odometry(5, 0.0, 0.0, 0.0, 0.0, 0.0))
    refused(tmp_path / "blind", r"no camera images.*its topics: /odom")
    record_drive(tmp_path / "unlabelled", moving(4), labels=False)
    refused(tmp_path / "unlabelled", "no topic 'expert/nominal'")
    assert len(align(BagReader(tmp_path / "unlabelled"), lambda image: image, labels=False).stamp) == 4
    with pytest.raises(BagError, match="exists already"):
        BagWriter(tmp_path / "blind")


def test_other_types_and_doubled_topics_are_named(tmp_path: Path) -> None:
    text = typestore.serialise(typestore.make("std_msgs/msg/String"))
    with BagWriter(tmp_path / "drive") as writer:
        writer.write_raw("/odom", "std_msgs/msg/String", text, 0)
        for space in ("/a", "/b"):
            writer.write_raw(
                f"{space}/imu", TOPICS["imu"].type, typestore.serialise(typestore.make(TOPICS["imu"].type)), 0
            )
        with pytest.raises(BagError, match="is std_msgs/msg/String"):
            writer.write("odom", Odometry(5, 0.0, 0.0, 0.0, 0.0, 0.0))
        with pytest.raises(BagError, match="unknown type"):
            writer.write_raw("/x", "foo_msgs/msg/Bar", text, 0)
    reader = BagReader(tmp_path / "drive")
    with pytest.raises(BagError, match=r"must be nav_msgs/msg/Odometry"):
        reader.find("odom")
    assert relative("/car/expert/nominal") == "expert/nominal"
    assert relative("/car/nominal") == relative("/nominal") == "nominal"
    assert relative("/something/else") == ""
    with pytest.raises(BagError, match=r"more than once: /a/imu, /b/imu"):
        reader.find("imu")


def test_what_is_no_time_series_is_refused_with_the_reason(tmp_path: Path) -> None:
    record_drive(tmp_path / "one", moving(1))
    refused(tmp_path / "one", r"no time series: it has 1 camera frame")
    record_drive(tmp_path / "stuck", [frame(1000, 1), frame(2000, 2), frame(2000, 3)])
    refused(tmp_path / "stuck", r"stamp of frame 2 \(2000 ns\) does not advance on that of frame 1")
    record_drive(tmp_path / "stills", [frame(1000 + index * PERIOD) for index in range(5)])
    refused(tmp_path / "stills", "all 5 camera frames are the same still image")
    record_drive(tmp_path / "late", moving(5), odometry_from=2)
    refused(tmp_path / "late", "odometry starts after the camera, 2 frames have none")


def test_frames_meet_their_labels_and_the_newest_odometry(tmp_path: Path) -> None:
    record_drive(tmp_path / "drive", moving(6))
    drive = align(BagReader(tmp_path / "drive"), lambda image: image[:2])
    assert drive.images.shape == (6, 2, 16, 3)
    np.testing.assert_allclose(drive.speed, 0.5 * np.arange(6))
    np.testing.assert_allclose(drive.force, 10.0 * np.arange(6))
    np.testing.assert_allclose(drive.lane[3], [0.3, 0.2, 0.3, 0.4])


def test_pairing_by_stamp() -> None:
    second = 10**9
    found = newest_before([3, 1, 2 * second], [0, 1, 2, 3, second, 2 * second, 4 * second])
    assert found.tolist() == [-1, 1, 1, 0, -1, 2, -1]


def test_recording_keeps_up(tmp_path: Path) -> None:
    """Not a benchmark: 200 camera frames must not take minutes, as they did when images went through lists."""
    started = time.perf_counter()
    image = np.random.default_rng(0).integers(0, 255, (80, 160, 3), dtype=np.uint8)
    with BagWriter(tmp_path / "drive") as writer:
        for index in range(200):
            writer.write("camera/image_raw", Frame(index, image))
    assert BagReader(tmp_path / "drive").counts["/camera/image_raw"] == 200
    print(f"{(time.perf_counter() - started) / 200 * 1e3:.2f} ms per frame")


CARRIED = {
    "robot": "car",
    "settings": "/**:\n  ros__parameters:\n    vehicle: {name: 'car'}  # Größe\n",
    "number": "007",
}


def test_the_contract_travels_in_both_places(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "drive", CARRIED) as writer:
        writer.write("odom", Odometry(5, 0.0, 0.0, 0.0, 0.0, 0.0))
    with Reader(tmp_path / "drive") as reader:
        assert reader.storage.metadata.custom == CARRIED
    (file,) = (tmp_path / "drive").glob("*.mcap")
    with file.open("rb") as stream:
        assert {item.name: item.metadata for item in make_reader(stream).iter_metadata()} == {"tidegate": CARRIED}
    for path in (tmp_path / "drive", file):
        assert BagReader(path).contract() == CARRIED


def test_an_interrupted_recording_has_its_contract(tmp_path: Path) -> None:
    writer = BagWriter(tmp_path / "drive", CARRIED)
    for item in moving(300):
        writer.write("camera/image_raw", item)
    assert BagReader(tmp_path / "drive").interrupted
    assert BagReader(tmp_path / "drive").contract() == CARRIED
    writer.close()


def test_a_bag_without_contract_says_nothing(tmp_path: Path) -> None:
    record_drive(tmp_path / "drive", moving(2))
    assert BagReader(tmp_path / "drive").contract() == {}
