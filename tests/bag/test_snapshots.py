# SPDX-License-Identifier: Apache-2.0
"""The seconds around interventions: which messages, in how many bags, against windows laid over all that was sent."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.bag import BagReader, BagWriter, Snapshots
from tidegate.bag.typestore import make, serialise
from tidegate.errors import BagError
from tidegate.messages import TOPICS, encode
from tidegate.records import BarrierState, Frame, Mode, SafetyState

SECOND = 10**9
STEP = SECOND // 10
START = 1_700_000_000 * SECOND
TOPIC = "safety_node/barriers"
BEFORE_S, AFTER_S = 3.0, 2.0
BIG = 10**9


def state(mode: Mode, intervened: str = "") -> bytes:
    barriers = (BarrierState("distance", 1.0, 1.0, 0.0), BarrierState("lane", 1.0, 1.0, 0.0))
    return serialise(encode(SafetyState(0, mode, (0.0, 0.0), (0.0, 0.0), barriers, intervened), make))


QUIET, ACTS = state(Mode.NORMAL), state(Mode.NORMAL, "distance")


def bags(folder: Path) -> dict[str, list[int]]:
    """Steps in each snapshot by its name."""
    return {
        path.name: [(stamp - START) // STEP for _, _, stamp, _ in BagReader(path).raw({f"/car/{TOPIC}"})]
        for path in sorted(folder.iterdir())
    }


def run(folder: Path, states: list[bytes], max_size: int = BIG) -> dict[str, list[int]]:
    ring = Snapshots(folder, BEFORE_S, AFTER_S, max_size, {"robot": "car"})
    for index, data in enumerate(states):
        ring.write_raw(f"/car/{TOPIC}", TOPICS[TOPIC].type, data, START + index * STEP)
    ring.close()
    return bags(folder)


@settings(max_examples=25)
@given(st.sets(st.integers(1, 199), max_size=5))
def test_every_window_is_kept_once_and_those_that_overlap_are_one(at: set[int]) -> None:
    onsets = [index for index in sorted(at) if index - 1 not in at]
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder) / "snapshots", [ACTS if index in at else QUIET for index in range(200)])
    windows: list[list[int]] = []
    for onset in onsets:
        low, high = max(0, onset - 30), min(199, onset + 20)
        if windows and onset - 30 <= windows[-1][1]:
            windows[-1][1] = high
        else:
            windows.append([low, high])
    assert list(found.values()) == [list(range(low, high + 1)) for low, high in windows]


def test_a_mode_that_leaves_normal_is_a_cause_and_a_start_is_none(tmp_path: Path) -> None:
    stopped, normal, hold = (state(mode) for mode in (Mode.STOPPED, Mode.NORMAL, Mode.HOLD))
    found = run(tmp_path / "snapshots", [stopped] * 50 + [normal] * 50 + [hold] * 50 + [stopped] * 20)
    (name,) = found
    assert name == "20231114T221330.000Z_HOLD"
    assert found[name] == list(range(70, 121))
    told = BagReader(tmp_path / "snapshots" / name).contract()
    assert told == {"robot": "car", "snapshot_cause": "HOLD", "snapshot_at_ns": str(START + 100 * STEP)}


def test_an_intervention_that_lasts_is_one_cause(tmp_path: Path) -> None:
    found = run(tmp_path / "snapshots", [QUIET] * 40 + [ACTS] * 100)
    assert list(found.values()) == [list(range(10, 61))]


def test_everything_that_was_heard_is_in_it(tmp_path: Path) -> None:
    ring = Snapshots(tmp_path / "snapshots", BEFORE_S, AFTER_S, BIG)
    image = serialise(encode(Frame(0, np.zeros((4, 4, 3), np.uint8)), make))
    for index in range(60):
        ring.write_raw("/camera/image_raw", TOPICS["camera/image_raw"].type, image, START + index * STEP)
        ring.write_raw(f"/{TOPIC}", TOPICS[TOPIC].type, ACTS if index == 40 else QUIET, START + index * STEP)
        ring.write_raw(f"/{TOPIC}", TOPICS[TOPIC].type, b"nonsense", START + index * STEP)
    ring.close()
    (path,) = (tmp_path / "snapshots").iterdir()
    reader = BagReader(path)
    assert reader.counts == {"/camera/image_raw": 50, f"/{TOPIC}": 100}
    assert not reader.interrupted


def test_the_folder_stays_within_its_room_and_nothing_else_is_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "snapshots"
    with BagWriter(folder / "mine") as writer:
        writer.write_raw("/a", "std_msgs/msg/Empty", b"\0\1\0\0\0", 1)
    pattern = [QUIET] * 60 + [ACTS] * 2
    run(tmp_path / "one", pattern)
    size = sum(file.stat().st_size for file in (tmp_path / "one").rglob("*") if file.is_file())
    ring = Snapshots(folder, BEFORE_S, AFTER_S, 5 * size)
    for index, data in enumerate(pattern * 10):
        ring.write_raw(f"/car/{TOPIC}", TOPICS[TOPIC].type, data, START + index * STEP)
    ring.close()
    names = sorted(path.name for path in folder.iterdir())
    assert "mine" in names
    kept = [name for name in names if name != "mine"]
    assert 2 <= len(kept) <= 5
    assert kept[-1] == "20231114T221421.800Z_distance"  # 61.8 s after the start: the newest stay
    taken = sum(file.stat().st_size for name in kept for file in (folder / name).iterdir())
    assert taken <= 5 * size


def test_a_filter_that_never_rests_does_not_fill_the_disk(tmp_path: Path) -> None:
    """An intervention every other tick extends the snapshot for ever: it ends at a quarter of the room."""
    random = np.random.default_rng(0)
    ring = Snapshots(tmp_path / "snapshots", BEFORE_S, AFTER_S, 400_000)
    for index in range(300):
        noise = serialise(encode(Frame(0, random.integers(0, 255, (40, 40, 3), dtype=np.uint8)), make))
        ring.write_raw("/camera/image_raw", TOPICS["camera/image_raw"].type, noise, START + index * STEP)
        ring.write_raw(f"/{TOPIC}", TOPICS[TOPIC].type, ACTS if index % 2 else QUIET, START + index * STEP)
    ring.close()
    sizes = [sum(file.stat().st_size for file in path.iterdir()) for path in (tmp_path / "snapshots").iterdir()]
    assert len(sizes) > 1
    assert sum(sizes) <= 400_000
    assert max(sizes) < 250_000


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BagError, match=r"file/snapshots: cannot be made"):
        Snapshots(tmp_path / "file" / "snapshots", 1.0, 1.0, BIG)
