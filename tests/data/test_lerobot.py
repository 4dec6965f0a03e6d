# SPDX-License-Identifier: Apache-2.0
"""LeRobot v3 data sets in and out, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_bags import bag
from tubs import CAR, Take, jpeg, tub, views

from tidegate.bag import BagReader, align
from tidegate.errors import BagError, DataError
from tidegate.messages.compressed import decompress

pytest.importorskip("pyarrow", reason="pip install 'tidegate[data]'")
pytest.importorskip("av", reason="pip install 'tidegate[data]'")

import av
import pyarrow as pa
import pyarrow.parquet as pq
from foreign_lerobot import CAMERA, DATA, FPS, VIDEO, action, info, lerobot, save

from tidegate.data.bags import write_bags
from tidegate.data.detect import read
from tidegate.data.lerobot_export import export_lerobot
from tidegate.data.mapping import DataMap, Source, VehicleMap

CHANNELS = {"steering": {"key": "action", "fields": ["steering"]}, "speed": "observation.speed"}
TWIST = {
    "speed_command": {"key": "/cmd_vel", "fields": ["twist.linear.x"]},
    "yaw_rate": {"key": "/cmd_vel", "fields": ["twist.angular.z"]},
}


def drives(found: Any) -> list[Any]:
    return [align(BagReader(bag), lambda image: image) for bag in found.bags]


def test_each_episode_of_a_video_becomes_a_bag(take: Take, tmp_path: Path) -> None:
    found = take(lerobot(tmp_path / "set"), channels=CHANNELS)
    first, second = drives(found)
    shown = np.stack(views(60)).astype(float)
    for drive, part in ((first, shown[:25]), (second, shown[25:])):
        assert np.abs(drive.images - part).mean() < 12  # as H.264 keeps colours, at half the resolution
        far = np.abs(drive.images[:, None] - part[None]).mean(axis=(2, 3, 4))
        assert (far.argmin(axis=1) == np.arange(len(part)))[1:-1].mean() > 0.8  # the frame of that time, not another
        np.testing.assert_allclose(np.diff(drive.stamp), 1e9 / FPS, atol=200)
        np.testing.assert_allclose(drive.curvature, np.tan(action(len(part))[:, 0].astype(float)) / 0.2)
    np.testing.assert_allclose(second.speed, 2 + 0.01 * np.arange(25, 60), rtol=1e-6)


def test_pictures_in_the_table_are_kept_as_they_are(take: Take, tmp_path: Path) -> None:
    found = take(lerobot(tmp_path / "set", stored=True), channels=CHANNELS)
    shown = np.concatenate([drive.images for drive in drives(found)])
    np.testing.assert_array_equal(shown, np.stack([decompress(jpeg(one)) for one in views(60)]))


def test_throttle_by_its_place_and_a_camera_by_name(take: Take, tmp_path: Path) -> None:
    channels = {"steering": {"key": "action", "fields": ["0"]}, "throttle": {"key": "action", "fields": ["1"]}}
    found = take(lerobot(tmp_path / "set"), channels=channels, camera=CAMERA)
    np.testing.assert_allclose(drives(found)[0].speed, 2.0)


def test_frames_that_the_video_lacks_are_left_out(take: Take, tmp_path: Path) -> None:
    path = lerobot(tmp_path / "set")
    other = lerobot(tmp_path / "short", (25, 20))
    place = VIDEO.format(video_key=CAMERA, chunk_index=0, file_index=0)
    shutil.copyfile(other / place, path / place)
    found = take(path, channels=CHANNELS)
    assert found.frames == 45
    assert found.tally.left_out == {"video has no frame at that time": 15}


def edited(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    file = path / "meta/info.json"
    told = json.loads(file.read_text("utf-8"))
    change(told)
    file.write_text(json.dumps(told), "utf-8")


def write(name: str, data: bytes) -> Callable[[Path], Any]:
    return lambda path: (path / name).write_bytes(data)


def cut(name: str) -> Callable[[Path], Any]:
    return lambda path: (path / name).write_bytes((path / name).read_bytes()[:300])


def rewritten(**columns: Any) -> Callable[[Path], Any]:
    def change(path: Path) -> None:
        shutil.rmtree(path)
        lerobot(path, **columns)

    return change


def episodes(**changes: Any) -> Callable[[Path], Any]:
    def change(path: Path) -> None:
        file = path / "meta/episodes/chunk-000/file-000.parquet"
        told = pq.read_table(file).to_pydict() | {name.replace("__", "/"): value for name, value in changes.items()}
        save(file, **{name: pa.array(value) for name, value in told.items() if value is not None})

    return change


DATA_FILE, VIDEO_FILE = (
    DATA.format(chunk_index=0, file_index=0),
    VIDEO.format(video_key=CAMERA, chunk_index=0, file_index=0),
)
EPISODES_FILE = "meta/episodes/chunk-000/file-000.parquet"
BROKEN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "info is no JSON": (write("meta/info.json", b"{"), "info.json: is broken"),
    "info is a list": (write("meta/info.json", b"[]"), "info.json: must be an object; it is list"),
    "version 2": (lambda path: info(path, codebase_version="v2.1"), "'codebase_version' is v2.1; .*v21_to_v30"),
    "version 4": (lambda path: info(path, codebase_version="v4.0"), "'codebase_version' is v4.0; it must be v3.0"),
    "no rate": (lambda path: info(path, fps=0), "'fps' is 0; it must be above 0"),
    "features are text": (lambda path: info(path, features="action"), "'features' must describe each column"),
    "template with attributes": (
        lambda path: info(path, data_path="{chunk_index.__class__}"),
        "'data_path' is '{chunk_index.__class__}'; it must be a path",
    ),
    "template that is wide": (lambda path: info(path, data_path="{chunk_index:09999999d}"), "'data_path' is"),
    "template upwards": (
        lambda path: [
            info(path, data_path="../other.parquet"),
            shutil.copyfile(path / DATA_FILE, path / "../other.parquet"),
        ],
        "which is outside of it",
    ),
    "data are missing": (lambda path: (path / DATA_FILE).unlink(), "file-000.parquet: is missing"),
    "data are cut off": (cut(DATA_FILE), "is no Parquet file, or a broken one"),
    "data are text": (write(DATA_FILE, b"hello"), "is no Parquet file, or a broken one"),
    "a column is missing": (
        lambda path: edited(path, lambda told: told["features"].pop("observation.speed")),
        "channel 'speed': no column 'observation.speed'; it has action",
    ),
    "no such name": (
        lambda path: edited(path, lambda told: told["features"]["action"].update(names=["turn", "gas"])),
        "channel 'steering': 'action' has no 'steering'; it has turn, gas",
    ),
    "column of text": (
        rewritten(**{"observation.speed": pa.array(["fast"] * 60)}),
        "does not hold what meta/info.json says",
    ),
    "vectors too short": (
        rewritten(action=pa.array([[]] * 60, pa.list_(pa.float32()))),
        "column 'action' does not hold what",
    ),
    "time is none": (rewritten(timestamp=pa.array([float("nan")] * 60)), "'timestamp' that is no time"),
    "no episodes": (lambda path: shutil.rmtree(path / "meta/episodes"), "tells of no episode"),
    "episodes are cut off": (cut(EPISODES_FILE), "is no Parquet file, or a broken one"),
    "no place of data": (episodes(data__file_index=None), "has no column 'data/file_index'"),
    "place below zero": (episodes(data__file_index=[-1, 0]), "'data/file_index' is -1 in episode 0"),
    "video is missing": (lambda path: (path / VIDEO_FILE).unlink(), "file-000.mp4: is missing"),
    "video is text": (write(VIDEO_FILE, b"hello" * 100), "25 × video is broken there|60 × video is broken there"),
    "video is a list of other files": (
        write(VIDEO_FILE, b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n/etc/hostname\n#EXT-X-ENDLIST\n"),
        "60 × video is broken there",
    ),
    "video is cut off": (cut(VIDEO_FILE), "60 × video is broken there"),
    "no camera": (
        lambda path: edited(path, lambda told: told["features"].pop(CAMERA)),
        "pictures: it has no camera",
    ),
    "two cameras": (
        lambda path: edited(path, lambda told: told["features"].update(rear=told["features"][CAMERA])),
        "it has more than one: observation.images.front, rear; name one",
    ),
    "one frame an episode": (rewritten(lengths=[1] * 20), r"20 stretches are refused; the first .*it has 1 frame\(s\)"),
    "time stands": (rewritten(timestamp=pa.array([0.0] * 60)), "24 of 24 stamps do not advance"),
    "time is shuffled": (
        rewritten(timestamp=pa.array(np.random.default_rng(0).permutation(60) / FPS)),
        "stamps do not advance on the one before",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_corrupted_data_sets_give_a_clear_error(case: str, take: Take, tmp_path: Path) -> None:
    change, said = BROKEN[case]
    path = lerobot(tmp_path / "set")
    change(path)
    with pytest.raises(DataError, match=said) as caught:
        take(path, channels=CHANNELS)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def mutated(path: Path, random: np.random.Generator) -> None:
    """A few bytes of one file are others, or its end is missing."""
    files = sorted(file for file in path.rglob("*") if file.is_file())
    file = files[random.integers(len(files))]
    data = bytearray(file.read_bytes())
    if random.random() < 0.2:
        del data[random.integers(len(data)) :]
    for place in random.integers(len(data), size=random.integers(1, 8)) if data else ():
        data[place] = random.integers(256)
    file.write_bytes(data)


def check_mutants(seeds: range, tmp_path: Path) -> None:
    """Each is taken, or refused by one line; what is left in the folder of the import is whole."""
    good = {"set": lerobot(tmp_path / "set"), "tub": tub(tmp_path / "tub"), "bag": bag(tmp_path / "bag", count=30)}
    channels = {"set": CHANNELS, "tub": {}, "bag": TWIST}
    for seed in seeds:
        random = np.random.default_rng(seed)
        name = ("tub", "set", "bag")[seed % 3]
        path, out = Path(shutil.copytree(good[name], tmp_path / str(seed))), tmp_path / f"out{seed}"
        mutated(path, random)
        chart = DataMap(vehicle=VehicleMap(**CAR), channels=sources(channels[name]))
        said = ""
        try:
            write_bags(str(path), read(path, chart), chart, out, 1000.0)
        except (DataError, BagError) as error:
            said = str(error)
        assert "\n" not in said, seed
        assert out.exists() == (not said), seed
        for made in out.glob("*"):
            align(BagReader(made), lambda image: image)
        shutil.rmtree(path)


def sources(channels: dict[str, Any]) -> dict[str, Source]:
    return {
        name: Source(one) if isinstance(one, str) else Source(one["key"], tuple(one["fields"]))
        for name, one in channels.items()
    }


def test_mutated_files_are_taken_or_refused(tmp_path: Path) -> None:
    check_mutants(range(12), tmp_path)


@pytest.mark.slow
def test_hundreds_of_mutated_files_are_taken_or_refused(tmp_path: Path) -> None:
    check_mutants(range(12, 252), tmp_path)


def test_without_a_map_the_columns_are_told(take: Take, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"it has action: steering, throttle; observation.speed: \[1\]"):
        take(lerobot(tmp_path / "set"))


def test_an_import_goes_out_as_a_data_set_and_comes_back(take: Take, tmp_path: Path) -> None:
    found = take(tub(tmp_path / "tub", 100), longest_s=2.0)
    done = export_lerobot(list(found.bags), tmp_path / "set", 1000.0, task="follow the line")
    assert done.fps == 20
    assert done.episodes == [40, 40]
    before = drives(found)
    (tmp_path / "out").rename(tmp_path / "before")
    for one, again in zip(before, drives(take(tmp_path / "set")), strict=True):
        np.testing.assert_allclose(np.diff(again.stamp), 5e7, atol=200)
        np.testing.assert_allclose(again.curvature, one.curvature, atol=1e-6)
        np.testing.assert_allclose(again.speed, one.speed, atol=1e-6)
        np.testing.assert_allclose(again.force, one.force, atol=1e-3)
        assert np.abs(again.images.astype(float) - one.images).mean() < 15


def test_what_goes_out_is_laid_out_as_lerobot_reads_it(take: Take, tmp_path: Path) -> None:
    found = take(tub(tmp_path / "tub", 100), longest_s=2.0)
    export_lerobot(list(found.bags), tmp_path / "set", 1000.0, task="follow the line")
    told = json.loads((tmp_path / "set/meta/info.json").read_text("utf-8"))
    assert told["codebase_version"] == "v3.0"
    assert (told["total_episodes"], told["total_frames"], told["splits"]) == (2, 80, {"train": "0:2"})
    rows = pq.read_table(tmp_path / "set/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    for number, row in enumerate(rows):
        place = {"chunk_index": row["data/chunk_index"], "file_index": row["data/file_index"]}
        data = pq.read_table(tmp_path / "set" / told["data_path"].format(**place))
        assert data.num_rows == row["length"] == row["dataset_to_index"] - row["dataset_from_index"]
        np.testing.assert_array_equal(data["index"], np.arange(row["dataset_from_index"], row["dataset_to_index"]))
        np.testing.assert_allclose(data["timestamp"], np.arange(40) / 20, atol=1e-6)
        assert set(data["episode_index"].to_pylist()) == {number}
        for name, feature in told["features"].items():
            if feature["dtype"] != "video":
                (size,) = feature["shape"]
                assert data.schema.field(name).type == (
                    pa.list_(pa.float32(), size) if size > 1 else getattr(pa, feature["dtype"])()
                )
        place = {"chunk_index": row[f"videos/{CAMERA}/chunk_index"], "file_index": row[f"videos/{CAMERA}/file_index"]}
        with av.open(str(tmp_path / "set" / told["video_path"].format(video_key=CAMERA, **place))) as opened:
            times = [float(frame.pts * frame.time_base) for frame in opened.decode(video=0)]
        np.testing.assert_allclose(times, np.arange(40) / 20, atol=1e-4)
    stats = json.loads((tmp_path / "set/meta/stats.json").read_text("utf-8"))
    assert {*stats} == {*told["features"]}
    assert np.shape(stats[CAMERA]["mean"]) == (3, 1, 1)
    whole = np.concatenate(_actions(tmp_path / "set"))
    np.testing.assert_allclose(stats["action"]["mean"], whole.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(stats["action"]["max"], whole.max(axis=0), atol=1e-6)
    tasks = pq.read_table(tmp_path / "set/meta/tasks.parquet")
    assert json.loads(tasks.schema.metadata[b"pandas"])["index_columns"] == ["task"]
    assert tasks.to_pylist() == [{"task_index": 0, "task": "follow the line"}]


def _actions(path: Path) -> list[Any]:
    return [np.array(pq.read_table(file)["action"].to_pylist()) for file in sorted(path.glob("data/*/*.parquet"))]


def test_a_constant_rate_repeats_and_drops_pictures(take: Take, tmp_path: Path) -> None:
    found = take(tub(tmp_path / "tub", 60, deleted=[20, 21, 22]))
    slow = export_lerobot(list(found.bags), tmp_path / "slow", 1000.0, fps=10)
    assert slow.episodes == [30]
    assert (slow.repeated, slow.dropped) == (1, 57 - 29)
    same = export_lerobot(list(found.bags), tmp_path / "same", 1000.0)
    assert same.episodes == [60]
    assert (same.repeated, same.dropped) == (3, 0)


def test_what_cannot_go_out_is_refused(take: Take, tmp_path: Path) -> None:
    found = take(tub(tmp_path / "tub"))
    (tmp_path / "set").mkdir()
    with pytest.raises(DataError, match="exists already"):
        export_lerobot(list(found.bags), tmp_path / "set", 1000.0)
