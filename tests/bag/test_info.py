# SPDX-License-Identifier: Apache-2.0
"""What ``tidegate info`` tells of bags whose gaps, jitter, drops and latencies are known."""

from __future__ import annotations

import json
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2 import StoragePlugin, Writer
from typer.testing import CliRunner

from tidegate.bag import BagReader, BagWriter, measure, summarise, typestore
from tidegate.cli.app import app
from tidegate.errors import BagError
from tidegate.messages import TOPICS, encode, serialised_stamp
from tidegate.messages.rates import stated_rates
from tidegate.records import Command, Features, Frame, Nominal, Odometry, UsedInputs, Values
from tidegate.settings import load_settings
from tidegate.share import share_path

PERIOD = 50_000_000
RATES = stated_rates(load_settings(share_path("config/car.yaml")))
START = 1_700_000_000 * 10**9


def frame(stamp: int) -> Frame:
    return Frame(stamp, np.zeros((4, 6, 3), np.uint8))


@given(
    st.integers(3, 60).flatmap(lambda count: st.tuples(st.just(count), st.sets(st.integers(1, count - 2)))),
    st.integers(0, 20_000_000),
    st.randoms(),
)
def test_drops_gaps_and_jitter_are_those_that_were_made(made: tuple[int, set[int]], unrest: int, random: Any) -> None:
    """Up to 20 of 50 ms of unrest between neighbours: no step is taken for another number of periods."""
    count, lost = made
    kept = [index for index in range(count) if index not in lost]
    stamps = [START + index * PERIOD + random.randint(-unrest // 2, unrest // 2) for index in kept]
    timing = measure(stamps, 20.0)
    assert timing.dropped == len(lost)
    assert timing.gaps == sum(after - before > 1 for before, after in pairwise(kept))
    assert timing.backwards == 0
    steps = [after - before for before, after in pairwise(stamps)]
    assert timing.longest_s == max(steps) / 1e9
    assert timing.longest_at is not None
    assert stamps[stamps.index(timing.longest_at) + 1] - timing.longest_at == max(steps)
    uneven = [
        (stamps[index + 1] - START - kept[index + 1] * PERIOD) - (stamps[index] - START - kept[index] * PERIOD)
        for index in range(len(kept) - 1)
    ]
    assert timing.jitter_s == pytest.approx(np.std(uneven) / 1e9, abs=1e-12)
    assert timing.rate_hz == pytest.approx((len(stamps) - 1) * 1e9 / (stamps[-1] - stamps[0]))


@given(st.lists(st.integers(0, 50), max_size=30))
def test_stamps_that_do_not_advance_are_counted_and_nothing_raises(stamps: list[int]) -> None:
    timing = measure(stamps)
    assert timing.backwards == sum(after <= before for before, after in pairwise(stamps))
    assert timing.dropped is None


def test_without_a_stated_rate_the_median_step_is_the_period() -> None:
    timing = measure([0, 10, 20, 50, 60])
    assert (timing.gaps, timing.dropped, timing.jitter_s) == (1, None, 0.0)


@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 10**9 - 1))
def test_a_stamp_is_read_off_the_bytes_in_either_order(sec: int, nanosec: int) -> None:
    for order, mark in (("<", 1), (">", 0)):
        data = bytes([0, mark, 0, 0]) + struct.pack(f"{order}iI", sec, nanosec)
        assert serialised_stamp(data) == sec * 10**9 + nanosec
        assert serialised_stamp(data[:-1]) is None


def live_bag(path: Path, frames: int = 12, lost: tuple[int, ...] = (4, 5)) -> None:
    """Frame → features 3 ms → nominal 1 ms → tick 5 ms later; receipts 2 ms after the stamp of the frame."""
    with BagWriter(path) as writer:
        for index in (index for index in range(frames) if index not in lost):
            at = START + index * PERIOD
            writer.write("camera/image_raw", frame(at), at + 2_000_000)
            writer.write("features", Features(at, np.zeros(3, np.float32)), at + 5_000_000)
            writer.write("nominal", Nominal(at, 1.0, 0.0), at + 6_000_000)
            writer.write("timing/rendered", Values(at, {"steady": 7e9 + index * PERIOD}), at)
            writer.write("timing/commanded", Values(at, {"steady": 7e9 + index * PERIOD + 9e6}), at)
            for tick in (10_000_000, 15_000_000):  # two ticks use it, the first counts
                writer.write("command", Command(at + tick, ("a",), np.zeros(1)), at + tick + 1_000_000)
                used = UsedInputs(at + tick, {"nominal": (at, tick), "imu": None}, {"emergency_stop": False})
                writer.write("safety_node/inputs", used, at + tick + 1_000_000)


def typed(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["info", *words], env={"COLUMNS": "80"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_latency_is_told_per_hop_and_at_the_tick(tmp_path: Path) -> None:
    live_bag(tmp_path / "drive")
    summary = summarise(BagReader(tmp_path / "drive"), RATES)
    assert not summary.interrupted
    assert not summary.another_clock
    hops = {name: (hop.count, round(hop.median_s * 1e3, 6)) for name, hop in summary.hops.items()}
    assert hops == {
        "camera/image_raw → features": (10, 3.0),
        "features → nominal": (10, 1.0),
        "nominal → command": (10, 5.0),
        "camera/image_raw → command": (10, 9.0),
        "rendered → commanded, on one steady clock": (10, 9.0),
    }
    assert summary.ages["nominal"].median_s == 0.0125
    assert "imu" not in summary.ages
    camera = next(topic for topic in summary.topics if topic.name == "/camera/image_raw")
    assert (camera.count, camera.stated_hz, camera.timing.dropped, camera.timing.gaps) == (10, 20.0, 2, 1)
    assert camera.latency is not None
    assert camera.latency.median_s == 0.002


def test_the_command_prints_tables_and_json_that_agree(tmp_path: Path) -> None:
    live_bag(tmp_path / "drive")
    code, text = typed(str(tmp_path / "drive"))
    assert code == 0
    row = next(line for line in text.splitlines() if line.startswith("/camera/image_raw"))
    assert row.split() == [
        *("/camera/image_raw", "sensor_msgs/msg/Image", "10", "16.4", "20", "0.00", "150.0", "1", "2"),
        *("2.00", "(2.00)"),
    ]
    assert "carries no metadata" in text
    code, text = typed(str(tmp_path / "drive"), "--json")
    told = json.loads(text)
    assert code == 0
    assert {topic["name"]: topic["timing"]["dropped"] for topic in told["topics"]}["/camera/image_raw"] == 2
    assert told["hops"]["features → nominal"]["count"] == 10
    assert told["storage"] == "mcap"
    assert told["indexed"] is True


def test_stamps_of_another_clock_give_hops_but_no_latency_by_stamp(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "sim") as writer:
        for index in range(5):
            writer.write("camera/image_raw", frame(index * PERIOD + 1), START + index * PERIOD)
            writer.write(
                "features", Features(index * PERIOD + 1, np.zeros(2, np.float32)), START + index * PERIOD + 4_000_000
            )
    summary = summarise(BagReader(tmp_path / "sim"), RATES)
    assert summary.another_clock
    assert all(topic.latency is None for topic in summary.topics)
    assert summary.hops["camera/image_raw → features"].median_s == 0.004
    assert "another clock" in typed(str(tmp_path / "sim"))[1]


def sqlite_bag(path: Path, count: int = 400) -> None:
    with Writer(path, version=8, storage_plugin=StoragePlugin.SQLITE3) as writer:
        kind = TOPICS["odom"].type
        connection = writer.add_connection("/robot1/odom", kind, typestore=typestore.STORE)
        for index in range(count):
            record = Odometry(START + index * PERIOD, 0.0, 0.0, 0.0, 1.0, 0.0)
            data = typestore.serialise(encode(record, typestore.make))
            writer.write(connection, record.stamp + 1_000_000, data)


@pytest.mark.parametrize("form", ["folder", "no metadata", "file"])
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_both_formats_with_and_without_metadata(tmp_path: Path, storage: str, form: str) -> None:
    bag = tmp_path / "bag"
    if storage == "sqlite3":
        sqlite_bag(bag, 6)
    else:
        with BagWriter(bag) as writer:
            for index in range(6):
                at = START + index * PERIOD
                writer.write("odom", Odometry(at, 0.0, 0.0, 0.0, 1.0, 0.0), at + 1_000_000)
    (file,) = [*bag.glob("*.mcap"), *bag.glob("*.db3")]
    if form == "no metadata":
        (bag / "metadata.yaml").unlink()
    summary = summarise(BagReader(file if form == "file" else bag), RATES)
    (topic,) = summary.topics
    assert (summary.storage, summary.interrupted, summary.indexed) == (storage, False, form != "no metadata")
    assert (topic.count, round(topic.timing.rate_hz, 6)) == (6, 20.0)
    assert topic.latency is not None
    assert round(topic.latency.largest_s, 6) == 0.001


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_truncated_bag_tells_what_came_before_the_cut(tmp_path: Path, storage: str) -> None:
    bag = tmp_path / "bag"
    if storage == "sqlite3":
        sqlite_bag(bag)
    else:
        live_bag(bag, frames=400)
    (file,) = [*bag.glob("*.mcap"), *bag.glob("*.db3")]
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    summary = summarise(BagReader(bag), RATES)
    assert summary.interrupted
    counts = [topic.count for topic in summary.topics]
    assert 100 < sum(counts) < 3000
    assert all(topic.timing.backwards == 0 for topic in summary.topics)
    code, text = typed(str(bag))
    assert code == 0
    assert "the recording was interrupted" in text


def test_a_split_recording_that_was_killed_is_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    for number, index in (("2", 0), ("10", 1)):
        with BagWriter(tmp_path / number) as writer:
            at = START + index * PERIOD
            writer.write("odom", Odometry(at, 0.0, 0.0, 0.0, 1.0, 0.0))
        (tmp_path / number / f"{number}_0.mcap").rename(tmp_path / "bag" / f"bag_{number}.mcap")
    reader = BagReader(tmp_path / "bag")
    assert [received for _, _, received, _ in reader.raw({"/odom"})] == [START, START + PERIOD]
    assert summarise(reader, RATES).topics[0].timing.backwards == 0


def test_another_robots_types_and_metadata_are_told(tmp_path: Path) -> None:
    text = b"# a comment\nstd_msgs/Header header\nfloat64 volts\n"
    with (tmp_path / "boat.mcap").open("wb") as file:
        writer = McapWriter(file)
        writer.start(profile="ros2")
        writer.add_metadata("boat", {"hull": "7f3a", "settings_sha256": "00ff"})
        stamped = writer.register_schema("boat_msgs/msg/Battery", "ros2msg", text)
        plain = writer.register_schema("boat_msgs/msg/Horn", "ros2msg", b"bool on\n")
        battery = writer.register_channel("/battery", "cdr", stamped)
        horn = writer.register_channel("/horn", "cdr", plain)
        for index in range(4):
            at = START + index * 10**8
            data = b"\0\1\0\0" + struct.pack("<iI", *divmod(at, 10**9)) + bytes(16)
            writer.add_message(battery, at + 3_000_000, data, at)
            writer.add_message(horn, at, b"\0\1\0\0\1", at)
        writer.finish()
    summary = summarise(BagReader(tmp_path / "boat.mcap"), RATES)
    found = {topic.name: (topic.by_stamp, round(topic.timing.rate_hz, 3)) for topic in summary.topics}
    assert found == {"/battery": (True, 10.0), "/horn": (False, 10.0)}
    assert summary.carried == {"boat": {"hull": "7f3a", "settings_sha256": "00ff"}}
    assert "carries boat: hull: 7f3a, settings_sha256: 00ff" in typed(str(tmp_path / "boat.mcap"))[1]


def test_a_topic_that_falls_silent_before_the_end_is_told(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        for index in range(100):
            at = START + index * PERIOD
            writer.write("odom", Odometry(at, 0.0, 0.0, 0.0, 1.0, 0.0))
            if index < 40:
                writer.write("camera/image_raw", frame(at))
    assert "/camera/image_raw ends 3.0 s before the bag does" in typed(str(tmp_path / "bag"))[1]


def test_a_bag_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["info", str(tmp_path / "nothing")])
    assert isinstance(result.exception, BagError)  # main() makes one line and exit code 2 of it
    assert str(result.exception) == f"{tmp_path}/nothing: no such bag"


def test_the_contract_is_shown_once_and_whole_in_json(tmp_path: Path) -> None:
    contract = {"robot": "car", "joints": '{"steer": {"effort": 600.0}, "wheel": {}}', "settings": "/**: {}\n"}
    with BagWriter(tmp_path / "bag", contract) as writer:
        writer.write("odom", Odometry(START, 0.0, 0.0, 0.0, 1.0, 0.0))
    text = typed(str(tmp_path / "bag"))[1].splitlines()
    assert [line for line in text if line.startswith("c")] == ["contract robot: car", "contract joints: steer, wheel"]
    told = json.loads(typed(str(tmp_path / "bag"), "--json")[1])
    assert (told["contract"], told["carried"], told["problems"]) == (contract, {}, [])
