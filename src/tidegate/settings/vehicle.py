# SPDX-License-Identifier: Apache-2.0
"""What the robot is beyond its URDF: drive layout, tightened limits, torque rates, what may be assumed of the road."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.settings.schema import setting


@dataclass(frozen=True, slots=True)
class VehicleSettings:
    """Drive, brake, steering and the assumptions that the guarantees rest on."""

    name: str = setting("car", "", "name of the robot; a bundle made for another one is refused")
    urdf: str = setting("../urdf/car.urdf.xacro", "", "robot description, relative to the settings file")
    steer_joints: tuple[str, ...] = setting(
        ("front_left_steer_joint", "front_right_steer_joint"), "", "joints of the URDF that steer: left, right"
    )
    wheel_joints: tuple[str, ...] = setting(
        ("front_left_wheel_joint", "front_right_wheel_joint", "rear_left_wheel_joint", "rear_right_wheel_joint"),
        "",
        "joints of the URDF that roll: front left, front right, rear left, rear right",
    )
    driven: tuple[str, ...] = setting(
        ("rear_left_wheel_joint", "rear_right_wheel_joint"), "", "wheel joints that can drive; all wheels brake"
    )
    drive_effort_max: float = setting(
        600.0, "N·m", "largest driving torque per driven wheel", low=1, high=1e5, live="lower"
    )
    brake_effort_max: float = setting(
        1500.0, "N·m", "largest braking torque per wheel, against its rotation", low=1, high=1e5
    )
    brake_front_share: float = setting(
        0.7,
        "1",
        "share of the braking force that the front wheels take, where the load goes while braking",
        low=0.3,
        high=0.9,
    )
    steer_effort_max: float = setting(600.0, "N·m", "largest steering torque per steered wheel", low=1, high=1e5)
    wheel_effort_rate: float = setting(2500.0, "N·m/s", "fastest change of a wheel's torque", low=1, high=1e6)
    steer_effort_rate: float = setting(40000.0, "N·m/s", "fastest change of a steering torque", low=1, high=1e7)
    steer_velocity_max: float = setting(1.0, "rad/s", "fastest steering angle that is asked for", low=0.01, high=20)
    steer_stiffness: float = setting(4000.0, "N·m/rad", "steering servo: torque per angle error", low=1, high=1e6)
    steer_damping: float = setting(300.0, "N·m·s/rad", "steering servo: torque per angular velocity", low=0, high=1e6)
    steer_inertia: float = setting(
        4.6, "kg·m²", "of a steered wheel with its share of rack and motor, about its joint", low=1e-3, high=1e4
    )
    brake_fade: float = setting(
        0.0,
        "rad/s",
        "0: a negative wheel effort is a brake request, as in `command`; above: in effort_controller/commands it is a "
        "motor's torque against the rotation, which fades below this rate",
        low=0,
        high=20,
    )
    output: str = setting(
        "effort",
        "",
        "what goes out besides `command`: joint efforts (effort_controller/commands), or the motion that a "
        "drive-by-wire car is asked for (cmd_vel, motion_request)",
        choices=("effort", "twist"),
    )
    speed_horizon_s: float = setting(
        0.5,
        "s",
        "with output twist: the speed asked for is the measured one plus the acceleration times this, the dead time "
        "plus the time constant of the car's speed loop",
        low=0.05,
        high=5,
    )
    command_hold_s: float = setting(
        0.05, "s", "longest time a command acts until the next, or until the actuators brake", low=0.001, high=1
    )
    speed_max: float = setting(16.5, "m/s", "never exceeded", low=0.1, high=100, live="lower")
    lateral_acceleration_max: float = setting(4.0, "m/s²", "never asked for", low=0.1, high=20, live="lower")
    tyre_friction: float = setting(0.8, "1", "friction that the road is assumed to give at least", low=0.05, high=2)
    slope_max: float = setting(0.08, "1", "steepest slope assumed (rise over run)", low=0, high=0.5)
    brake_guaranteed: float = setting(
        5.0, "m/s²", "deceleration that is reached on the steepest slope while steering", low=0.1, high=12
    )
    mass_margin: float = setting(
        0.05,
        "1",
        "share by which the loaded car may be heavier than its URDF; brakes are asked for that",
        low=0,
        high=1,
    )
