# SPDX-License-Identifier: Apache-2.0
"""Where the robot's camera driver publishes (``camera.topic`` of the settings), and of what type its pictures are."""

from __future__ import annotations

from tidegate.messages.topics import COMPRESSED, TOPICS

PICTURES, LENS = "camera/image_raw", "camera/camera_info"
SUFFIX = "/compressed"
"""What ``image_transport`` adds to the name of a topic whose pictures it compresses."""


def published_as(topic: str, camera: str) -> str:
    """Name of ``topic`` with the robot's drivers, of which the camera's has its pictures on ``camera``.

    Its ``camera_info`` is beside them, for compressed ones beside the raw topic, as ``image_transport`` and its drivers
    have it; all other topics have the names of ``TOPICS``.
    """
    if topic == PICTURES:
        return camera
    if topic == LENS:
        folder, slash, _ = camera.removesuffix(SUFFIX).rpartition("/")
        return f"{folder}{slash}camera_info"
    return topic


def type_on(topic: str, name: str) -> str:
    """ROS type of ``topic`` where it is published under ``name``: pictures under one that ends in ``/compressed`` are
    ``sensor_msgs/msg/CompressedImage``."""
    return COMPRESSED[topic] if topic in COMPRESSED and name.endswith(SUFFIX) else TOPICS[topic].type
