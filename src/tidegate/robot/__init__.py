# SPDX-License-Identifier: Apache-2.0
"""What the machine is: joints and limits from the URDF, control-affine motion, and the way to joint efforts."""

from tidegate.robot.actuation import Actuation
from tidegate.robot.camera import camera_view
from tidegate.robot.car import GRAVITY, Car
from tidegate.robot.control import check_controllers, control_description
from tidegate.robot.drive_by_wire import DriveByWire, MotionLimits
from tidegate.robot.gazebo import gazebo_description
from tidegate.robot.motor_brake import MotorBrake, motor_torques
from tidegate.robot.urdf import Description, Joint, JointLimits, Link, load_description, read_urdf, rotation

__all__ = [
    "GRAVITY",
    "Actuation",
    "Car",
    "Description",
    "DriveByWire",
    "Joint",
    "JointLimits",
    "Link",
    "MotionLimits",
    "MotorBrake",
    "camera_view",
    "check_controllers",
    "control_description",
    "gazebo_description",
    "load_description",
    "motor_torques",
    "read_urdf",
    "rotation",
]
