# SPDX-License-Identifier: Apache-2.0
"""The sensors of a robot in real time, from a process of their own: ``python sensors.py '{"drop": ["imu"], …}'``."""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import rclpy
from sensor_msgs.msg import CompressedImage

from tidegate.bag import BagReader
from tidegate.messages import PICTURES, TOPICS, camera_info, encode, encode_clock, published_as, type_on
from tidegate.messages.graph import SENSORS
from tidegate.nodes.topics import make, message_class
from tidegate.records import Frame, Imu, JointStates, LaneEstimate, Odometry, Points
from tidegate.robot import Car
from tidegate.settings import load_settings
from tidegate.share import share_path

STEP_S = 0.01
READY = 50
HEARD = (*SENSORS, "lane")


def main(wrong: dict[str, Any]) -> None:
    """Publish until the process is ended.

    Args:
        wrong: what is planted: topics to ``drop`` (advertised, but silent), ``joints`` that are missing, ``size`` of
            the image, ``wall`` time instead of a clock of its own, ``skew_s`` of all stamps, ``every`` how many steps a
            topic comes, ``rival`` on the commands. Nothing wrong: ``camera``, where its driver publishes; ``speed`` of
            the car [m/s]; a ``bag`` whose sensors and lane are published once, in the place of made-up ones.
    """
    settings = load_settings(share_path("config/car.yaml"))
    joints = tuple(name for name in Car.from_settings(settings).joint_names if name not in wrong.get("joints", ()))
    width, height = wrong.get("size", (settings.camera.width, settings.camera.height))
    camera, one = replace(settings.camera, width=width, height=height), np.zeros(3)
    every = {"camera/image_raw": 5, "camera/camera_info": 5, "points": 5, "lane": 5, **wrong.get("every", {})}
    rclpy.init(args=[])
    node = rclpy.create_node("driver")
    if wrong.get("rival"):
        node.create_publisher(message_class(TOPICS["command"].type), "command", 1)
    if "controller" in wrong:
        controller = rclpy.create_node("effort_controller")
        controller.declare_parameter("joints", wrong["controller"])
        threading.Thread(target=rclpy.spin, args=[controller], daemon=True).start()
    ticker = node.create_publisher(message_class(TOPICS["clock"].type), "/clock", 50)
    names = {topic: published_as(topic, wrong.get("camera", PICTURES)) for topic in HEARD}
    kinds = {topic: message_class(type_on(topic, name)) for topic, name in names.items()}
    senders = {topic: node.create_publisher(kinds[topic], name, 50) for topic, name in names.items()}
    if "bag" in wrong:
        play(wrong["bag"], senders, ticker)
        return
    begun, step = time.time_ns(), 0
    while True:
        stamp = begun + round(step * STEP_S * 1e9) - round(wrong.get("skew_s", 0.0) * 1e9)
        records = {
            "joint_states": JointStates(stamp, joints, *np.zeros((3, len(joints)))),
            "odom": Odometry(stamp, 0.0, 0.0, 0.0, wrong.get("speed", 0.0), 0.0),
            "imu": Imu(stamp, one, one),
            "points": Points(stamp, np.zeros((0, 3), np.float32), np.zeros(0, np.int32)),
            "camera/image_raw": Frame(stamp, np.zeros((height, width, 3), np.uint8)),
            "camera/camera_info": camera_info(stamp, camera),
            "lane": LaneEstimate(stamp, 0.3, 0.0, np.zeros(4), np.zeros(6)),
        }
        for topic, record in records.items():
            if step % every.get(topic, 1) == 0 and topic not in wrong.get("drop", ()):
                squeezed = isinstance(record, Frame) and kinds[topic] is CompressedImage
                senders[topic].publish(compressed(record) if squeezed else encode(record, make))
        if not wrong.get("wall"):  # a busy machine then slows time down instead of making stamps old
            ticker.publish(encode_clock(begun + round(step * STEP_S * 1e9), make))
        step += 1
        if step == READY:
            print("ready", flush=True)
        time.sleep(max(STEP_S / 2, begun / 1e9 + step * STEP_S - time.time()))  # no bursts: whoever listens is busy too


def compressed(frame: Frame) -> CompressedImage:
    """As JPEG."""
    message = CompressedImage(format="jpeg", data=cv2.imencode(".jpeg", frame.image[..., ::-1])[1].tobytes())
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(frame.stamp, 10**9)
    return message


def play(bag: str, senders: dict[str, Any], ticker: Any) -> None:
    """Publish what is in the bag at the times of receipt, which become those of the clock; then be silent."""
    reader = BagReader(bag)
    topics = {reader.find(topic): topic for topic in senders}
    messages = [(topics[name], received, data) for name, _, received, data in reader.raw(topics)]
    begun, first = time.monotonic_ns(), messages[0][1]
    print("ready", flush=True)
    for topic, received, data in messages:
        time.sleep(max(begun + received - first - time.monotonic_ns(), 0) / 1e9)
        senders[topic].publish(data)
        if topic == "odom":  # with every tick
            ticker.publish(encode_clock(received, make))
    threading.Event().wait()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
