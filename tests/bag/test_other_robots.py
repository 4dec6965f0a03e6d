# SPDX-License-Identifier: Apache-2.0
"""Bags of other robots: compressed images, other names, each version of ``metadata.yaml``, other compressions."""

from __future__ import annotations

import json
import re
import shutil
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from typer.testing import CliRunner

from tidegate.bag import BagReader, BagWriter, align, remappings, typestore
from tidegate.cli.app import app
from tidegate.errors import BagError, ImageError, SettingsError
from tidegate.messages import COMPRESSED, TOPICS, decode, encode
from tidegate.messages.compressed import LARGEST_PIXELS, decompress, size
from tidegate.records import Frame, Odometry

PERIOD = 50_000_000
KIND = COMPRESSED["camera/image_raw"]


def picture(seed: int) -> np.ndarray:
    """Smooth, of even colours, so that JPEG keeps it; no two channels are alike."""
    rough = np.random.default_rng(seed).integers(0, 40, (3, 5, 3), dtype=np.uint8) + np.array([180, 100, 30], np.uint8)
    return np.asarray(cv2.resize(rough, (40, 24), interpolation=cv2.INTER_LINEAR), np.uint8)


def compressed(image: np.ndarray, form: str) -> bytes:
    done, data = cv2.imencode(f".{form}", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert done
    return data.tobytes()


def message(stamp: int, data: bytes, form: str) -> Any:
    made = typestore.make(KIND)
    made.header.stamp.sec, made.header.stamp.nanosec = divmod(stamp, 10**9)
    made.format, made.data = f"rgb8; {form} compressed bgr8", np.frombuffer(data, np.uint8)
    return made


def write(path: Path, topic: str = "/camera/image_raw/compressed", form: str = "jpeg", odometry: str = "/odom") -> Path:
    with BagWriter(path) as writer:
        for index in range(6):
            at = index * PERIOD + 1000
            record = Odometry(at, 0.0, 0.0, 0.0, 1.0, 0.0)
            writer.write_raw(odometry, TOPICS["odom"].type, typestore.serialise(encode(record, typestore.make)), at)
            data = typestore.serialise(message(at, compressed(picture(index), form), form))
            writer.write_raw(topic, KIND, data, at)
    return path


@pytest.mark.parametrize(("form", "near"), [("jpeg", 12), ("png", 0)])
def test_compressed_images_are_read_in_the_right_colours(tmp_path: Path, form: str, near: int) -> None:
    reader = BagReader(write(tmp_path / "bag", "/front/camera/image_raw/compressed", form))
    assert reader.find("camera/image_raw") == "/front/camera/image_raw/compressed"
    frames = [record for _, _, record in reader.messages(["camera/image_raw"])]
    assert [frame.stamp for frame in frames] == [index * PERIOD + 1000 for index in range(6)]
    for index, frame in enumerate(frames):
        assert np.abs(frame.image.astype(int) - picture(index)).max() <= near
    drive = align(reader, lambda image: image, labels=False)
    assert drive.images.shape == (6, 24, 40, 3)


def test_raw_images_are_taken_where_both_are_there(tmp_path: Path) -> None:
    write(tmp_path / "bag")
    with BagWriter(tmp_path / "both") as writer:
        for name, kind, received, data in BagReader(tmp_path / "bag").raw({"/camera/image_raw/compressed"}):
            writer.write_raw(name, kind, data, received)
            writer.write("camera/image_raw", Frame(received, picture(99)), received)
    reader = BagReader(tmp_path / "both")
    (first, *_) = [record for _, _, record in reader.messages(["camera/image_raw"])]
    np.testing.assert_array_equal(first.image, picture(99))
    assert reader.stands_for("/camera/image_raw/compressed") == "camera/image_raw"


def png_of(width: int, height: int) -> bytes:
    """A whole PNG that claims to be as large; its pixels are few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(cv2, "imdecode", never)
    jpeg = bytearray(compressed(picture(0), "jpeg"))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 65000, 65000)
    for data in (png_of(100_000, 100_000), png_of(0, 5), bytes(jpeg)):
        with pytest.raises(ImageError, match=rf"× \d+ px; it must have 1 to {LARGEST_PIXELS} pixels"):
            decompress(data)


@pytest.mark.parametrize("form", ["jpeg", "png"])
def test_a_cut_or_corrupt_image_is_refused(form: str) -> None:
    whole = compressed(picture(1), form)
    assert size(whole) == (40, 24)
    for length in (0, 3, 20, len(whole) // 2, len(whole) - 2):
        with pytest.raises(ImageError, match=r"cut off|no size|must be JPEG or PNG"):
            decompress(whole[:length])
    with pytest.raises(ImageError, match=r"must be JPEG or PNG"):
        decompress(b"GIF89a" + whole)


@given(st.sampled_from(["jpeg", "png"]), st.integers(0, 10**6), st.binary(min_size=1, max_size=6))
def test_whatever_the_bytes_only_an_image_error_is_raised(form: str, place: int, put: bytes) -> None:
    data = bytearray(compressed(picture(2), form))
    place %= len(data)
    data[place : place + len(put)] = put
    try:
        image = decompress(bytes(data))
    except ImageError:
        return
    assert image.shape[:2] == size(bytes(data))[::-1]


@pytest.mark.parametrize("encoding", ["mono8", "rgba8", "bgra8", "bgr8"])
def test_other_encodings_give_the_same_picture(encoding: str) -> None:
    image = picture(3)
    pixels = {
        "mono8": image[..., 0], "bgr8": image[..., ::-1],
        "rgba8": np.dstack([image, image[..., 0]]), "bgra8": np.dstack([image[..., ::-1], image[..., 0]]),
    }[encoding]  # fmt: skip
    made = encode(Frame(5, image), typestore.make)
    made.encoding, made.step = encoding, pixels[0].size
    made.data = np.ascontiguousarray(pixels).reshape(-1)
    wanted = np.repeat(image[..., :1], 3, axis=2) if encoding == "mono8" else image
    np.testing.assert_array_equal(decode("camera/image_raw", made).image, wanted)
    made.encoding = "16UC1"
    with pytest.raises(ImageError, match="'16UC1'; it must be rgb8, bgr8, rgba8, bgra8 or mono8"):
        decode("camera/image_raw", made)


def test_topics_of_another_robot_are_remapped(tmp_path: Path) -> None:
    bag = write(tmp_path / "bag", "/front/image/compressed", odometry="/wheel/odometry")
    rules = remappings(["/front/image/compressed:=camera/image_raw", "wheel/odometry := /odom"])
    reader = BagReader(bag, rules)
    assert reader.find("odom") == "/wheel/odometry"
    drive = align(reader, lambda image: image, labels=False)
    assert len(drive.stamp) == 6
    assert drive.speed.tolist() == [1.0] * 6
    with pytest.raises(BagError, match="has no topic 'odom'; its topics: /front/image/compressed, /wheel/odometry"):
        BagReader(bag).find("odom")
    with pytest.raises(
        BagError, match=r"has no topic '/rear/image' to remap; its topics: /front/image/compressed, /wh"
    ):
        BagReader(bag, {"/rear/image": "camera/image_raw"})
    with pytest.raises(BagError, match="/wheel/odometry is nav_msgs/msg/Odometry; it must be sensor_msgs/msg/Imu"):
        BagReader(bag, {"/wheel/odometry": "imu"}).find("imu")


def test_a_remapped_topic_counts_before_one_of_that_name(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        for name, speed in (("/odom", 1.0), ("/fused", 2.0)):
            record = encode(Odometry(1, 0.0, 0.0, 0.0, speed, 0.0), typestore.make)
            writer.write_raw(name, TOPICS["odom"].type, typestore.serialise(record), 1)
    reader = BagReader(tmp_path / "bag", {"/fused": "odom"})
    assert [record.speed for _, _, record in reader.messages(["odom"])] == [2.0]


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (["/front/image"], r"must be of the form /front/image:=camera/image_raw"),
        (["/front/image:=camera"], r"no topic 'camera'; there are camera/image_raw,"),
        (["/a:=odom", "/b:=odom"], r"'odom' is remapped already"),
    ],
)
def test_what_is_no_remapping_is_refused(rules: list[str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        remappings(rules)


GOLDEN = Path(__file__).parents[1] / "golden" / "road"
NAMES = {"/camera/image_raw": "/front/image_color/compressed", "/odom": "/wheel/odometry"}


def test_a_drive_under_other_names_is_replayed_to_its_end(tmp_path: Path) -> None:
    """A drive of this repository as another robot would have recorded it, its pictures compressed without loss."""
    golden = BagReader(GOLDEN)
    with BagWriter(tmp_path / "bag", golden.contract()) as writer:
        for name, kind, received, data in golden.raw(set(golden.topics)):
            if name == "/camera/image_raw":
                frame = decode("camera/image_raw", typestore.deserialise(data, kind))
                kind, data = KIND, typestore.serialise(message(frame.stamp, compressed(frame.image, "png"), "png"))
            writer.write_raw(NAMES.get(name, name), kind, data, received)
    shutil.copytree(GOLDEN / "reference", tmp_path / "bag" / "reference")
    rules = ["--remap", "/front/image_color/compressed:=camera/image_raw", "--remap", "/wheel/odometry:=odom"]
    against = ["--against", "reference", "--tolerance", "1e-4"]  # what other processors round otherwise
    words = ["replay", str(tmp_path / "bag"), *rules, *against]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "50 frames, 500 ticks" in result.output
    for quantity in ("lane", "nominal", "command"):
        assert re.search(rf"│ {quantity}: \d+", result.output), result.output


def test_info_takes_remappings(tmp_path: Path) -> None:
    bag = write(tmp_path / "bag", "/front/image", odometry="/wheel/odometry")
    rules = ["--remap", "/front/image:=camera/image_raw", "--remap", "/wheel/odometry:=odom"]
    told = json.loads(CliRunner().invoke(app, ["info", str(bag), *rules, "--json"]).output)
    assert {topic["name"]: topic["stated_hz"] for topic in told["topics"]}["/front/image"] == 20.0


def strings(profiles: list[Any]) -> str:
    return yaml.safe_dump(profiles)


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3], ids=lambda one: one.name)
@pytest.mark.parametrize("version", [5, 6, 7, 8, 9])
def test_each_version_of_the_metadata_is_read(tmp_path: Path, version: int, storage: StoragePlugin) -> None:
    """Up to version 8 ``offered_qos_profiles`` is a text of YAML, in version 9 a list."""
    folder = tmp_path / "bag"
    with Writer(folder, version=9 if version == 9 else 8, storage_plugin=storage) as writer:
        connection = writer.add_connection("/odom", TOPICS["odom"].type, typestore=typestore.STORE)
        for at in range(5):
            data = typestore.serialise(encode(Odometry(at, 0.0, 0.0, 0.0, 1.0, 0.0), typestore.make))
            writer.write(connection, at, data)
    file = folder / "metadata.yaml"
    whole = yaml.safe_load(file.read_text())
    held = whole["rosbag2_bagfile_information"]
    held["version"] = version
    profiles = [{"history": 3 if version < 9 else "keep_last", "depth": 10, "reliability": 1}]
    (topic,) = held["topics_with_message_count"]
    topic["topic_metadata"]["offered_qos_profiles"] = profiles if version == 9 else strings(profiles)
    for key, since in (("type_description_hash", 7), ("files", 6), ("custom_data", 6), ("ros_distro", 8)):
        if version < since:
            (topic["topic_metadata"] if key == "type_description_hash" else held).pop(key, None)
    file.write_text(yaml.safe_dump(whole))
    reader = BagReader(folder)
    assert (reader.problems, reader.interrupted) == ([], False)
    assert [record.stamp for _, _, record in reader.messages(["odom"])] == list(range(5))
    result = CliRunner().invoke(app, ["info", str(folder)])
    assert re.search(r"/odom\s+nav_msgs/msg/Odometry\s+5 ", result.output), result.output


@pytest.mark.parametrize("storage", [StoragePlugin.SQLITE3, StoragePlugin.MCAP], ids=lambda one: one.name)
def test_bags_compressed_message_by_message_are_read(tmp_path: Path, storage: StoragePlugin) -> None:
    writer = Writer(tmp_path / "bag", version=8, storage_plugin=storage)
    mode = CompressionMode.MESSAGE if storage == StoragePlugin.SQLITE3 else CompressionMode.STORAGE
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/odom", TOPICS["odom"].type, typestore=typestore.STORE)
        for at in range(5):
            data = typestore.serialise(encode(Odometry(at, 0.0, 0.0, 0.0, 1.0, 0.0), typestore.make))
            writer.write(connection, at, data)
    reader = BagReader(tmp_path / "bag")
    assert [record.stamp for _, _, record in reader.messages(["odom"])] == list(range(5))
    assert reader.problems == []
