# SPDX-License-Identifier: Apache-2.0
"""``camera_topic``: who looks at the camera looks where the robot's driver publishes; bags keep our names."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from plant import CAR_YAML, until
from rclpy.executors import Executor
from rclpy.lifecycle import TransitionCallbackReturn

from tidegate.bag import BagReader
from tidegate.messages import TOPICS, camera_info, encode
from tidegate.nodes.perception_node import PerceptionNode
from tidegate.nodes.recorder_node import RecorderNode
from tidegate.nodes.topics import make, message_class, offered_qos
from tidegate.records import Frame
from tidegate.settings import Settings
from tidegate.share import share_path

OURS = ("camera/image_raw", "camera/camera_info")


@pytest.mark.parametrize(
    ("given", "pictures", "lens"),
    [
        (None, "camera/image_raw", "camera/camera_info"),
        ("/front/image_raw", "/front/image_raw", "/front/camera_info"),
        ("left/zed/image_color", "left/zed/image_color", "left/zed/camera_info"),
        ("pictures", "pictures", "camera_info"),
    ],
)
def test_every_node_that_looks_at_the_camera_is_told(given: str | None, pictures: str, lens: str) -> None:
    launch = pytest.importorskip("launch")
    from launch.utilities import perform_substitutions

    context = launch.LaunchContext()
    context.launch_configurations.update({"camera_topic": given} if given else {})
    told = {}
    for action in described("robot.launch.py").entities:
        name = getattr(action, "node_executable", "")
        if name in ("perception_node", "saliency_node", "recorder_node"):
            rules = getattr(action, "_Node__remappings", None) or ()
            told[name] = dict(tuple(perform_substitutions(context, list(part)) for part in rule) for rule in rules)
    assert told.keys() == {"perception_node", "saliency_node", "recorder_node"}
    for rules in told.values():
        assert (rules[OURS[0]], rules[OURS[1]]) == (pictures, lens)


def described(name: str) -> Any:
    spec = importlib.util.spec_from_file_location("robot_launch", share_path("launch") / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.generate_launch_description()


def test_perception_sees_and_the_recorder_keeps_what_the_drivers_topics_carry(
    ros: Executor, bundle: Path, settings: Settings, tmp_path: Path
) -> None:
    remapped = ["-r", "camera/image_raw:=/front/image_raw", "-r", "camera/camera_info:=/front/camera_info"]
    driver = rclpy.create_node("camera_driver")
    senders = {
        topic: driver.create_publisher(
            message_class(TOPICS[topic].type), f"/front/{topic.partition('/')[2]}", offered_qos(topic, False)
        )
        for topic in OURS
    }
    recorder = RecorderNode(["--ros-args", "-p", f"path:={tmp_path / 'bag'}", *remapped])
    perception = PerceptionNode(["--ros-args", "--params-file", str(CAR_YAML), "-p", f"bundle:={bundle}", *remapped])
    info = camera_info(0, settings.camera)
    info.k[0, 2] += 6.0
    picture = np.zeros((settings.camera.height, settings.camera.width, 3), np.uint8)
    for one in (driver, recorder, perception):
        ros.add_node(one)
    try:
        assert perception.trigger_configure() == perception.trigger_activate() == TransitionCallbackReturn.SUCCESS
        until(ros, lambda: all(sender.get_subscription_count() == 2 for sender in senders.values()), "both listeners")
        senders[OURS[0]].publish(encode(Frame(1, picture), make))
        senders[OURS[1]].publish(encode(info, make))
        until(ros, lambda: perception._perception.rectifies, "the camera's intrinsics")
    finally:
        perception.close()
        recorder.close()
        for one in (driver, recorder, perception):
            ros.remove_node(one)
            one.destroy_node()
    reader = BagReader(tmp_path / "bag")
    assert {f"/{topic}" for topic in OURS} <= set(reader.topics)
    assert [topic for topic, _, _ in reader.messages(OURS)] in ([*OURS], [*reversed(OURS)])
