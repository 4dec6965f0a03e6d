# SPDX-License-Identifier: Apache-2.0
"""Bags of other robots by a map: pictures and commands of every kind, clocks, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_bags import (
    BEGIN,
    DELAY,
    ackermann,
    bag,
    compressed,
    image,
    joints,
    number,
    twist,
    twist_stamped,
    wave,
)
from rosbags.rosbag2 import StoragePlugin
from tubs import Take, jpeg, views

from tidegate.bag import BagReader, Drive, align
from tidegate.errors import BagError, DataError
from tidegate.messages.compressed import decompress

TWIST = {
    "speed_command": {"key": "/cmd_vel", "fields": ["twist.linear.x"]},
    "yaw_rate": {"key": "/cmd_vel", "fields": ["twist.angular.z"]},
}


def driven(found: Any) -> Drive:
    (path,) = found.bags
    return align(BagReader(path), lambda picture: picture)


def times(count: int = 60) -> np.ndarray[Any, Any]:
    """Moment [s] of the newest command at each picture: one comes every 20 ms, a picture every 50."""
    return np.floor(np.arange(count) * 50 / 20 + 1e-9) * 0.02


def check_wave(drive: Drive, asked: np.ndarray[Any, Any]) -> None:
    speed, rate = np.array([wave(moment) for moment in asked]).T
    np.testing.assert_allclose(drive.speed, speed)
    np.testing.assert_allclose(drive.curvature, rate / speed)


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize("encoding", ["rgb8", "bgr8"])
def test_raw_pictures_and_a_stamped_twist(storage: StoragePlugin, encoding: str, take: Take, tmp_path: Path) -> None:
    source = bag(tmp_path / "bag", lambda n, at, view: ("/front/image", image(at, view, encoding)), storage=storage)
    drive = driven(take(source, channels=TWIST))
    np.testing.assert_array_equal(drive.images, np.stack(views(60)))
    np.testing.assert_array_equal(drive.stamp, BEGIN + 50_000_000 * np.arange(60))
    check_wave(drive, times())
    np.testing.assert_allclose(drive.force[10:-10], 1000 * 0.5, rtol=0.2)  # the slope of what is asked for


def test_compressed_pictures_are_kept_as_they_are(take: Take, tmp_path: Path) -> None:
    source = bag(tmp_path / "bag", lambda n, at, view: ("/front/image/compressed", compressed(at, view)))
    found = take(source, channels=TWIST)
    np.testing.assert_array_equal(driven(found).images, np.stack([decompress(jpeg(view)) for view in views(60)]))
    (path,) = found.bags
    assert BagReader(path).topics["/camera/image_raw/compressed"] == "sensor_msgs/msg/CompressedImage"


def test_a_twist_without_stamps_is_put_on_the_cameras_clock(take: Take, tmp_path: Path) -> None:
    source = bag(tmp_path / "bag", commands=lambda at, s: {"/cmd_vel": twist(*wave(s))})
    channels = {
        "speed_command": {"key": "/cmd_vel", "fields": ["linear.x"]},
        "yaw_rate": {"key": "/cmd_vel", "fields": ["angular.z"]},
    }
    found = take(source, channels=channels)
    check_wave(driven(found), times())
    assert found.tally.notes == ["/cmd_vel has no stamps: its receipts count, less the camera's 0.020 s"]


def test_a_type_that_only_the_bag_defines(take: Take, tmp_path: Path) -> None:
    source = bag(tmp_path / "bag", commands=lambda at, s: {"/drive": ackermann(at, 1.5, 0.1)})
    channels = {
        "steering": {"key": "/drive", "fields": ["drive.steering_angle"]},
        "speed_command": {"key": "/drive", "fields": ["drive.speed"]},
    }
    drive = driven(take(source, channels=channels))
    np.testing.assert_allclose(drive.speed, 1.5)
    np.testing.assert_allclose(drive.curvature, np.tan(np.float32(0.1)) / 0.2)


def test_joint_efforts_by_name_and_odometry(take: Take, tmp_path: Path) -> None:
    """Two driven wheels of 0.1 m radius, two steered ones; the order of the names changes on the way."""

    def commands(at: int, s: float) -> dict[str, Any]:
        names, efforts, angles = ["left", "right", "fl", "fr"], [2.0, 4.0, 0.0, 0.0], [0.0, 0.0, 0.1, 0.3]
        if s > 1:
            names, efforts, angles = names[::-1], efforts[::-1], angles[::-1]
        return {"/efforts": joints(at, names, angles, efforts), "/speed": number(1.0 + s)}

    channels = {
        "force": {"key": "/efforts", "fields": ["effort[left]", "effort[right]"], "scale": 10.0},
        "steering": {"key": "/efforts", "fields": ["position[fl]", "position[fr]"], "scale": 0.5},
        "speed": "/speed",
    }
    vehicle = {"wheelbase_m": 0.2, "mass_kg": 30.0}
    drive = driven(take(bag(tmp_path / "bag", commands=commands), channels=channels, vehicle=vehicle))
    np.testing.assert_allclose(drive.force, 1000 * 60.0 / 30.0)
    np.testing.assert_allclose(drive.curvature, np.tan(0.2) / 0.2)
    np.testing.assert_allclose(drive.speed, 1.0 + times())


def test_steering_and_throttle(take: Take, tmp_path: Path) -> None:
    source = bag(tmp_path / "bag", commands=lambda at, s: {"/steer": number(-50.0), "/throttle": number(0.25)})
    channels = {"angle": {"key": "/steer", "scale": -0.01}, "throttle": "/throttle"}
    drive = driven(take(source, channels=channels))
    np.testing.assert_allclose(drive.speed, 1.0)
    np.testing.assert_allclose(drive.curvature, np.tan(np.radians(15)) / 0.2)


def test_a_speed_that_is_asked_for_beside_a_measured_one_is_an_acceleration(take: Take, tmp_path: Path) -> None:
    source = bag(tmp_path / "bag", commands=lambda at, s: {"/cmd_vel": twist_stamped(at, 3.0, 0.0), "/v": number(2.0)})
    drive = driven(take(source, channels=TWIST | {"speed": "/v"}))
    np.testing.assert_allclose(drive.force, 1000 * (3.0 - 2.0) / 0.5)


def test_a_skewed_clock_is_named_and_one_too_far_off_is_refused(take: Take, tmp_path: Path) -> None:
    def skewed(by: int) -> Callable[[int, float], dict[str, Any]]:
        return lambda at, s: {"/cmd_vel": twist_stamped(at + by, *wave(s))}

    found = take(bag(tmp_path / "near", commands=skewed(-200_000_000)), channels=TWIST)
    assert "clock of /cmd_vel: 0.200 s behind that of /front/image" in found.tally.notes
    (tmp_path / "out").rename(tmp_path / "before")
    far = bag(tmp_path / "far", commands=skewed(3_000_000_000))
    with pytest.raises(DataError, match=r"the clocks of /front/image and /cmd_vel are 3.000 s apart; 'clock: receipt'"):
        take(far, channels=TWIST)
    check_wave(driven(take(far, channels=TWIST, clock="receipt")), times())


def test_a_clock_that_jumps_is_named_and_cut(take: Take, tmp_path: Path) -> None:
    def camera(index: int, at: int, view: Any) -> tuple[str, Any]:
        return "/front/image", image(at + (7_000_000_000 if index >= 30 else 0), view)

    found = take(bag(tmp_path / "bag", camera, numbers), channels={"speed": "/v", "yaw_rate": "/w"})
    assert "clock of /front/image: jumps by +7.000 s at frame 30" in found.tally.notes
    assert max(frames for frames, _ in found.bags.values()) == 30


def test_headers_without_a_time_are_refused_and_receipts_can_be_taken(take: Take, tmp_path: Path) -> None:
    source = bag(tmp_path / "bag", lambda n, at, view: ("/front/image", image(0, view)))
    with pytest.raises(DataError, match="the headers of /front/image tell no time; 'clock: receipt'"):
        take(source, channels=TWIST)
    drive = driven(take(source, channels=TWIST, clock="receipt"))
    np.testing.assert_array_equal(drive.stamp, BEGIN + DELAY + 50_000_000 * np.arange(60))


def test_a_command_that_falls_silent_is_no_lesson(take: Take, tmp_path: Path) -> None:
    def commands(at: int, s: float) -> dict[str, Any]:
        return {"/v": number(2.0)} | ({"/w": number(0.2)} if s < 1 else {})

    found = take(bag(tmp_path / "bag", commands=commands), channels={"speed": "/v", "yaw_rate": "/w"})
    drive = driven(found)
    assert np.isfinite(drive.curvature).sum() == found.lessons["curvature"] == 30  # 1 s, and 0.5 s that it is held
    assert len(drive.stamp) == 60


def numbers(at: int, s: float) -> dict[str, Any]:
    return {"/v": number(2.0), "/w": number(0.2)}


def no_pictures(index: int, at: int, view: Any) -> None:
    return None


def cut_file(place: Path) -> Path:
    path = bag(place / "bag")
    (file,) = path.glob("*.mcap")
    file.write_bytes(file.read_bytes()[:40])
    return path


def two_cameras(place: Path) -> Path:
    return bag(
        place / "bag",
        commands=lambda at, s: {"/rear": image(at, views(2)[0]), "/cmd_vel": twist_stamped(at, *wave(s))},
    )


REFUSED: dict[str, tuple[Callable[[Path], Path], dict[str, Any], str]] = {
    "no map": (
        lambda place: bag(place / "bag"),
        {},
        r"which topics tell of speed and steering\? .*/cmd_vel \(geometry",
    ),
    "no camera": (
        lambda place: bag(place / "bag", no_pictures),
        {"channels": TWIST},
        "topic of pictures: it has none",
    ),
    "two cameras": (
        two_cameras,
        {"channels": TWIST},
        "it has more than one: /front/image, /rear; name one as 'camera'",
    ),
    "another camera": (
        lambda place: bag(place / "bag"),
        {"channels": TWIST, "camera": "/left"},
        "camera: no topic '/left'; its topics: /cmd_vel, /front/image",
    ),
    "camera is a twist": (
        lambda place: bag(place / "bag"),
        {"channels": TWIST, "camera": "/cmd_vel"},
        "/cmd_vel is geometry_msgs/msg/TwistStamped; pictures are sensor_msgs/msg/Image",
    ),
    "no such topic": (
        lambda place: bag(place / "bag"),
        {"channels": TWIST | {"speed": "/odom"}},
        "channel 'speed': no topic '/odom'",
    ),
    "no such field": (
        lambda place: bag(place / "bag"),
        {"channels": TWIST | {"speed": {"key": "/cmd_vel", "fields": ["twist.linear.forward"]}}},
        "channel 'speed': field 'twist.linear.forward': no 'forward'; there are x, y, z",
    ),
    "field is no number": (
        lambda place: bag(place / "bag"),
        {"channels": TWIST | {"speed": {"key": "/cmd_vel", "fields": ["twist.linear"]}}},
        "field 'twist.linear' of geometry_msgs/msg/TwistStamped is no number but",
    ),
    "field is no path": (
        lambda place: bag(place / "bag"),
        {"channels": TWIST | {"speed": {"key": "/cmd_vel", "fields": ["twist..x!"]}}},
        "field 'twist..x!'",
    ),
    "no field": (
        lambda place: bag(place / "bag"),
        {"channels": {"speed": "/cmd_vel", "yaw_rate": "/cmd_vel"}},
        "no 'data'; there are header, twist",
    ),
    "no steering": (
        lambda place: bag(place / "bag"),
        {"channels": {"speed": TWIST["speed_command"]}},
        "nothing tells of the steering: name a channel",
    ),
    "no speed": (
        lambda place: bag(place / "bag"),
        {"channels": {"yaw_rate": TWIST["yaw_rate"]}},
        "nothing tells of the speed: name a channel",
    ),
    "name of no joint": (
        lambda place: bag(place / "bag", commands=lambda at, s: {"/j": joints(at, ["a"], [0.1], [1.0])}),
        {"channels": {"steering": {"key": "/j", "fields": ["position[b]"]}, "speed": {"key": "/j", "fields": ["x"]}}},
        "field 'x': no 'x'; there are header, name, position",
    ),
    "commands come too late": (
        lambda place: bag(
            place / "bag", commands=lambda at, s: {"/v": number(1.0), "/w": number(0.1)} if s > 2.9 else {}
        ),
        {"channels": {"speed": "/v", "yaw_rate": "/w"}},
        "no speed is known",
    ),
    "no command at all": (
        lambda place: bag(
            place / "bag", commands=lambda at, s: {"/v": number(2.0)} | ({"/w": number(0)} if s > 3 else {})
        ),
        {"channels": {"speed": "/v", "yaw_rate": "/w"}},
        "teaches nothing: no frame tells what was steered",
    ),
    "a channel of pictures": (
        lambda place: bag(place / "bag"),
        {"channels": TWIST | {"speed": "/front/image"}},
        "channel 'speed': /front/image is the camera's topic",
    ),
    "pictures of depth": (
        lambda place: bag(place / "bag", lambda n, at, view: ("/front/image", depth(at, view))),
        {"channels": TWIST},
        "60 × picture: image has encoding '16UC1'; it must be",
    ),
    "pictures cut off": (
        lambda place: bag(place / "bag", lambda n, at, view: ("/front/image", short(at, view))),
        {"channels": TWIST},
        r"60 × picture: image of 32 × 24 px rgb8 has rows of 96 bytes and 1000 bytes",
    ),
    "messages of zeros": (
        lambda place: bag(place / "bag", lambda n, at, view: ("/front/image", Garbled())),
        {"channels": TWIST},
        "/front/image has no message that can be read",
    ),
    "stills": (
        lambda place: bag(place / "bag", lambda n, at, view: ("/front/image", image(at, views(2)[0]))),
        {"channels": TWIST},
        "all 60 pictures are the same still",
    ),
    "one stamp": (
        lambda place: bag(place / "bag", lambda n, at, view: ("/front/image", image(BEGIN, view)), numbers),
        {"channels": {"speed": "/v", "yaw_rate": "/w"}},
        "59 of 59 stamps do not advance",
    ),
    "one picture": (
        lambda place: bag(place / "bag", lambda n, at, view: ("/front/image", image(at, view)) if n == 3 else None),
        {"channels": TWIST},
        r"it has 1 frame\(s\)",
    ),
}


class Garbled:
    """Says that it is an image, and is none."""

    __msgtype__ = "sensor_msgs/msg/Image"


def depth(at: int, view: Any) -> Any:
    made = image(at, view)
    made.encoding = "16UC1"
    return made


def short(at: int, view: Any) -> Any:
    made = image(at, view)
    made.data = made.data[:1000]
    return made


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_imported_gives_a_clear_error(case: str, take: Take, tmp_path: Path) -> None:
    make, told, said = REFUSED[case]
    source = make(tmp_path)
    with pytest.raises(DataError, match=said) as caught:
        take(source, **told)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_bag_that_is_cut_off_before_its_first_message(take: Take, tmp_path: Path) -> None:
    with pytest.raises(BagError, match="is cut off or corrupt, no message can be read"):
        take(cut_file(tmp_path), channels=TWIST)


def test_a_recording_that_was_cut_off_is_taken_up_to_there(take: Take, tmp_path: Path) -> None:
    path = bag(tmp_path / "bag", count=900)
    (file,) = path.glob("*.mcap")
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 3 // 4])
    found = take(path, channels=TWIST)
    assert 20 < found.frames < 900
    assert any("is cut off or corrupt" in note for note in found.tally.notes)


def test_a_bag_of_ros_1_and_a_folder_of_nothing_are_named(take: Take, tmp_path: Path) -> None:
    (tmp_path / "old.bag").write_bytes(b"#ROSBAG V2.0\n")
    with pytest.raises(DataError, match=r"is a bag of ROS 1; 'rosbags-convert --src old\.bag"):
        take(tmp_path / "old.bag")
    with pytest.raises(DataError, match=r"is nothing that can be imported: a donkeycar tub has manifest\.json"):
        take(tmp_path)
    with pytest.raises(DataError, match="no such file or folder"):
        take(tmp_path / "none")
