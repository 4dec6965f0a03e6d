# SPDX-License-Identifier: Apache-2.0
"""Bags of other robots, written by the rosbags library: a camera at 20 Hz, and what was asked for at 50 Hz."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from tubs import jpeg, views

STORE = get_typestore(Stores.ROS2_HUMBLE)
STORE.register(
    get_types_from_msg("float32 steering_angle\nfloat32 speed\n", "ackermann_msgs/msg/AckermannDrive")
    | get_types_from_msg(
        "std_msgs/Header header\nackermann_msgs/AckermannDrive drive\n", "ackermann_msgs/msg/AckermannDriveStamped"
    )
)
T = STORE.types
BEGIN = 1_700_000_000_000_000_000
DELAY = 20_000_000
"""From a header's stamp to the receipt [ns]."""


def header(stamp: int) -> Any:
    time = T["builtin_interfaces/msg/Time"](sec=stamp // 10**9, nanosec=stamp % 10**9)
    return T["std_msgs/msg/Header"](stamp=time, frame_id="anywhere")


def vector(x: float = 0.0, z: float = 0.0) -> Any:
    return T["geometry_msgs/msg/Vector3"](x=x, y=0.0, z=z)


def twist(speed: float, rate: float) -> Any:
    return T["geometry_msgs/msg/Twist"](linear=vector(x=speed), angular=vector(z=rate))


def twist_stamped(stamp: int, speed: float, rate: float) -> Any:
    return T["geometry_msgs/msg/TwistStamped"](header=header(stamp), twist=twist(speed, rate))


def ackermann(stamp: int, speed: float, steering: float) -> Any:
    drive = T["ackermann_msgs/msg/AckermannDrive"](steering_angle=steering, speed=speed)
    return T["ackermann_msgs/msg/AckermannDriveStamped"](header=header(stamp), drive=drive)


def joints(stamp: int, names: list[str], position: list[float], effort: list[float]) -> Any:
    empty = np.zeros(0)
    return T["sensor_msgs/msg/JointState"](
        header=header(stamp), name=names, position=np.array(position), velocity=empty, effort=np.array(effort)
    )


def number(value: float) -> Any:
    return T["std_msgs/msg/Float64"](data=value)


def image(stamp: int, picture: Any, encoding: str = "rgb8") -> Any:
    data = picture[..., ::-1] if encoding == "bgr8" else picture
    return T["sensor_msgs/msg/Image"](
        header=header(stamp),
        height=data.shape[0],
        width=data.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=data.shape[1] * 3,
        data=np.ascontiguousarray(data).reshape(-1),
    )


def compressed(stamp: int, picture: Any) -> Any:
    data = np.frombuffer(jpeg(picture), np.uint8)
    return T["sensor_msgs/msg/CompressedImage"](header=header(stamp), format="jpeg", data=data)


def wave(time: float) -> tuple[float, float]:
    """Speed [m/s] and yaw rate [rad/s] that are asked for."""
    return 2.0 + 0.5 * time, 0.4 * float(np.sin(time))


def bag(
    path: Path,
    camera: Callable[[int, int, Any], tuple[str, Any] | None] = lambda n, at, view: ("/front/image", image(at, view)),
    commands: Callable[[int, float], dict[str, Any]] = lambda at, s: {"/cmd_vel": twist_stamped(at, *wave(s))},
    count: int = 60,
    storage: StoragePlugin = StoragePlugin.MCAP,
    received: Callable[[int], int] = lambda stamp: stamp + DELAY,
) -> Path:
    """``count`` pictures; ``camera`` makes a picture's message of number, stamp and pixels, ``commands`` the others of
    stamp and time [s]; both get the stamp as the header is to have it. What is no message becomes eight zeros."""
    items: list[tuple[int, str, Any]] = []
    for index, view in enumerate(views(count)):
        at = BEGIN + index * 50_000_000
        made = camera(index, at, view)
        if made is not None:
            items.append((received(at), *made))
    for index in range(count * 5 // 2 + 5):
        at = BEGIN + (index - 2) * 20_000_000
        items += [(received(at), topic, message) for topic, message in commands(at, (at - BEGIN) / 1e9).items()]
    with Writer(path, version=9, storage_plugin=storage) as writer:
        known: dict[str, Any] = {}
        for at, topic, message in sorted(items, key=lambda item: item[0]):
            if topic not in known:
                known[topic] = writer.add_connection(topic, message.__msgtype__, typestore=STORE)
            data = (
                STORE.serialize_cdr(message, message.__msgtype__)
                if hasattr(message, "__dataclass_fields__")
                else bytes(8)
            )
            writer.write(known[topic], at, data)
    return path
