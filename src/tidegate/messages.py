# SPDX-License-Identifier: Apache-2.0
"""The topics of the graph and the only translation between records and ROS messages, for any message classes.

A *maker* is a function from a type name such as ``sensor_msgs/msg/Image`` to a new message with default values: the
classes of rclpy or those of rosbags, whose field names are the same. Nothing here imports either.
"""

from __future__ import annotations

import array
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import ImageError, MessageError
from tidegate.records import (
    NANOSECONDS,
    BarrierState,
    CameraInfo,
    Command,
    Features,
    Floats,
    Frame,
    Gains,
    ImageHealth,
    Imu,
    JointStates,
    LaneEstimate,
    Level,
    Manual,
    Mode,
    Neurons,
    Nominal,
    Odometry,
    Points,
    Round,
    SafetyState,
    UsedInputs,
    Values,
)
from tidegate.settings.sensors import CameraSettings

Make = Callable[[str], Any]
Kind = type[Any] | None
Qos = Literal["sensor", "command", "reliable"]
"""``sensor``: best effort, the newest few; ``command``: reliable, depth 1; ``reliable``: reliable, depth 10."""

IMAGE = "sensor_msgs/msg/Image"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
JOINT_STATE = "sensor_msgs/msg/JointState"
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


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic: relative ``name``, ROS ``type``, class of the ``record`` (None = not decoded here), ``qos``."""

    name: str
    type: str
    record: Kind
    qos: Qos


TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        Topic("camera/image_raw", IMAGE, Frame, "sensor"),
        Topic("camera/camera_info", CAMERA_INFO, CameraInfo, "sensor"),
        Topic("joint_states", JOINT_STATE, JointStates, "sensor"),
        Topic("odom", ODOMETRY, Odometry, "sensor"),
        Topic("imu", IMU, Imu, "sensor"),
        Topic("points", CLOUD, Points, "sensor"),
        Topic("features", IMAGE, Features, "command"),
        Topic("lane", JOINT_STATE, LaneEstimate, "command"),
        Topic("health", DIAGNOSTICS, ImageHealth, "command"),
        Topic("nominal", JOINT_STATE, Nominal, "command"),
        Topic("gains", JOINT_STATE, Gains, "command"),
        Topic("neurons", IMAGE, Neurons, "command"),
        Topic("manual", JOINT_STATE, Manual, "command"),
        Topic("emergency_stop", BOOL, bool, "reliable"),
        Topic("command", JOINT_STATE, Command, "command"),
        Topic("effort_controller/commands", MULTI_ARRAY, None, "command"),
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
    )
}
"""Every topic by its relative name (``~/barriers`` of the safety node is ``safety_node/barriers``)."""

FORCE, CURVATURE = "drive_force", "path_curvature"


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


def encode_efforts(command: Command, make: Make) -> Any:
    """``effort_controller/commands`` (std_msgs/Float64MultiArray): efforts in the order of ``command.names``."""
    message = make(MULTI_ARRAY)
    _assign(message, "data", command.effort)
    return message


def encode_clock(stamp: int, make: Make) -> Any:
    """``/clock`` (rosgraph_msgs/Clock)."""
    message = make(CLOCK)
    _set_time(message.clock, stamp)
    return message


def camera_info(stamp: int, camera: CameraSettings) -> CameraInfo:
    """Intrinsics of the simulated camera: square pixels, no distortion, centre of the image (REP 104)."""
    focal = camera.height / 2 / math.tan(math.radians(camera.fov_deg) / 2)
    k = np.array([[focal, 0, camera.width / 2], [0, focal, camera.height / 2], [0, 0, 1.0]])
    return CameraInfo(stamp, camera.width, camera.height, k)


def stamp_of(message: Any) -> int:
    """The stamp [ns] in the message's header."""
    time = message.header.stamp
    return int(time.sec) * NANOSECONDS + int(time.nanosec)


def _set_time(time: Any, stamp: int) -> None:
    time.sec, time.nanosec = divmod(stamp, NANOSECONDS)


def _stamped(type_name: str, stamp: int, make: Make, frame_id: str = "") -> Any:
    message = make(type_name)
    _set_time(message.header.stamp, stamp)
    message.header.frame_id = frame_id
    return message


def _assign(message: Any, name: str, values: NDArray[Any]) -> None:
    """Set an array field from NumPy through its bytes; rclpy checks any but ``array.array`` element by element."""
    present = getattr(message, name)
    if isinstance(present, array.array):
        filled = array.array(present.typecode)
        filled.frombytes(np.ascontiguousarray(values, np.dtype(present.typecode)).tobytes())
        setattr(message, name, filled)
    else:
        setattr(message, name, np.ascontiguousarray(values, present.dtype).reshape(-1))


# Images


def _encode_frame(frame: Frame, make: Make) -> Any:
    message = _stamped(IMAGE, frame.stamp, make, "camera_link")
    message.height, message.width = frame.image.shape[:2]
    message.encoding = "rgb8"
    message.step = 3 * frame.image.shape[1]
    _assign(message, "data", frame.image)
    return message


def _decode_frame(message: Any) -> Frame:
    if message.encoding not in ("rgb8", "bgr8"):
        raise ImageError(f"image has encoding '{message.encoding}'; it must be rgb8 or bgr8")
    rows = _rows(message, 3 * int(message.width), np.uint8)
    image = rows.reshape(int(message.height), int(message.width), 3)
    return Frame(stamp_of(message), image if message.encoding == "rgb8" else np.ascontiguousarray(image[..., ::-1]))


def _rows(message: Any, used: int, kind: type) -> NDArray[Any]:
    """Rows (height, used bytes) of an image without the padding at their ends, seen as ``kind``.

    Raises:
        ImageError: the image holds less than its size says.
    """
    height, step, data = int(message.height), int(message.step), np.frombuffer(message.data, np.uint8)
    if used == 0 or height == 0 or step < used or len(data) != height * step:
        raise ImageError(
            f"image of {message.width} × {height} px {message.encoding} has rows of {step} bytes and {len(data)} bytes"
        )
    return np.ascontiguousarray(data.reshape(height, step)[:, :used]).view(kind)


def _encode_vector(record: Features | Neurons, make: Make) -> Any:
    message = _stamped(IMAGE, record.stamp, make)
    message.height, message.width, message.encoding = 1, len(record.values), "32FC1"
    message.step = 4 * len(record.values)
    _assign(message, "data", np.ascontiguousarray(record.values, np.float32).view(np.uint8))
    return message


def _vector(message: Any) -> NDArray[np.float32]:
    if message.encoding != "32FC1" or message.height != 1:
        raise ImageError(f"vector is {message.encoding}, {message.height} rows; it must be 32FC1 in one row")
    return np.asarray(_rows(message, 4 * int(message.width), np.float32)[0])


def _encode_camera_info(info: CameraInfo, make: Make) -> Any:
    message = _stamped(CAMERA_INFO, info.stamp, make, "camera_link")
    message.width, message.height = info.width, info.height
    message.distortion_model = "plumb_bob"
    _assign(message, "d", np.zeros(5))
    message.k = np.asarray(info.k, np.float64).reshape(9)
    message.r = np.eye(3).reshape(9)
    message.p = np.concatenate([info.k, np.zeros((3, 1))], axis=1).reshape(12)
    return message


def _decode_camera_info(message: Any) -> CameraInfo:
    k = np.array(message.k, np.float64).reshape(3, 3)
    return CameraInfo(stamp_of(message), int(message.width), int(message.height), k)


# Named vectors: JointState with three columns


def _named(
    stamp: int,
    names: Sequence[str],
    make: Make,
    position: Sequence[float] | Floats = (),
    velocity: Sequence[float] | Floats = (),
    effort: Sequence[float] | Floats = (),
    frame_id: str = "",
) -> Any:
    message = _stamped(JOINT_STATE, stamp, make, frame_id)
    message.name = list(names)
    for name, column in (("position", position), ("velocity", velocity), ("effort", effort)):
        _assign(message, name, np.asarray(column, np.float64))
    return message


def _column(message: Any, name: str) -> Floats:
    """A column of a JointState, one value per name; an empty column is NaN throughout (the message allows that)."""
    column = np.array(getattr(message, name), np.float64)
    if len(column) == 0:
        return np.full(len(message.name), math.nan)
    if len(column) != len(message.name):
        raise MessageError(f"JointState has {len(message.name)} names and {len(column)} values of '{name}'")
    return column


def _entry(message: Any, column: str, name: str) -> float:
    names = list(message.name)
    if name not in names:
        raise MessageError(f"JointState lacks '{name}'; it has {', '.join(names) or 'no names'}")
    return float(_column(message, column)[names.index(name)])


def _encode_joints(record: JointStates, make: Make) -> Any:
    return _named(record.stamp, record.names, make, record.position, record.velocity, record.effort)


def _decode_joints(message: Any) -> JointStates:
    columns = (_column(message, name) for name in ("position", "velocity", "effort"))
    return JointStates(stamp_of(message), tuple(message.name), *columns)


def _encode_command(record: Command, make: Make) -> Any:
    return _named(record.stamp, record.names, make, effort=record.effort)


def _decode_command(message: Any) -> Command:
    return Command(stamp_of(message), tuple(message.name), _column(message, "effort"))


def _encode_nominal(record: Nominal, make: Make) -> Any:
    nan = math.nan
    return _named(record.stamp, (FORCE, CURVATURE), make, [nan, record.curvature], [nan, nan], [record.force, nan])


def _decode_nominal(message: Any) -> Nominal:
    return Nominal(stamp_of(message), _entry(message, "effort", FORCE), _entry(message, "position", CURVATURE))


def _encode_manual(record: Manual, make: Make) -> Any:
    nan = math.nan
    position, effort = [float(record.engaged), nan, record.curvature], [nan, record.force, nan]
    return _named(record.stamp, ("engaged", FORCE, CURVATURE), make, position, effort=effort)


def _decode_manual(message: Any) -> Manual:
    return Manual(
        stamp_of(message),
        _entry(message, "position", "engaged") == 1.0,
        _entry(message, "effort", FORCE),
        _entry(message, "position", CURVATURE),
    )


def _encode_gains(record: Gains | Values, make: Make) -> Any:
    return _named(record.stamp, tuple(record.values), make, list(record.values.values()))


def _decode_gains(message: Any) -> Gains:
    values = _column(message, "position").tolist()
    return Gains(stamp_of(message), dict(zip(message.name, values, strict=True)))


def _encode_lane(record: LaneEstimate, make: Make) -> Any:
    names = ("offset", "heading", *(f"curvature_{index}" for index in range(len(record.curvature))))
    return _named(
        record.stamp, names, make, [record.offset, record.heading, *record.curvature.tolist()], effort=record.bound
    )


def _decode_lane(message: Any) -> LaneEstimate:
    if list(message.name)[:2] != ["offset", "heading"]:
        raise MessageError(f"lane has the names {list(message.name)}; they must be offset, heading, curvature_0, …")
    value, bound = _column(message, "position"), _column(message, "effort")
    return LaneEstimate(stamp_of(message), float(value[0]), float(value[1]), value[2:], bound)


def _encode_safety(record: SafetyState, make: Make) -> Any:
    """Barriers as the columns h, margin, multiplier; then mode, who intervened, and wanted beside allowed commands.

    The header's frame_id lists the relaxed barriers, space separated.
    """
    nan = math.nan
    names = [barrier.name for barrier in record.barriers]
    rows = [(barrier.h, barrier.margin, barrier.multiplier) for barrier in record.barriers]
    who = float(names.index(record.intervened)) if record.intervened in names else nan
    rows += [(float(record.mode), nan, nan), (who, nan, nan)]
    rows += [(wanted, allowed, nan) for wanted, allowed in zip(record.wanted, record.allowed, strict=True)]
    position, velocity, effort = np.array(rows).T
    relaxed = " ".join(barrier.name for barrier in record.barriers if barrier.relaxed)
    return _named(
        record.stamp, [*names, "mode", "intervened", FORCE, CURVATURE], make, position, velocity, effort, relaxed
    )


def _decode_safety(message: Any) -> SafetyState:
    columns = tuple(_column(message, name).tolist() for name in ("position", "velocity", "effort"))
    names = list(message.name)
    if names[-4:] != ["mode", "intervened", FORCE, CURVATURE]:
        raise MessageError(f"barriers end with {names[-4:]}; they must end with mode, intervened, {FORCE}, {CURVATURE}")
    relaxed = message.header.frame_id.split()
    position, velocity, effort = columns
    barriers = tuple(
        BarrierState(name, position[index], velocity[index], effort[index], relaxed=name in relaxed)
        for index, name in enumerate(names[:-4])
    )
    who = position[-3]
    return SafetyState(
        stamp_of(message),
        Mode(int(position[-4])),
        (position[-2], position[-1]),
        (velocity[-2], velocity[-1]),
        barriers,
        "" if math.isnan(who) else names[int(who)],
    )


def _encode_used(record: UsedInputs, make: Make) -> Any:
    """Position = stamp minus tick, velocity = age [ns]; a flag has its value in effort."""
    nan = math.nan
    rows = [
        (nan, nan, nan) if used is None else (used[0] - record.stamp, used[1], nan) for used in record.inputs.values()
    ]
    rows += [(nan, nan, float(flag)) for flag in record.flags.values()]
    position, velocity, effort = np.array(rows, np.float64).reshape(-1, 3).T
    return _named(record.stamp, [*record.inputs, *record.flags], make, position, velocity, effort)


def _decode_used(message: Any) -> UsedInputs:
    stamp = stamp_of(message)
    inputs: dict[str, tuple[int, int] | None] = {}
    flags: dict[str, bool] = {}
    columns = (_column(message, name).tolist() for name in ("position", "velocity", "effort"))
    for name, since, age, flag in zip(message.name, *columns, strict=True):
        if not math.isnan(flag):
            flags[name] = flag != 0.0
        else:
            inputs[name] = None if math.isnan(since) else (stamp + int(since), int(age))
    return UsedInputs(stamp, inputs, flags)


# Motion


def _half_angle(yaw: float) -> tuple[float, float]:
    """(z, w) of the quaternion of ``yaw`` in [−π, π], with last bits such that ``_yaw`` gives ``yaw`` back exactly.

    A run with messages in between is then the same, bit for bit, as one without.
    """
    z, w = math.sin(yaw / 2), math.cos(yaw / 2)
    for first in (w, math.nextafter(w, -2), math.nextafter(w, 2)):
        for second in (z, math.nextafter(z, -2), math.nextafter(z, 2)):
            if _yaw(second, first) == yaw:
                return second, first
    return z, w


def _yaw(z: float, w: float) -> float:
    return 2 * math.atan2(z, w)


def _encode_odometry(record: Odometry, make: Make) -> Any:
    message = _stamped(ODOMETRY, record.stamp, make, "odom")
    message.child_frame_id = "base_link"
    pose, twist = message.pose.pose, message.twist.twist
    pose.position.x, pose.position.y = record.x, record.y
    pose.orientation.z, pose.orientation.w = _half_angle(record.yaw)
    twist.linear.x, twist.angular.z = record.speed, record.yaw_rate
    return message


def _decode_odometry(message: Any) -> Odometry:
    pose, twist = message.pose.pose, message.twist.twist
    q = pose.orientation
    if q.x == 0 and q.y == 0:
        yaw = _yaw(q.z, q.w)
    else:
        yaw = math.atan2(2 * (q.w * q.z + q.x * q.y), 1 - 2 * (q.y * q.y + q.z * q.z))
    return Odometry(stamp_of(message), pose.position.x, pose.position.y, yaw, twist.linear.x, twist.angular.z)


def _encode_imu(record: Imu, make: Make) -> Any:
    message = _stamped(IMU, record.stamp, make, "base_link")
    message.orientation_covariance[0] = -1.0  # no orientation (REP 145)
    for vector, values in (
        (message.angular_velocity, record.angular_velocity),
        (message.linear_acceleration, record.linear_acceleration),
    ):
        vector.x, vector.y, vector.z = values.tolist()
    return message


def _decode_imu(message: Any) -> Imu:
    rate, acceleration = (
        np.array([vector.x, vector.y, vector.z], np.float64)
        for vector in (message.angular_velocity, message.linear_acceleration)
    )
    return Imu(stamp_of(message), rate, acceleration)


# Range


_POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("ring", "<u2")])
_POINT_FIELDS: Any = _POINT.fields
_KINDS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}  # sensor_msgs/PointField
_CODES = {kind: code for code, kind in _KINDS.items()}


def _encode_points(record: Points, make: Make) -> Any:
    packed = np.empty(len(record.xyz), _POINT)
    for axis, name in enumerate("xyz"):
        packed[name] = record.xyz[:, axis]
    packed["ring"] = record.ring
    message = _stamped(CLOUD, record.stamp, make, "base_link")
    message.height, message.width = 1, len(packed)
    message.point_step, message.row_step = _POINT.itemsize, packed.nbytes
    message.is_dense = True
    message.fields = []
    for name in _POINT_FIELDS:
        kind, offset = _POINT_FIELDS[name][:2]
        field = make(POINT_FIELD)
        field.name, field.offset, field.datatype, field.count = name, offset, _CODES[kind.str[1:]], 1
        message.fields.append(field)
    _assign(message, "data", packed.view(np.uint8))
    return message


def _decode_points(message: Any) -> Points:
    layout = {field.name: (int(field.offset), _KINDS[int(field.datatype)]) for field in message.fields}
    missing = [name for name in ("x", "y", "z", "ring") if name not in layout]
    if missing:
        raise MessageError(f"point cloud has the fields {', '.join(layout) or 'none'}; it lacks {', '.join(missing)}")
    order = ">" if message.is_bigendian else "<"
    kind = np.dtype(
        {
            "names": ["x", "y", "z", "ring"],
            "formats": [order + layout[name][1] for name in ("x", "y", "z", "ring")],
            "offsets": [layout[name][0] for name in ("x", "y", "z", "ring")],
            "itemsize": int(message.point_step),
        }
    )
    count, data = int(message.height) * int(message.width), np.frombuffer(message.data, np.uint8)
    if len(data) != count * kind.itemsize:
        raise MessageError(f"point cloud of {count} points of {kind.itemsize} bytes has {len(data)} bytes")
    points = data.view(kind)
    xyz = np.stack([points[name].astype(np.float32) for name in "xyz"], axis=1)
    return Points(stamp_of(message), xyz, points["ring"].astype(np.int32))


# Health and the rest


def _encode_health(record: ImageHealth, make: Make) -> Any:
    message = _stamped(DIAGNOSTICS, record.stamp, make)
    status = make(DIAGNOSTIC_STATUS)
    status.level = bytes([record.level]) if isinstance(status.level, bytes) else int(record.level)
    status.name, status.message = "camera", "; ".join(record.reasons) or "ok"
    pairs = [("reason", reason) for reason in record.reasons]
    status.values = []
    for key, value in [*pairs, *((key, repr(float(value))) for key, value in record.values.items())]:
        pair = make(KEY_VALUE)
        pair.key, pair.value = key, value
        status.values.append(pair)
    message.status = [status]
    return message


def _decode_health(message: Any) -> ImageHealth:
    if len(message.status) != 1:
        raise MessageError(f"health has {len(message.status)} entries; it must have one")
    status = message.status[0]
    level = status.level[0] if isinstance(status.level, bytes) else status.level
    reasons = tuple(pair.value for pair in status.values if pair.key == "reason")
    try:
        values = {pair.key: float(pair.value) for pair in status.values if pair.key != "reason"}
        return ImageHealth(stamp_of(message), Level(int(level)), reasons, values)
    except ValueError as error:
        raise MessageError(f"health: {error}") from error


def _encode_round(record: Round, make: Make) -> Any:
    message = make(HEADER)
    _set_time(message.stamp, record.stamp)
    message.frame_id = " ".join(record.awaited)
    return message


def _decode_round(message: Any) -> Round:
    stamp = int(message.stamp.sec) * NANOSECONDS + int(message.stamp.nanosec)
    return Round(stamp, tuple(message.frame_id.split()))


def _encode_bool(value: bool, make: Make) -> Any:
    message = make(BOOL)
    message.data = value
    return message


_ENCODERS: dict[type, Callable[[Any, Make], Any]] = {
    Frame: _encode_frame,
    CameraInfo: _encode_camera_info,
    JointStates: _encode_joints,
    Odometry: _encode_odometry,
    Imu: _encode_imu,
    Points: _encode_points,
    Features: _encode_vector,
    Neurons: _encode_vector,
    LaneEstimate: _encode_lane,
    ImageHealth: _encode_health,
    Nominal: _encode_nominal,
    Gains: _encode_gains,
    Manual: _encode_manual,
    Command: _encode_command,
    SafetyState: _encode_safety,
    UsedInputs: _encode_used,
    Round: _encode_round,
    Values: _encode_gains,
    bool: _encode_bool,
}
_DECODERS: dict[type | None, Callable[[Any], Any]] = {
    Frame: _decode_frame,
    CameraInfo: _decode_camera_info,
    JointStates: _decode_joints,
    Odometry: _decode_odometry,
    Imu: _decode_imu,
    Points: _decode_points,
    Features: lambda message: Features(stamp_of(message), _vector(message)),
    Neurons: lambda message: Neurons(stamp_of(message), _vector(message)),
    LaneEstimate: _decode_lane,
    ImageHealth: _decode_health,
    Nominal: _decode_nominal,
    Gains: _decode_gains,
    Manual: _decode_manual,
    Command: _decode_command,
    SafetyState: _decode_safety,
    UsedInputs: _decode_used,
    Round: _decode_round,
    Values: lambda message: Values(stamp_of(message), _decode_gains(message).values),
    bool: lambda message: bool(message.data),
}
