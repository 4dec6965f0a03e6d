# SPDX-License-Identifier: Apache-2.0
"""Record ↔ message, by the class of the record and by the topic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tidegate.messages import camera, motion, points, status, vectors
from tidegate.messages.common import assign, set_time, stamp_of
from tidegate.messages.topics import CLOCK, MULTI_ARRAY, TOPICS, Make
from tidegate.records import (
    ArmSafetyState,
    CameraInfo,
    Command,
    Features,
    Floats,
    Frame,
    Gains,
    ImageHealth,
    Imu,
    JointStates,
    Joy,
    LaneEstimate,
    Manual,
    MotionRequest,
    Neurons,
    Nominal,
    Odometry,
    Points,
    Round,
    SafetyState,
    Twist,
    UsedInputs,
    Values,
    Wrench,
)


def encode(record: Any, make: Make) -> Any:
    """The message that carries ``record``.

    Raises:
        KeyError: no message carries this class of record.
    """
    return _ENCODERS[type(record)](record, make)


def decode(topic: str, message: Any) -> Any:
    """The record that ``message`` on ``topic`` (a key of ``TOPICS``) carries; values are not judged, NaN stays.

    Raises:
        ImageError: an image of an unusable encoding or size.
        MessageError: another layout than the topic's.
        KeyError: a topic that carries no record.
    """
    return _DECODERS[TOPICS[topic].record](message)


def encode_efforts(effort: Floats, make: Make) -> Any:
    """``effort_controller/commands`` (std_msgs/Float64MultiArray): efforts (J,) [N·m] in the order of the command."""
    message = make(MULTI_ARRAY)
    assign(message, "data", effort)
    return message


def encode_clock(stamp: int, make: Make) -> Any:
    """``/clock`` (rosgraph_msgs/Clock)."""
    message = make(CLOCK)
    set_time(message.clock, stamp)
    return message


_ENCODERS: dict[type, Callable[[Any, Make], Any]] = {
    Frame: camera.encode_frame,
    CameraInfo: camera.encode_camera_info,
    JointStates: vectors.encode_joints,
    Odometry: motion.encode_odometry,
    Imu: motion.encode_imu,
    Points: points.encode_points,
    Wrench: motion.encode_wrench,
    Features: camera.encode_vector,
    Neurons: camera.encode_vector,
    LaneEstimate: vectors.encode_lane,
    ImageHealth: status.encode_health,
    Nominal: vectors.encode_nominal,
    Gains: vectors.encode_gains,
    Joy: vectors.encode_joy,
    Manual: vectors.encode_manual,
    Command: vectors.encode_command,
    Twist: motion.encode_twist,
    MotionRequest: vectors.encode_request,
    SafetyState: vectors.encode_safety,
    ArmSafetyState: vectors.encode_safety,
    UsedInputs: vectors.encode_used,
    Round: status.encode_round,
    Values: vectors.encode_gains,
    bool: status.encode_bool,
}
_DECODERS: dict[type | None, Callable[[Any], Any]] = {
    Frame: camera.decode_frame,
    CameraInfo: camera.decode_camera_info,
    JointStates: vectors.decode_joints,
    Odometry: motion.decode_odometry,
    Imu: motion.decode_imu,
    Points: points.decode_points,
    Wrench: motion.decode_wrench,
    Features: lambda message: Features(stamp_of(message), camera.vector(message)),
    Neurons: lambda message: Neurons(stamp_of(message), camera.vector(message)),
    LaneEstimate: vectors.decode_lane,
    ImageHealth: status.decode_health,
    Nominal: vectors.decode_nominal,
    Gains: vectors.decode_gains,
    Joy: vectors.decode_joy,
    Manual: vectors.decode_manual,
    Command: vectors.decode_command,
    Twist: motion.decode_twist,
    MotionRequest: vectors.decode_request,
    SafetyState: vectors.decode_safety,
    UsedInputs: vectors.decode_used,
    Round: status.decode_round,
    Values: lambda message: Values(stamp_of(message), vectors.decode_gains(message).values),
    bool: lambda message: bool(message.data),
}
