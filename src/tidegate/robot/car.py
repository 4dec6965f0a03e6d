# SPDX-License-Identifier: Apache-2.0
"""The car: geometry, mass and limits from the URDF, tightened by the settings, and its motion in the road frame."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from tidegate.errors import RobotError
from tidegate.records import Floats, JointStates
from tidegate.robot.urdf import Description, JointLimits, load_description
from tidegate.settings import Settings
from tidegate.settings.vehicle import VehicleSettings

GRAVITY = 9.81


@dataclass(frozen=True, slots=True)
class Car:
    """A four-wheel car with Ackermann steering in front. ``base_link`` is the rear axle's centre on the ground.

    Attributes:
        joint_names: steering joints, then wheel joints; the order of every effort vector, (J,) = (6,).
        limits: limits by joint, as tightened by the settings.
        mass: [kg]; ``effective_mass`` counts the wheels' rotation as well.
        wheelbase, track, wheel_radius, width: [m]; ``front`` and ``rear`` are the bumpers' x in ``base_link`` [m].
        curvature_max: tightest path of the rear axle [1/m] at the steering limit; ``curvature_rate`` [1/(m·s)].
        force_max: strongest drive [N]; ``force_min``: strongest braking [N], negative.
        brake_shares: share of the braking force that each wheel takes, in the order of ``wheel_joints``.
    """

    description: Description
    vehicle: VehicleSettings
    joint_names: tuple[str, ...]
    limits: dict[str, JointLimits]
    mass: float
    effective_mass: float
    wheelbase: float
    track: float
    wheel_radius: float
    width: float
    front: float
    rear: float
    curvature_max: float
    curvature_rate: float
    force_max: float
    force_min: float
    brake_shares: tuple[float, ...]

    @property
    def steer_joints(self) -> tuple[str, ...]:
        """(left, right)."""
        return self.vehicle.steer_joints

    @property
    def wheel_joints(self) -> tuple[str, ...]:
        """(front left, front right, rear left, rear right)."""
        return self.vehicle.wheel_joints

    @property
    def loaded_mass(self) -> float:
        """Effective mass [kg] of the heaviest car that counts: what its brakes are asked for."""
        return self.effective_mass * (1 + self.vehicle.mass_margin)

    @classmethod
    def from_settings(cls, settings: Settings) -> Car:
        """Read the URDF that the settings name and tighten its limits.

        Raises:
            RobotError: the URDF lacks a joint or limit, or the settings would loosen a limit or name other joints
                than two that steer and four wheels.
        """
        vehicle = settings.vehicle
        _check_joints(vehicle)
        steer_joints, wheel_joints = vehicle.steer_joints, vehicle.wheel_joints
        description = load_description(vehicle.urdf)
        rear_wheel = description.joint(wheel_joints[2]).child
        (front_x, left_y, _), _ = description.origin(description.joint(steer_joints[0]).child)
        (rear_x, _, _), _ = description.origin(rear_wheel)
        if abs(rear_x) > 1e-6:
            raise RobotError(f"{description.source}: rear wheels at x = {rear_x:g} m; base_link must be the rear axle")
        wheel, body = description.link(rear_wheel), description.link("base_link")
        if wheel.shape != "cylinder" or body.shape != "box":
            raise RobotError(f"{description.source}: wheels need a cylinder and base_link a box as collision geometry")
        radius, track = wheel.size[0], 2 * left_y
        for what, length in {"wheel radius": radius, "track": track, "wheelbase": front_x}.items():
            if not 1e-3 <= length <= 1e3:
                raise RobotError(f"{description.source}: {what} is {length:g} m; it must be 0.001 to 1000")
        limits = _tightened(description, vehicle, radius)
        mass = sum(link.mass for link in description.links.values())
        if not 0 < mass < 1e6:
            raise RobotError(f"{description.source}: total mass is {mass:g} kg; it must be 0 to 1e6, from <inertial>")
        front = vehicle.brake_front_share / 2
        brake_shares = (front, front, 0.5 - front, 0.5 - front)
        widest = min(limits[name].upper for name in steer_joints)
        if not 0 < widest < math.pi / 2:
            raise RobotError(f"{description.source}: steering turns to {widest:g} rad; it must be 0 to 1.57")
        steepest = math.tan(widest)
        return cls(
            description=description,
            vehicle=vehicle,
            joint_names=steer_joints + wheel_joints,
            limits=limits,
            mass=mass,
            effective_mass=mass + len(wheel_joints) * wheel.inertia[1] / radius**2,
            wheelbase=front_x,
            track=track,
            wheel_radius=radius,
            width=body.size[1],
            front=body.shape_xyz[0] + body.size[0] / 2,
            rear=body.shape_xyz[0] - body.size[0] / 2,
            curvature_max=steepest / (front_x + steepest * track / 2),
            # the inner wheel turns up to 1/0.9 times faster than wheelbase × curvature
            curvature_rate=0.9 * vehicle.steer_velocity_max / front_x,
            force_max=len(vehicle.driven) * vehicle.drive_effort_max / radius,
            force_min=-vehicle.brake_effort_max / (radius * max(brake_shares)),
            brake_shares=brake_shares,
        )

    def steering(self, curvature: float) -> tuple[float, float]:
        """Steering angles (left, right) [rad] whose wheels all roll about one centre at ``curvature`` [1/m]."""
        half = curvature * self.track / 2
        return (
            math.atan(self.wheelbase * curvature / (1 - half)),
            math.atan(self.wheelbase * curvature / (1 + half)),
        )

    def curvature(self, left: float, right: float) -> float:
        """Path curvature [1/m] of the rear axle from the measured steering angles [rad], the mean of both wheels'."""
        left, right, half = math.tan(left), math.tan(right), self.track / 2
        return (left / (self.wheelbase + left * half) + right / (self.wheelbase - right * half)) / 2

    def wheel_spins(self, joints: JointStates) -> list[float]:
        """Measured rate of each wheel [rad/s], in the order of ``wheel_joints``, all of which ``joints`` must hold."""
        return [joints.velocity.item(joints.names.index(name)) for name in self.wheel_joints]

    def front_offset(self, offset: float, heading: float, curvature: float) -> float:
        """Offset [m] of the front axle in a lane of ``curvature`` [1/m], of a car whose rear axle is ``offset`` [m] off
        at ``heading`` [rad]: in a bend the lane turns away from its tangent before the front axle is there."""
        length = self.wheelbase
        return offset + length * math.sin(heading) - curvature * length * length / 2

    def rim_speed(self, joints: JointStates) -> float:
        """Median speed of the wheels' rims [m/s]: one wheel that slips or locks does not count."""
        _, low, high, _ = sorted(self.wheel_spins(joints))
        return (low + high) / 2 * self.wheel_radius

    def wheel_efforts(self, force: float) -> Floats:
        """Torque of each wheel (4,) [N·m] for a longitudinal force [N]: drive on the driven axle, brake on all."""
        torque, driven = force * self.wheel_radius, self.vehicle.driven
        if force < 0:
            return torque * np.array(self.brake_shares)
        return np.array([torque / len(driven) if name in driven else 0.0 for name in self.wheel_joints])

    def wheel_force(self, efforts: Floats) -> float:
        """Longitudinal force [N] of wheel torques (4,) [N·m]; undoes ``wheel_efforts``."""
        return float(efforts.sum()) / self.wheel_radius

    def force_rate(self, side: int) -> float:
        """Fastest change of the force [N/s] by the torque rate: of the drive (``side`` 1) or the brakes (−1)."""
        share = 1 / len(self.vehicle.driven) if side > 0 else max(self.brake_shares)
        return self.vehicle.wheel_effort_rate / (self.wheel_radius * share)

    def force_window(self, force: float, period: float) -> tuple[float, float]:
        """Forces [N] that the torque rate lets every wheel reach from ``force`` within ``period`` [s]."""
        step = self.vehicle.wheel_effort_rate * period / self.wheel_radius  # of one wheel's force
        drive, brake = 1 / len(self.vehicle.driven), max(self.brake_shares)
        # a driven wheel passes through zero on its way from driving to braking; the others begin there
        passing = max(self.brake_shares[self.wheel_joints.index(name)] for name in self.vehicle.driven)
        if force > 0:
            left = step - force * drive
            low = -min(left / passing, step / brake) if left > 0 else force - step / drive
            high = force + step / drive
        else:
            low = force - step / brake
            high = (step + force * passing) / drive if -force * brake < step else force + step / brake
        return max(low, self.force_min), min(high, self.force_max)

    def road_motion(self, offset: float, heading: float, speed: float, road_curvature: float) -> tuple[Floats, Floats]:
        """Control-affine motion in the road frame: ẋ = f + g u, x = (offset, heading, speed), u = (force, curvature).

        Returns:
            ``f`` (3,) and ``g`` (3, 2); kinematic single-track model about the rear axle, design §5.
        """
        along = road_curvature * speed * math.cos(heading) / (1 - road_curvature * offset)
        drift = np.array([speed * math.sin(heading), -along, 0.0])
        control = np.array([[0.0, 0.0], [0.0, speed], [1 / self.effective_mass, 0.0]])
        return drift, control


def _check_joints(vehicle: VehicleSettings) -> None:
    """Refuse joints that are not two that steer and four of wheels.

    Raises:
        RobotError: another number of them than a car has, or one that is named twice.
    """
    for key, names, what in (
        ("steer_joints", vehicle.steer_joints, "2, left and right"),
        ("wheel_joints", vehicle.wheel_joints, "4, front left, front right, rear left, rear right"),
    ):
        if len(names) != int(what[0]):
            raise RobotError(f"vehicle.{key} names {len(names)} joints ({', '.join(names)}); it must name {what}")
    every = vehicle.steer_joints + vehicle.wheel_joints
    for name in every:
        if every.count(name) > 1:
            raise RobotError(f"vehicle.steer_joints and vehicle.wheel_joints name '{name}' more than once")


def _tightened(description: Description, vehicle: VehicleSettings, radius: float) -> dict[str, JointLimits]:
    """Limits by joint: the URDF's, with the settings' tighter efforts; ``radius`` [m] of the wheels.

    Raises:
        RobotError: a setting lies above the URDF's limit, or names a wheel that does not exist.
    """
    tightest = dict.fromkeys(vehicle.steer_joints, ("vehicle.steer_effort_max", vehicle.steer_effort_max))
    tightest |= dict.fromkeys(vehicle.wheel_joints, ("vehicle.brake_effort_max", vehicle.brake_effort_max))
    made = {}
    for name, (key, effort) in tightest.items():
        limits = description.limits(name)
        if effort > limits.effort:
            raise RobotError(
                f"{key} is {effort:g} N·m; joint '{name}' in {description.source} allows at most {limits.effort:g}"
            )
        made[name] = dataclasses.replace(limits, effort=effort)
    for name in vehicle.driven:
        if name not in vehicle.wheel_joints:
            raise RobotError(f"vehicle.driven names '{name}'; wheels are {', '.join(vehicle.wheel_joints)}")
        if vehicle.drive_effort_max > description.limits(name).effort:
            raise RobotError(
                f"vehicle.drive_effort_max is {vehicle.drive_effort_max:g} N·m; joint '{name}' in "
                f"{description.source} allows at most {description.limits(name).effort:g}"
            )
    if not vehicle.driven:
        raise RobotError("vehicle.driven is empty; name at least one wheel joint")
    turning = dict.fromkeys(vehicle.steer_joints, ("steer_velocity_max is", vehicle.steer_velocity_max))
    rolling = f"speed_max is {vehicle.speed_max:g} m/s, of the wheels", vehicle.speed_max / radius
    for name, (told, velocity) in (turning | dict.fromkeys(vehicle.wheel_joints, rolling)).items():
        if velocity > description.limits(name).velocity:
            raise RobotError(
                f"vehicle.{told} {velocity:g} rad/s; joint '{name}' in {description.source} allows at most "
                f"{description.limits(name).velocity:g}"
            )
    return made
