# SPDX-License-Identifier: Apache-2.0
"""The car as a MuJoCo model, from its URDF: masses, joints and limits are the URDF's, suspension and tyres are ours.

Tyres are ellipsoids with an elliptic friction cone: they grip, slip and lock like tyres. Each stands on a plane of its
own that follows the terrain beneath it (``simulator``), which is exact where a height field would be jagged. Brakes are
dry friction in the wheel joints: torque up to the request, always against the rotation, and it holds a standing wheel.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tidegate.robot import GRAVITY, Car
from tidegate.robot.urdf import Joint, Link
from tidegate.simulation.engine import mujoco

SPRING, DAMPER, SPRUNG = 35000.0, 3200.0, 1200.0
"""Suspension's stiffness [N/m] and damping [N·s/m] per wheel of a car of so many [kg]; others in proportion."""
TRAVEL = 0.12
STEERING_INERTIA = 4.0
"""Rack and motor as felt at the knuckle [kg·m²]."""
CABIN = np.array([[-0.25, 0.0, 0.585], [1.0, 0.76, 0.305]])
"""Centre, from that of the URDF's box (it ends at the bonnet), and half sizes [m] of the cabin on a box of ``BODY``."""
BODY = np.array([4.1, 1.68, 0.56])
CHASSIS_BIT = 1 << 8
GROUP_SELF = 4
"""Drawn only from outside: the car does not see itself."""


def pad_name(wheel: int) -> str:
    """Body of the ground plane under one wheel, in the order of ``wheel_joints``."""
    return f"pad_{wheel}"


def add_car(spec: Any, car: Car, *, friction: float, load: float) -> None:
    """Add the car, its ground pads, motors and inertial sensors to a ``MjSpec``.

    Args:
        friction: tyre friction on dry road.
        load: factor on the body's mass and inertia.
    """
    description = car.description
    chassis = description.links["base_link"]
    body = spec.worldbody.add_body(name="base_link")
    body.add_freejoint(name="base")
    _inertial(body, chassis, load)
    half = [size / 2 for size in chassis.size]
    look = {"contype": CHASSIS_BIT, "conaffinity": 0, "group": GROUP_SELF, "rgba": [0.65, 0.08, 0.08, 1], "mass": 0}
    box = mujoco.mjtGeom.mjGEOM_BOX
    body.add_geom(name="chassis", type=box, pos=chassis.shape_xyz, size=half, **look)
    cabin = CABIN * (chassis.size / BODY)
    body.add_geom(name="cabin", type=box, pos=chassis.shape_xyz + cabin[0], size=cabin[1], **look)
    _mounts(body, car)
    front_share = chassis.com[0] / car.wheelbase
    for index, name in enumerate(car.wheel_joints):
        spin = description.joint(name)
        front = index < len(car.steer_joints)
        share = (front_share if front else 1 - front_share) / 2
        preload = load * chassis.mass * GRAVITY * share
        mount = body
        if front:
            steer = description.joint(car.steer_joints[index])
            mount = body.add_body(name=steer.child, pos=steer.xyz)
            knuckle = description.links[steer.child]
            _inertial(mount, knuckle, 1.0)
            _suspension(mount, steer.name, preload, car.mass / SPRUNG)
            _hinge(mount, steer).armature = STEERING_INERTIA
        wheel = mount.add_body(name=spin.child, pos=spin.xyz)
        link = description.links[spin.child]
        _inertial(wheel, link, 1.0)
        if not front:
            _suspension(wheel, spin.name, preload, car.mass / SPRUNG)
        _hinge(wheel, spin)
        _tyre(spec, wheel, link, index, friction)
    for name in car.joint_names:
        limits = description.limits(name)
        motor = spec.add_actuator(name=name, trntype=mujoco.mjtTrn.mjTRN_JOINT, target=name)
        motor.set_to_motor()
        motor.ctrllimited = True
        motor.ctrlrange = [-limits.effort, limits.effort]
    for kind, name in (
        (mujoco.mjtSensor.mjSENS_GYRO, "gyro"),
        (mujoco.mjtSensor.mjSENS_ACCELEROMETER, "accelerometer"),
    ):
        spec.add_sensor(name=name, type=kind, objtype=mujoco.mjtObj.mjOBJ_SITE, objname="imu")


def _inertial(body: Any, link: Link, scale: float) -> None:
    body.mass, body.ipos, body.inertia = link.mass * scale, link.com, [value * scale for value in link.inertia]
    body.explicitinertial = True


def _suspension(body: Any, name: str, preload: float, scale: float) -> None:
    joint = body.add_joint(name=f"{name}_suspension", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0, 0, 1])
    stiffness = SPRING * scale
    joint.stiffness[0], joint.damping[0], joint.springref = stiffness, DAMPER * scale, -preload / stiffness
    joint.range, joint.limited = [-TRAVEL, TRAVEL], mujoco.mjtLimited.mjLIMITED_TRUE


def _hinge(body: Any, joint: Joint) -> Any:
    made = body.add_joint(name=joint.name, type=mujoco.mjtJoint.mjJNT_HINGE, axis=joint.axis)
    made.damping[0], made.frictionloss = joint.damping, joint.friction
    made.solimp_friction = [0.9999, 0.9999, 0.001, 0.5, 2]  # stiff: a held wheel must not creep
    if joint.limits is not None and math.isfinite(joint.limits.upper):
        made.range, made.limited = [joint.limits.lower, joint.limits.upper], mujoco.mjtLimited.mjLIMITED_TRUE
    return made


def _tyre(spec: Any, wheel: Any, link: Link, index: int, friction: float) -> None:
    radius, width = link.size
    wheel.add_geom(
        name=f"tyre_{index}",
        type=mujoco.mjtGeom.mjGEOM_ELLIPSOID,
        size=[radius, 0.75 * width, radius],
        friction=[friction, 0.005, 0.0005],
        solref=[0.02, 1],
        solimp=[0.9, 0.95, 0.001, 0.5, 2],
        condim=3,
        contype=1 << index,
        conaffinity=0,
        priority=1,
        group=GROUP_SELF,
        rgba=[0.06, 0.06, 0.06, 1],
        mass=0,
    )
    pad = spec.worldbody.add_body(name=pad_name(index), mocap=True)
    pad.add_geom(
        type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1], contype=0, conaffinity=1 << index, group=5, rgba=[0, 0, 0, 0]
    )


def _mounts(body: Any, car: Car) -> None:
    """IMU site and cameras; a MuJoCo camera looks along its −z with y up, a mount along its x with z up."""
    position, _ = car.description.origin("imu_link")
    body.add_site(name="imu", pos=position)
    position, rpy = car.description.origin("camera_link")
    body.add_camera(name="front", pos=position, quat=_turned(rpy))
    body.add_camera(name="chase", pos=[-7.0, 0.0, 3.6], quat=_turned((0.0, 0.16, 0.0)))


def _turned(rpy: tuple[float, float, float]) -> list[float]:
    """Quaternion of a camera on a mount that is turned by ``rpy`` [rad], as the URDF has it."""
    mount, made = np.zeros(4), np.zeros(4)
    mujoco.mju_euler2Quat(mount, np.array(rpy), "XYZ")
    mujoco.mju_mulQuat(made, mount, np.array([0.5, 0.5, -0.5, -0.5]))
    return [float(value) for value in made]
