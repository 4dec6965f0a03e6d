# SPDX-License-Identifier: Apache-2.0
"""A recording in several files is one bag, and each of its files a bag by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from rosbags.rosbag2 import Reader

from tidegate.bag import BagReader, BagWriter
from tidegate.bag.mcap_file import CHUNK_BYTES
from tidegate.records import Frame, Odometry

PERIOD = 50_000_000
CONTRACT = {"robot": "car"}
FRAMES = 60


def record(path: Path, max_size: int = 0, max_duration_s: float = 0.0) -> list[int]:
    """Noise, which is as large compressed; the times of receipt."""
    random = np.random.default_rng(0)
    stamps = [10**9 + index * PERIOD for index in range(FRAMES)]
    with BagWriter(path, CONTRACT, max_size=max_size, max_duration_s=max_duration_s) as writer:
        for stamp in stamps:
            writer.write("camera/image_raw", Frame(stamp, random.integers(0, 255, (80, 80, 3), dtype=np.uint8)))
            writer.write("odom", Odometry(stamp, 0.0, 0.0, 0.0, 1.0, 0.0))
    return stamps


def received(path: Path) -> list[tuple[str, int]]:
    """By the public library alone."""
    with Reader(path) as reader:
        return [(connection.topic, stamp) for connection, stamp, _ in reader.messages()]


@pytest.mark.parametrize("limit", [{"max_size": 300_000}, {"max_duration_s": 1.0}])
def test_files_stay_within_the_limit_and_are_read_as_one(tmp_path: Path, limit: dict[str, float]) -> None:
    stamps = record(tmp_path / "drive", **limit)
    files = sorted((tmp_path / "drive").glob("*.mcap"))
    assert [file.name for file in files] == [f"drive_{index}.mcap" for index in range(len(files))]
    assert len(files) >= 3
    for file in files:
        inside = [stamp for _, stamp in received(file)]
        assert inside
        if "max_size" in limit:
            assert file.stat().st_size < limit["max_size"] + 2 * CHUNK_BYTES
        else:
            assert inside[-1] - inside[0] < 1e9
        assert BagReader(file).contract() == CONTRACT
    expected = [(topic, stamp) for stamp in stamps for topic in ("/camera/image_raw", "/odom")]
    assert received(tmp_path / "drive") == expected
    reader = BagReader(tmp_path / "drive")
    assert [(name, stamp) for name, _, stamp, _ in reader.raw(set(reader.topics))] == expected
    assert (reader.interrupted, reader.problems) == (False, [])


def test_metadata_lists_every_file_with_its_part(tmp_path: Path) -> None:
    record(tmp_path / "drive", max_duration_s=1.0)
    told = yaml.safe_load((tmp_path / "drive" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert told["relative_file_paths"] == ["drive_0.mcap", "drive_1.mcap", "drive_2.mcap"]
    assert [file["path"] for file in told["files"]] == told["relative_file_paths"]
    assert [file["message_count"] for file in told["files"]] == [40, 40, 40]
    assert [file["duration"]["nanoseconds"] for file in told["files"]] == [19 * PERIOD] * 3
    assert told["message_count"] == sum(topic["message_count"] for topic in told["topics_with_message_count"]) == 120
    assert told["custom_data"] == CONTRACT


def test_one_file_without_a_limit(tmp_path: Path) -> None:
    record(tmp_path / "drive")
    assert [file.name for file in (tmp_path / "drive").glob("*.mcap")] == ["drive_0.mcap"]
