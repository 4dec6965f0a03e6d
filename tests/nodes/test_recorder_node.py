# SPDX-License-Identifier: Apache-2.0
"""A recorder whose machine is busy."""

from pathlib import Path

import rclpy
from plant import until
from rclpy.executors import Executor
from rosbags.highlevel import AnyReader

from tidegate.messages import encode
from tidegate.nodes.recorder_node import RecorderNode
from tidegate.nodes.topics import make, message_class, offered_qos
from tidegate.records import Values

WAITING = 150


def test_what_waits_at_the_end_is_written(ros: Executor, tmp_path: Path) -> None:
    """It lags: of what was sent, it has handled nothing when it is asked to end."""
    bag = tmp_path / "bag"
    recorder = RecorderNode(["--ros-args", "-p", f"path:={bag}"])
    source = rclpy.create_node("source")
    ros.add_node(recorder)
    sender = source.create_publisher(message_class("sensor_msgs/msg/JointState"), "truth", offered_qos("truth", True))
    until(ros, lambda: sender.get_subscription_count() > 0, "the recorder subscribes")
    ros.remove_node(recorder)
    for stamp in range(WAITING):
        sender.publish(encode(Values(stamp, {"speed": 1.0}), make))
    recorder.close()
    recorder.destroy_node()
    source.destroy_node()
    with AnyReader([bag]) as reader:
        found = [reader.deserialize(data, connection.msgtype) for connection, _, data in reader.messages()]
    assert [message.header.stamp.nanosec for message in found] == list(range(WAITING))
