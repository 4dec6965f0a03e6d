# SPDX-License-Identifier: Apache-2.0
"""Odometry, inertial measurements, the twist that a car is asked for, and what presses on an arm's tool."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tidegate.messages.common import stamp_of, stamped
from tidegate.messages.topics import IMU, ODOMETRY, TWIST, WRENCH, Make
from tidegate.records import Imu, Odometry, Twist, Wrench


def _half_angle(yaw: float) -> tuple[float, float]:
    """(z, w) of the quaternion of ``yaw`` in [−π, π], with last bits such that ``_yaw`` gives ``yaw`` back exactly.

    A run with messages in between is then the same, bit for bit, as one without. Below 4.5e-308 rad the half is
    subnormal and lacks digits: the yaw comes back within 5e-324 rad.
    """
    z, w = math.sin(yaw / 2), math.cos(yaw / 2)
    for first in (w, math.nextafter(w, -2), math.nextafter(w, 2)):
        for second in (z, math.nextafter(z, -2), math.nextafter(z, 2)):
            if _yaw(second, first) == yaw:
                return second, first
    return z, w


def _yaw(z: float, w: float) -> float:
    return 2 * math.atan2(z, w)


def encode_odometry(record: Odometry, make: Make) -> Any:
    message = stamped(ODOMETRY, record.stamp, make, "odom")
    message.child_frame_id = "base_link"
    pose, twist = message.pose.pose, message.twist.twist
    pose.position.x, pose.position.y = record.x, record.y
    pose.orientation.z, pose.orientation.w = _half_angle(record.yaw)
    twist.linear.x, twist.angular.z = record.speed, record.yaw_rate
    return message


TURNED_LEAST, TURNED_MOST = 0.9, 1.1
"""Squared length between which a quaternion is a rotation; all zeros is one that nobody has filled in."""


def decode_odometry(message: Any) -> Odometry:
    """An orientation that is none gives a yaw of NaN."""
    pose, twist = message.pose.pose, message.twist.twist
    q = pose.orientation
    if not TURNED_LEAST < q.x * q.x + q.y * q.y + q.z * q.z + q.w * q.w < TURNED_MOST:
        yaw = math.nan
    elif q.x == 0 and q.y == 0:
        yaw = _yaw(q.z, q.w)
    else:
        yaw = math.atan2(2 * (q.w * q.z + q.x * q.y), 1 - 2 * (q.y * q.y + q.z * q.z))
    return Odometry(stamp_of(message), pose.position.x, pose.position.y, yaw, twist.linear.x, twist.angular.z)


def encode_imu(record: Imu, make: Make) -> Any:
    message = stamped(IMU, record.stamp, make, "imu_link")  # where it is felt; axes are those of base_link
    message.orientation_covariance[0] = -1.0  # no orientation (REP 145)
    for vector, values in (
        (message.angular_velocity, record.angular_velocity),
        (message.linear_acceleration, record.linear_acceleration),
    ):
        vector.x, vector.y, vector.z = values.tolist()
    return message


def decode_imu(message: Any) -> Imu:
    """An angular velocity that the sensor says it has not (a covariance of −1, REP 145) is NaN."""
    rate, acceleration = (
        np.array([vector.x, vector.y, vector.z], np.float64)
        for vector in (message.angular_velocity, message.linear_acceleration)
    )
    if message.angular_velocity_covariance[0] == -1:
        rate[:] = math.nan
    return Imu(stamp_of(message), rate, acceleration)


def encode_twist(record: Twist, make: Make) -> Any:
    message = stamped(TWIST, record.stamp, make, "base_link")
    message.twist.linear.x, message.twist.angular.z = record.speed, record.yaw_rate
    return message


def decode_twist(message: Any) -> Twist:
    return Twist(stamp_of(message), message.twist.linear.x, message.twist.angular.z)


def encode_wrench(record: Wrench, make: Make) -> Any:
    message = stamped(WRENCH, record.stamp, make, record.frame)
    for vector, values in ((message.wrench.force, record.force), (message.wrench.torque, record.torque)):
        vector.x, vector.y, vector.z = values.tolist()
    return message


def decode_wrench(message: Any) -> Wrench:
    force, torque = (
        np.array([vector.x, vector.y, vector.z], np.float64) for vector in (message.wrench.force, message.wrench.torque)
    )
    return Wrench(stamp_of(message), force, torque, message.header.frame_id)
