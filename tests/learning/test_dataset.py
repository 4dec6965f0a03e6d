# SPDX-License-Identifier: Apache-2.0
"""Windows of drives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made import RECIPE, drive

from tidegate.bag import BagReader, BagWriter, bag_hash, bags_in, labelled
from tidegate.curation.split import split
from tidegate.errors import BagError
from tidegate.learning.dataset import FEW, Windows, load_drive, read_bags
from tidegate.settings import Settings


def test_a_batch_keeps_frames_and_labels_together() -> None:
    batch = Windows([drive(20), drive(30)], RECIPE, 2000.0, 0.05).draw(np.random.default_rng(0))
    assert batch.images.shape == (5, 8, 2, 3, 3)
    index = batch.images[:, :, 0, 0, 0].astype(float)
    assert (np.diff(index, axis=1) == 1).all()
    np.testing.assert_allclose(batch.speed, index)
    np.testing.assert_allclose(batch.acceleration, index / 2)
    np.testing.assert_allclose(batch.lane[..., 3], index)
    np.testing.assert_allclose(batch.dt, 0.05, rtol=1e-5)


def test_windows_keep_the_true_time_steps_but_no_gap() -> None:
    stamp = 50_000_000 * np.arange(30, dtype=np.int64)
    stamp[12:] += 50_000_000  # a dropped frame
    stamp[20:] += 3_000_000_000  # the camera paused
    windows = Windows([drive(30, stamp=stamp)], RECIPE, 1.0, 0.05)
    # 0…19 holds 13 windows, 20…29 three; each may begin with the frame after the pause
    assert len(windows) == 13 + 2
    batch = windows.batch([(0, 8)])
    np.testing.assert_allclose(batch.dt[0], [0.05] * 4 + [0.1] + [0.05] * 3, rtol=1e-5)


def test_unlabelled_frames_are_left_out() -> None:
    lane = np.zeros((30, 6))
    lane[10] = np.nan
    assert len(Windows([drive(30, lane=lane)], RECIPE, 1.0, 0.05)) == 3 + 12


def test_a_drive_that_tells_of_no_lane_teaches_the_command_alone() -> None:
    known = drive(30, lane=np.full((30, 6), np.nan))
    assert labelled(known).all()
    assert len(Windows([known], RECIPE, 1.0, 0.05)) == len(Windows([drive(30)], RECIPE, 1.0, 0.05))


def test_frames_whose_force_is_no_lesson_stay() -> None:
    known = drive(30, force=np.full(30, np.nan))
    assert labelled(known).all()
    assert len(Windows([known], RECIPE, 1.0, 0.05)) == len(Windows([drive(30)], RECIPE, 1.0, 0.05))


def test_validation_takes_every_frame_at_most_once() -> None:
    windows = Windows([drive(20), drive(30)], RECIPE, 1.0, 0.05)
    batches = windows.every()
    assert [len(batch.images) for batch in batches] == [5]
    starts = sorted(batch.images[index, 0, 0, 0, 0] for batch in batches for index in range(5))
    assert starts == [0, 0, 8, 8, 16]


def test_too_short_drives_are_refused() -> None:
    with pytest.raises(BagError, match=r"no window of 8 labelled frames.*2 bag.*longest has 7"):
        Windows([drive(7), drive(5)], RECIPE, 1.0, 0.05)


def test_several_processes_read_the_same_as_one(bags: list[Path], settings: Settings) -> None:
    jobs = [(index, bags[index % 2], None) for index in range(FEW)]
    one, two = (dict(read_bags(jobs, settings.perception, processes=number)) for number in (1, 2))
    assert set(one) == set(two) == set(jobs)
    for job in jobs:
        (drive, digest), (other, same) = one[job], two[job]
        assert digest == same == bag_hash(job[1])
        for name in ("stamp", "images", "speed", "force", "curvature", "lane"):
            np.testing.assert_array_equal(getattr(drive, name), getattr(other, name))


def test_a_bag_that_cannot_be_read_is_named_by_whatever_process(
    bags: list[Path], settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "broken.mcap").write_bytes(b"hello")
    jobs = [(index, bags[0], None) for index in range(FEW - 1)] + [(FEW, tmp_path / "broken.mcap", None)]
    with pytest.raises(BagError, match=r"broken\.mcap: is cut off or corrupt"):
        list(read_bags(jobs, settings.perception, processes=2))


def test_topics_of_other_names_are_read_where_they_are_told(
    bags: list[Path], settings: Settings, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    reader = BagReader(bags[0])
    with BagWriter(other) as writer:
        for name, kind, received, data in reader.raw(set(reader.topics)):
            writer.write_raw("/wheel/odometry" if name == "/odom" else name, kind, data, received)
    told, _ = load_drive(other, settings.perception, {"/wheel/odometry": "odom"})
    np.testing.assert_array_equal(told.speed, load_drive(bags[0], settings.perception)[0].speed)
    with pytest.raises(BagError, match="no topic 'odom'"):
        load_drive(other, settings.perception)


def test_labels_of_another_preview_are_refused(bags: list[Path], settings: Settings) -> None:
    with pytest.raises(BagError, match=r"have 4 curvatures; perception.preview_m has 2"):
        load_drive(bags[0], replace(settings.perception, preview_m=(0.0, 10.0)))


def test_a_bag_is_never_on_both_sides() -> None:
    paths = [Path(str(index)) for index in range(25)]
    train, held = split(paths, 0.2, 3)
    assert len(held) == 5
    assert sorted([*train, *held]) == sorted(paths)
    assert split(paths, 0.2, 3) == (train, held)
    assert split(paths[:1], 0.2, 3) == (paths[:1], [])


def test_bags_are_found_and_their_absence_is_named(bags: list[Path], tmp_path: Path) -> None:
    assert bags_in([bags[0].parent]) == sorted(bags)
    assert bags_in([bags[1]]) == [bags[1]]
    with pytest.raises(BagError, match="holds no bag"):
        bags_in([tmp_path])
