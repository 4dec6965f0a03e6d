# SPDX-License-Identifier: Apache-2.0
"""What a recorder takes, in which quality, and what it does on a busy machine."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import rclpy
import yaml
from plant import until
from rclpy.executors import Executor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader

from tidegate.bag import BagReader, folder_named
from tidegate.messages import TOPICS, encode
from tidegate.nodes.recorder_node import RecorderNode
from tidegate.nodes.topics import make, message_class, offered_qos
from tidegate.records import Values

WAITING = 150
ENDLESS = 6000
"""Half a minute of messages, 5 ms apart."""


def lagging(ros: Executor, bag: Path) -> tuple[RecorderNode, Any, Any]:
    """A recorder that subscribed and then is left alone, a node beside it, and its publisher of ``truth``."""
    recorder = RecorderNode(["--ros-args", "-p", f"path:={bag}"])
    source = rclpy.create_node("source")
    ros.add_node(recorder)
    sender = source.create_publisher(message_class("sensor_msgs/msg/JointState"), "truth", offered_qos("truth", True))
    until(ros, lambda: sender.get_subscription_count() > 0, "the recorder subscribes")
    ros.remove_node(recorder)
    return recorder, source, sender


def test_what_waits_at_the_end_is_written(ros: Executor, tmp_path: Path) -> None:
    """It lags: of what was sent, it has handled nothing when it is asked to end."""
    bag = tmp_path / "bag"
    recorder, source, sender = lagging(ros, bag)
    for stamp in range(WAITING):
        sender.publish(encode(Values(stamp, {"speed": 1.0}), make))
    recorder.close()
    recorder.destroy_node()
    source.destroy_node()
    with AnyReader([bag]) as reader:
        found = [reader.deserialize(data, connection.msgtype) for connection, _, data in reader.messages()]
    assert [message.header.stamp.nanosec for message in found] == list(range(WAITING))


def test_it_ends_though_the_graph_goes_on(ros: Executor, tmp_path: Path) -> None:
    recorder, source, sender = lagging(ros, tmp_path / "bag")
    closing, sent = threading.Thread(target=recorder.close, daemon=True), 0
    closing.start()
    while closing.is_alive():
        assert sent < ENDLESS
        sender.publish(encode(Values(sent, {"speed": 1.0}), make))
        sent += 1
        closing.join(0.005)
    recorder.destroy_node()
    source.destroy_node()
    stamps = [record.stamp for _, _, record in BagReader(tmp_path / "bag").messages(["truth"])]
    assert stamps == list(range(len(stamps)))


@contextmanager
def recording(ros: Executor, bag: Path, *parameters: str) -> Iterator[RecorderNode]:
    flags = [word for parameter in (f"path:={bag}", *parameters) for word in ("-p", parameter)]
    recorder = RecorderNode(["--ros-args", *flags])
    ros.add_node(recorder)
    yield recorder
    ros.remove_node(recorder)
    recorder.close()
    recorder.destroy_node()


@pytest.mark.parametrize("every", [False, True])
def test_the_stacks_topics_are_recorded_or_all_of_a_standard_type(ros: Executor, tmp_path: Path, every: bool) -> None:
    source = rclpy.create_node("driver")
    ros.add_node(source)
    published = {"odom": TOPICS["odom"].type, "markers": TOPICS["markers"].type}
    published["warmth"] = "sensor_msgs/msg/Temperature"
    senders = {name: source.create_publisher(message_class(kind), name, 10) for name, kind in published.items()}
    expected = {"/odom", "/warmth"} if every else {"/odom"}
    with recording(ros, tmp_path / "bag", f"all_topics:={every}"):
        until(
            ros,
            lambda: {f"/{name}" for name, one in senders.items() if one.get_subscription_count()} == expected,
            "the recorder subscribes",
        )
        for name, kind in published.items():
            senders[name].publish(make(kind))
        until(ros, lambda: not ros_busy(senders, expected), "all is sent")
    source.destroy_node()
    reader = BagReader(tmp_path / "bag")
    told = {"/rosout", "/parameter_events"} if every else set()
    assert expected <= set(reader.topics) <= expected | told
    assert all(reader.counts[name] == 1 for name in expected)


def ros_busy(senders: dict[str, Any], expected: set[str]) -> bool:
    """Whether a message is still on its way to the recorder."""
    return not all(one.wait_for_all_acked() for name, one in senders.items() if f"/{name}" in expected)


def test_a_topic_of_another_type_is_left_out_with_a_warning(
    ros: Executor, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = rclpy.create_node("driver")
    ros.add_node(source)
    other = source.create_publisher(message_class("std_msgs/msg/String"), "odom", 10)
    imu = source.create_publisher(message_class(TOPICS["imu"].type), "imu", 10)
    warning = "/odom is not recorded: it is std_msgs/msg/String; it must be nav_msgs/msg/Odometry"
    said = ""

    def warned() -> bool:
        nonlocal said
        said += capfd.readouterr().err
        return warning in said

    with recording(ros, tmp_path / "bag"):
        until(ros, lambda: imu.get_subscription_count() > 0, "the recorder subscribes")
        until(ros, warned, "the recorder warns of the other type")
        imu.publish(make(TOPICS["imu"].type))
        assert other.get_subscription_count() == 0
        imu.wait_for_all_acked()
    source.destroy_node()
    assert (said + capfd.readouterr().err).count(warning) == 1
    assert set(BagReader(tmp_path / "bag").topics) == {"/imu"}


def test_the_quality_that_is_offered_travels_in_the_bag(ros: Executor, tmp_path: Path) -> None:
    """As rosbag2 has it, in ``metadata.yaml`` and with the channel; read by rosbags."""
    source = rclpy.create_node("driver")
    ros.add_node(source)
    latched = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    loose = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    senders = {
        name: source.create_publisher(message_class(TOPICS[name].type), name, profile)
        for name, profile in (("emergency_stop", latched), ("imu", loose))
    }
    with recording(ros, tmp_path / "bag"):
        until(ros, lambda: all(one.get_subscription_count() for one in senders.values()), "the recorder subscribes")
        for name, sender in senders.items():
            sender.publish(make(TOPICS[name].type))
        for _ in range(20):
            ros.spin_once(timeout_sec=0.01)
    source.destroy_node()
    held = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    listed = {one["topic_metadata"]["name"]: one["topic_metadata"] for one in held["topics_with_message_count"]}
    (stop,), (imu,) = (listed[name]["offered_qos_profiles"] for name in ("/emergency_stop", "/imu"))
    assert (stop["reliability"], stop["durability"]) == ("reliable", "transient_local")
    assert (imu["reliability"], imu["durability"]) == ("best_effort", "volatile")
    assert stop["lifespan"] == {"sec": 9223372036, "nsec": 854775807}  # infinite
    assert all(re.fullmatch(r"RIHS01_[0-9a-f]{64}", one["type_description_hash"]) for one in listed.values())
    (file,) = (tmp_path / "bag").glob("*.mcap")
    for path in (tmp_path / "bag", file):
        with Reader(path) as reader:
            found = {one.topic: one.ext.offered_qos_profiles for one in reader.connections}
        assert [one.durability.name for one in found["/emergency_stop"]] == ["TRANSIENT_LOCAL"]
        assert [one.reliability.name for one in found["/imu"]] == ["BEST_EFFORT"]


def test_a_folder_may_be_named_by_the_time() -> None:
    assert folder_named("") is folder_named("false") is None
    assert folder_named("drives/one") == Path("drives/one")
    assert re.fullmatch(r"bags/\d{8}T\d{6}Z", str(folder_named("true")))
