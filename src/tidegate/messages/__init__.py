# SPDX-License-Identifier: Apache-2.0
"""The topics of the graph and the only translation between records and ROS messages, for any message classes.

A *maker* is a function from a type name such as ``sensor_msgs/msg/Image`` to a new message with default values: the
classes of rclpy or those of rosbags, whose field names are the same. Nothing here imports either.
"""

from tidegate.messages.camera import camera_info
from tidegate.messages.codec import decode, encode, encode_clock, encode_efforts
from tidegate.messages.common import clock_of, serialised_stamp, stamp_of
from tidegate.messages.markers import Shape, encode_shapes
from tidegate.messages.source import LENS, PICTURES, SUFFIX, published_as, type_on
from tidegate.messages.status import (
    CHANGED,
    decode_changed,
    decode_policy,
    encode_diagnostics,
    encode_policy,
    layers_of,
    statuses,
)
from tidegate.messages.topics import ARM_FORMS, COMPRESSED, DIAGNOSTICS, TOPICS, Make, Qos, Topic

__all__ = [
    "ARM_FORMS",
    "CHANGED",
    "COMPRESSED",
    "DIAGNOSTICS",
    "LENS",
    "PICTURES",
    "SUFFIX",
    "TOPICS",
    "Make",
    "Qos",
    "Shape",
    "Topic",
    "camera_info",
    "clock_of",
    "decode",
    "decode_changed",
    "decode_policy",
    "encode",
    "encode_clock",
    "encode_diagnostics",
    "encode_efforts",
    "encode_policy",
    "encode_shapes",
    "layers_of",
    "published_as",
    "serialised_stamp",
    "stamp_of",
    "statuses",
    "type_on",
]
