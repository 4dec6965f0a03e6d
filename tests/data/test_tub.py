# SPDX-License-Identifier: Apache-2.0
"""Donkeycar tubs: what they say in SI units, what is left out and why, what is refused."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tubs import CAR, HEIGHT, WIDTH, Take, jpeg, manifest, steering, tub, views

from tidegate.bag import BagReader, align, labelled
from tidegate.data.recording import Tally
from tidegate.data.tub import parse, records
from tidegate.errors import DataError
from tidegate.learning.dataset import load_drive
from tidegate.messages.compressed import decompress
from tidegate.settings import load_settings
from tidegate.share import share_path


def test_a_tub_becomes_a_bag_of_the_same_pictures_and_of_si_units(take: Take, tmp_path: Path) -> None:
    found = take(tub(tmp_path / "tub"))
    (bag,) = found.bags
    kept: list[Any] = []
    drive = align(BagReader(bag), lambda image: kept.append(image) or image)
    assert drive.lane.shape == (60, 0)
    np.testing.assert_array_equal(drive.stamp, 10**6 * (1_700_000_000_000 + 50 * np.arange(60)))
    for index, view in enumerate(views(60)):
        np.testing.assert_array_equal(kept[index], decompress(jpeg(view)))
    # bicycle model, and donkeycar's angle is positive to the right
    wanted = -np.tan(math.radians(30) * steering(60)) / 0.2
    np.testing.assert_allclose(drive.curvature, wanted, atol=1e-12)
    # half throttle all along: the speed that it leads to, and no acceleration
    np.testing.assert_allclose(drive.speed, 2.0)
    np.testing.assert_allclose(drive.force, 0.0, atol=1e-9)
    assert found.lessons == {"curvature": 60, "acceleration": 60}


def test_the_speed_follows_the_throttle_with_its_lag(take: Take, tmp_path: Path) -> None:
    def step(record: dict[str, Any]) -> dict[str, Any]:
        return record | {"user/throttle": 0.0 if record["_index"] < 10 else 1.0}

    (bag,) = take(tub(tmp_path / "tub", change=step)).bags
    drive = align(BagReader(bag), lambda image: image)
    since = np.maximum(np.arange(60) - 10, 0) * 0.05
    np.testing.assert_allclose(drive.speed, 4.0 * (1 - np.exp(-since / 0.5)), atol=1e-9)
    np.testing.assert_allclose(drive.force[10:], 1000 * 8.0 * np.exp(-since[10:] / 0.5), atol=1e-6)
    np.testing.assert_allclose(drive.force[:10], 0.0)


def test_odometry_is_the_path_of_that_motion(take: Take, tmp_path: Path) -> None:
    """Half a lock to the left all along: a circle."""
    (bag,) = take(tub(tmp_path / "tub", change=lambda record: record | {"user/angle": -0.5})).bags
    told = [record for _, _, record in BagReader(bag).messages(["odom"])]
    radius = 0.2 / math.tan(math.radians(15))
    turned = 2.0 * 0.05 * np.arange(60) / radius
    np.testing.assert_allclose([one.x for one in told], radius * np.sin(turned), atol=2e-3)
    np.testing.assert_allclose([one.y for one in told], radius * (1 - np.cos(turned)), atol=2e-3)
    np.testing.assert_allclose([one.yaw_rate for one in told], 2.0 / radius)


def test_training_reads_what_was_imported(take: Take, tmp_path: Path) -> None:
    settings = load_settings(share_path("config/car.yaml"))
    (bag,) = take(tub(tmp_path / "tub")).bags
    drive, _ = load_drive(bag, settings.perception)
    assert labelled(drive).all()
    assert drive.images.shape == (60, settings.perception.input_height, settings.perception.input_width, 3)
    assert drive.lane.shape == (60, 2 + len(settings.perception.preview_m))
    assert np.isnan(drive.lane).all()


def test_what_a_tub_usually_has_wrong_is_left_out_and_counted(take: Take, tmp_path: Path) -> None:
    def change(record: dict[str, Any]) -> dict[str, Any]:
        if record["_index"] in (50, 51):
            return record | {"user/mode": "local"}
        return record | ({"user/angle": None} if record["_index"] == 55 else {})

    path = tub(tmp_path / "tub", 100, deleted=[3, 4], change=change)
    (path / "images" / "20_cam_image_array_.jpg").write_bytes(b"")
    (path / "images" / "21_cam_image_array_.jpg").write_bytes(jpeg(views(2)[0])[:200])
    (path / "images" / "22_cam_image_array_.jpg").unlink()
    (path / "images" / "23_cam_image_array_.jpg").write_bytes(jpeg(views(2)[0][:16]))
    (path / "._catalog_0.catalog").write_bytes(b"\0\5\26\7")
    (path / "images" / "._20_cam_image_array_.jpg").write_bytes(b"\0\5\26\7")
    lines = (path / "catalog_2.catalog").read_text("utf-8").splitlines()
    lines[5] = lines[5][:40]
    (path / "catalog_2.catalog").write_text("\n".join(lines), "utf-8")
    found = take(path)
    assert found.frames == 100 - 2 - 2 - 4 - 1
    assert found.lessons["curvature"] == found.frames - 1
    assert dict(found.tally.left_out) == {
        f"picture is {what}": 1 for what in ("empty", "corrupt", "missing", "of another size")
    }
    assert dict(found.tally.skipped) == {
        "deleted by its owner": 2,
        "driven by the pilot (user/mode is not 'user')": 2,
        "line is broken": 1,
        "file of macOS (._…)": 2,
    }


def test_sessions_pauses_and_clocks_that_go_back_are_cut(take: Take, tmp_path: Path) -> None:
    def change(record: dict[str, Any]) -> dict[str, Any]:
        index, stamp = record["_index"], record["_timestamp_ms"]
        if index >= 150:
            return record | {"_session_id": "26-01-01_1"}
        return record | {"_timestamp_ms": stamp + (40_000 if 50 <= index < 100 else 0)}

    found = take(tub(tmp_path / "tub", 200, change=change))
    assert [frames for frames, _ in found.bags.values()] == [50, 50, 50, 50]
    assert any("session 26-01-01_0: the clock jumps back by 39.950 s" in note for note in found.tally.notes)


def test_a_long_session_becomes_several_bags(take: Take, tmp_path: Path) -> None:
    found = take(tub(tmp_path / "tub", 100), longest_s=2.0)
    assert [frames for frames, _ in found.bags.values()] == [40, 40]
    assert found.tally.left_out == {"between breaks that are less than 1 s apart": 20}


def test_false_stamps_are_refused_and_a_stated_rate_helps(take: Take, tmp_path: Path) -> None:
    converted = tub(
        tmp_path / "tub", change=lambda record: record | {"_timestamp_ms": 1_700_000_000_000 + 3 * record["_index"]}
    )
    with pytest.raises(DataError, match=r"333 frames per second, as a conversion leaves them; .*rate_hz"):
        take(converted)
    (bag,) = take(converted, rate_hz=20.0).bags
    drive = align(BagReader(bag), lambda image: image)
    np.testing.assert_array_equal(np.diff(drive.stamp), 50_000_000)


def test_at_a_stated_rate_deleted_frames_leave_their_gap(take: Take, tmp_path: Path) -> None:
    path = tub(tmp_path / "tub", deleted=[30, 31], change=lambda record: record | {"_timestamp_ms": 0})
    (bag,) = take(path, rate_hz=20.0).bags
    steps = np.diff(align(BagReader(bag), lambda image: image).stamp)
    assert steps[29] == 150_000_000
    assert (np.delete(steps, 29) == 50_000_000).all()


def test_a_measured_speed_counts_before_the_throttle(take: Take, tmp_path: Path) -> None:
    measured = tub(tmp_path / "tub", change=lambda record: record | {"enc/speed": 1.0 + 0.02 * record["_index"]})
    (bag,) = take(measured, channels={"speed": "enc/speed"}).bags
    drive = align(BagReader(bag), lambda image: image)
    np.testing.assert_allclose(drive.speed, 1.0 + 0.02 * np.arange(60))
    np.testing.assert_allclose(drive.force, 1000 * 0.4, rtol=1e-6)  # the slope of the speed


def static(change: Callable[[Path], None]) -> Callable[[Path], Path]:
    def make(place: Path) -> Path:
        path = tub(place / "tub")
        change(path)
        return path

    return make


def same_picture(path: Path) -> None:
    for file in (path / "images").iterdir():
        shutil.copyfile(path / "images" / "0_cam_image_array_.jpg", file) if file.name[0] != "0" else None


def shuffled(path: Path) -> None:
    order = np.random.default_rng(1).permutation(60)
    for index, view in zip(order, views(60), strict=True):
        (path / "images" / f"{index}_cam_image_array_.jpg").write_bytes(jpeg(view))


def noise(path: Path) -> None:
    """A camera that looks at a wall."""
    random = np.random.default_rng(1)
    for index in range(60):
        wall = random.normal(120, 4, (HEIGHT, WIDTH, 3)).clip(0, 255).astype(np.uint8)
        (path / "images" / f"{index}_cam_image_array_.jpg").write_bytes(jpeg(wall))


def rewrite(path: Path, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
    shutil.rmtree(path)
    tub(path, change=change)


STATIC: dict[str, tuple[Callable[[Path], None], str]] = {
    "stills": (same_picture, "all 60 pictures are the same still"),
    "shuffled": (shuffled, "no more alike than any two; they are shuffled"),
    "noise": (noise, "no more alike than any two"),
    "one frame": (
        lambda path: rewrite(path, lambda record: record if record["_index"] == 7 else None),
        r"is no time series: it has 1 frame\(s\)",
    ),
    "one frame a session": (
        lambda path: rewrite(path, lambda record: record | {"_session_id": str(record["_index"])}),
        r"60 stretches are refused; the first is no time series: it has 1 frame\(s\)",
    ),
    "one stamp": (
        lambda path: rewrite(path, lambda record: record | {"_timestamp_ms": 1_700_000_000_000}),
        "59 of 59 stamps do not advance",
    ),
    "stamps by chance": (
        lambda path: rewrite(path, lambda record: record | {"_timestamp_ms": 10**12 + record["_index"] * 7919 % 997}),
        "stamps do not advance",
    ),
    "stills far apart": (
        lambda path: rewrite(path, lambda record: record | {"_timestamp_ms": 10**12 + 2000 * record["_index"]}),
        "60 × between breaks that are less than 1 s apart",
    ),
    "standing": (
        lambda path: rewrite(path, lambda record: record | {"user/throttle": 0.0}),
        "the vehicle stands, its speed is never above 0.05 m/s",
    ),
}


@pytest.mark.parametrize("case", STATIC)
def test_static_data_are_refused_with_the_reason(case: str, take: Take, tmp_path: Path) -> None:
    change, said = STATIC[case]
    with pytest.raises(DataError, match=said):
        take(static(change)(tmp_path))
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob("*.partial"))


def write(name: str, data: bytes | str) -> Callable[[Path], None]:
    return lambda path: (path / name).write_bytes(data.encode() if isinstance(data, str) else data) and None


def told(**last: Any) -> Callable[[Path], None]:
    return lambda path: manifest(path, **last)


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "no manifest": (lambda path: (path / "manifest.json").unlink(), "manifest.json: is missing"),
    "empty manifest": (write("manifest.json", ""), "its last line must name the catalogs"),
    "binary manifest": (write("manifest.json", b"\xff\xfe\0\1"), "manifest.json: is broken"),
    "cut manifest": (write("manifest.json", '["cam/image_array"]\n{"paths": ["cata'), "manifest.json: is broken"),
    "manifest of numbers": (write("manifest.json", "1\n2\n"), "its last line must name the catalogs"),
    "deep manifest": (write("manifest.json", "[" * 100_000), "manifest.json: is broken"),
    "no paths": (told(current_index=3), "its last line must name the catalogs"),
    "empty paths": (told(paths=[], deleted_indexes=[]), "names no catalog: nothing was recorded"),
    "path upwards": (told(paths=["../../etc/passwd"]), r"names the catalog '../../etc/passwd'; it must be catalog_0"),
    "path of a number": (told(paths=[7]), "names the catalog 7"),
    "deleted is text": (told(paths=["catalog_0.catalog"], deleted_indexes="all"), "must be a list of whole numbers"),
    "all deleted": (told(paths=["catalog_0.catalog"], deleted_indexes=list(range(60))), "40 × deleted by its owner"),
    "catalogs gone": (told(paths=["catalog_7.catalog"], deleted_indexes=[]), "holds no record"),
    "version 1": (
        lambda path: (path / "manifest.json").unlink() or write("meta.json", "{}")(path),
        "is a tub of version 1; .*convert_to_tub_v2",
    ),
    "catalog of text": (
        lambda path: [write(f"catalog_{n}.catalog", "hello\n" * 3)(path) for n in (0, 1)] and None,
        "6 × line is broken",
    ),
    "no pictures": (lambda path: shutil.rmtree(path / "images"), "60 × picture is missing"),
    "no picture's name": (
        lambda path: rewrite(path, lambda record: {k: v for k, v in record.items() if not k.startswith("cam")}),
        r"60 × line names no picture \(cam/image_array\)",
    ),
    "picture elsewhere": (
        lambda path: rewrite(path, lambda record: record | {"cam/image_array": "../secret.jpg"}),
        "60 × line names no picture",
    ),
    "no stamps": (
        lambda path: rewrite(path, lambda record: record | {"_timestamp_ms": None}),
        "60 × line has no _timestamp_ms",
    ),
    "no index": (lambda path: rewrite(path, lambda record: record | {"_index": "x"}), "60 × line has no _index"),
    "no angle": (
        lambda path: rewrite(path, lambda record: {k: v for k, v in record.items() if k != "user/angle"}),
        r"no record has a number under 'user/angle' \(angle\); it has _index, .*user/throttle",
    ),
    "angle in degrees": (
        lambda path: rewrite(path, lambda record: record | {"user/angle": 25.0}),
        "'angle' reaches -25; it must be −1 to 1",
    ),
    "angle is text": (
        lambda path: rewrite(path, lambda record: record | {"user/angle": "left"}),
        "no record has a number",
    ),
    "all by the pilot": (
        lambda path: rewrite(path, lambda record: record | {"user/mode": "local"}),
        "60 × driven by the pilot",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_corrupted_tubs_give_a_clear_error(case: str, take: Take, tmp_path: Path) -> None:
    change, said = BROKEN[case]
    path = tub(tmp_path / "tub")
    change(path)
    with pytest.raises(DataError, match=said) as caught:
        take(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("lacking", "why"),
    [
        ("wheelbase_m", "a steering angle"),
        ("full_lock_deg", "steering as a share of full lock"),
        ("full_throttle_mps", "a throttle without a measured speed"),
        ("throttle_lag_s", "a throttle"),
    ],
)
def test_a_number_that_is_not_known_is_asked_for(lacking: str, why: str, take: Take, tmp_path: Path) -> None:
    known = {name: value for name, value in CAR.items() if name != lacking}
    with pytest.raises(DataError, match=rf"{why} needs the vehicle's {lacking}: give it with --set {lacking}="):
        take(tub(tmp_path / "tub"), vehicle=known)


def test_nothing_is_overwritten(take: Take, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match="exists already"):
        take(tub(tmp_path / "tub"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
KEYS = st.sampled_from(["_index", "_timestamp_ms", "_session_id", "cam/image_array", "user/angle", "user/mode"])


@given(st.binary(max_size=400))
def test_no_line_of_bytes_breaks_the_parser(line: bytes) -> None:
    record, why = parse(line)
    assert (record is None) == bool(why)


@given(st.dictionaries(KEYS, json_values))
def test_no_line_of_json_breaks_the_parser(values: dict[str, Any]) -> None:
    record, why = parse(json.dumps(values).encode())
    if record is None:
        assert why.startswith("line ")
        return
    assert record.index == values["_index"] >= 0
    assert record.stamp == values["_timestamp_ms"] * 10**6
    assert "/" not in record.image


@given(st.lists(st.sampled_from([b"good", b"broken", b"", b"\r"]), max_size=30), st.data())
def test_every_good_line_is_read_whatever_is_between(kinds: list[bytes], data: st.DataObject) -> None:
    import tempfile

    lines, good = [], []
    for index, kind in enumerate(kinds):
        if kind == b"good":
            line = json.dumps({"_index": index, "_timestamp_ms": index, "cam/image_array": f"{index}.jpg"}).encode()
            lines.append(line)
            good.append(index)
        else:
            lines.append(data.draw(st.binary(max_size=20)).replace(b"\n", b"") + b"{" if kind == b"broken" else kind)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "catalog_0.catalog"
        file.write_bytes(b"\n".join(lines))
        tally = Tally()
        assert [record.index for record in records(file, "cam/image_array", tally)] == good
        assert sum(tally.skipped.values()) == kinds.count(b"broken")
