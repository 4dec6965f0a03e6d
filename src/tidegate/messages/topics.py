# SPDX-License-Identifier: Apache-2.0
"""The topics of the graph: name, ROS type, record and quality of service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from tidegate.records import (
    CameraInfo,
    Command,
    Features,
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

Make = Callable[[str], Any]
Kind = type[Any] | None
Qos = Literal["sensor", "command", "reliable"]
"""``sensor``: best effort, the newest few; ``command``: reliable, depth 1; ``reliable``: reliable, depth 10."""

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
JOINT_STATE = "sensor_msgs/msg/JointState"
JOY = "sensor_msgs/msg/Joy"
IMU = "sensor_msgs/msg/Imu"
CLOUD = "sensor_msgs/msg/PointCloud2"
POINT_FIELD = "sensor_msgs/msg/PointField"
ODOMETRY = "nav_msgs/msg/Odometry"
DIAGNOSTICS = "diagnostic_msgs/msg/DiagnosticArray"
DIAGNOSTIC_STATUS = "diagnostic_msgs/msg/DiagnosticStatus"
KEY_VALUE = "diagnostic_msgs/msg/KeyValue"
HEADER = "std_msgs/msg/Header"
BOOL = "std_msgs/msg/Bool"
MULTI_ARRAY = "std_msgs/msg/Float64MultiArray"
CLOCK = "rosgraph_msgs/msg/Clock"
MARKERS = "visualization_msgs/msg/MarkerArray"
MARKER = "visualization_msgs/msg/Marker"
POINT = "geometry_msgs/msg/Point"
TWIST = "geometry_msgs/msg/TwistStamped"
WRENCH = "geometry_msgs/msg/WrenchStamped"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic: relative ``name``, ROS ``type``, class of the ``record`` (None = not decoded here), ``qos``.

    ``recorded``: whether it belongs into a bag; what can be made again from the other topics does not.
    """

    name: str
    type: str
    record: Kind
    qos: Qos
    recorded: bool = True


TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        Topic("camera/image_raw", IMAGE, Frame, "sensor"),
        Topic("camera/camera_info", CAMERA_INFO, CameraInfo, "sensor"),
        Topic("joint_states", JOINT_STATE, JointStates, "sensor"),
        Topic("odom", ODOMETRY, Odometry, "sensor"),
        Topic("imu", IMU, Imu, "sensor"),
        Topic("points", CLOUD, Points, "sensor"),
        Topic("wrench", WRENCH, Wrench, "sensor"),
        Topic("wrench_request", WRENCH, Wrench, "command"),
        Topic("features", IMAGE, Features, "command"),
        Topic("lane", JOINT_STATE, LaneEstimate, "command"),
        Topic("health", DIAGNOSTICS, ImageHealth, "command"),
        Topic("nominal", JOINT_STATE, Nominal, "command"),
        Topic("gains", JOINT_STATE, Gains, "command"),
        Topic("neurons", IMAGE, Neurons, "command"),
        Topic("policy_node/inputs", JOINT_STATE, UsedInputs, "reliable"),
        Topic("joy", JOY, Joy, "sensor"),
        Topic("manual", JOINT_STATE, Manual, "command"),
        Topic("emergency_stop", BOOL, bool, "reliable"),
        Topic("command", JOINT_STATE, Command, "command"),
        Topic("effort_controller/commands", MULTI_ARRAY, None, "command"),
        Topic("cmd_vel", TWIST, Twist, "command"),
        Topic("motion_request", JOINT_STATE, MotionRequest, "command"),
        Topic("safety_node/would_command", JOINT_STATE, Command, "command"),
        Topic("safety_node/barriers", JOINT_STATE, SafetyState, "reliable"),
        Topic("safety_node/inputs", JOINT_STATE, UsedInputs, "reliable"),
        Topic("tick", HEADER, Round, "reliable"),
        Topic("expert/nominal", JOINT_STATE, Nominal, "reliable"),
        Topic("expert/lane", JOINT_STATE, LaneEstimate, "reliable"),
        Topic("timing/rendered", JOINT_STATE, Values, "reliable"),
        Topic("timing/commanded", JOINT_STATE, Values, "reliable"),
        Topic("truth", JOINT_STATE, Values, "reliable"),
        Topic("clock", CLOCK, None, "sensor"),
        Topic("diagnostics", DIAGNOSTICS, None, "reliable"),
        Topic("markers", MARKERS, None, "reliable", recorded=False),
        Topic("saliency", IMAGE, Frame, "sensor", recorded=False),
    )
}
"""Every topic by its relative name (``~/barriers`` of the safety node is ``safety_node/barriers``)."""

COMPRESSED = {"camera/image_raw": COMPRESSED_IMAGE}
"""Type that a topic may have, in the place of its own: live under a name that ends in ``/compressed``."""

ARM_FORMS = {"nominal": "command"}
"""Topic → the one whose form it has in an arm's graph: torques by joint are asked for there."""

FORCE, CURVATURE = "drive_force", "path_curvature"
