# SPDX-License-Identifier: Apache-2.0
"""The arm: joints and limits from the URDF, and what the settings add to them. Plain numbers; no dynamics."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tidegate.errors import RobotError
from tidegate.records import Floats
from tidegate.robot.arm_urdf import check_masses, find_urdf
from tidegate.robot.urdf import Description, load_description
from tidegate.settings.arm import ArmSettings


@dataclass(frozen=True, slots=True)
class Arm:
    """A chain of N torque-controlled revolute joints. All arrays are (N,), in the order of ``joint_names``.

    Attributes:
        lower, upper: position limits [rad]; ``velocity`` [rad/s], the share of it that may be used, and ``effort``
            [N·m] limits.
        effort_rate: fastest change of a torque [N·m/s].
        rotor_inertia: [kg·m²]; ``damping`` [N·m·s/rad] and ``friction`` [N·m] as the URDF has them.
        tool: the link whose origin is the tool point.
    """

    description: Description
    settings: ArmSettings
    joint_names: tuple[str, ...]
    lower: Floats
    upper: Floats
    velocity: Floats
    effort: Floats
    effort_rate: Floats
    rotor_inertia: Floats
    damping: Floats
    friction: Floats
    tool: str

    @classmethod
    def from_settings(cls, settings: ArmSettings) -> Arm:
        """Read the URDF that the settings name.

        Raises:
            RobotError: the URDF lacks a joint, a limit or the tool, moves other joints too, or its chain is in another
                order.
        """
        names, locked = settings.arm.joints, settings.arm.locked
        description = load_description(find_urdf(settings.arm.urdf))
        joints = [description.joint(name) for name in names]
        limits = [description.limits(name) for name in names]
        for joint, limit in zip(joints, limits, strict=True):
            if joint.kind != "revolute" or not limit.lower < limit.upper or min(limit.effort, limit.velocity) <= 0:
                raise RobotError(
                    f"{description.source}: joint '{joint.name}' is {joint.kind} from {limit.lower:g} to "
                    f"{limit.upper:g} rad with effort {limit.effort:g} and velocity {limit.velocity:g}; an arm's is "
                    "revolute, with a range, and both above 0"
                )
            if not math.hypot(*joint.axis) > 1e-6 or min(joint.damping, joint.friction) < 0:
                raise RobotError(
                    f"{description.source}: joint '{joint.name}' has the axis {joint.axis}, damping {joint.damping:g} "
                    f"and friction {joint.friction:g}; it must have a direction, and neither below 0"
                )
            if joint.mimics:
                raise RobotError(
                    f"{description.source}: joint '{joint.name}' mimics '{joint.mimics}'; 'arm.joints' must name "
                    "joints that move by themselves, 'arm.locked' may name this one"
                )
        moving = {joint.name for joint in description.joints.values() if joint.kind != "fixed"}
        if not moving.issuperset(locked) or set(locked) & set(names):
            raise RobotError(
                f"{description.source}: moves {sorted(moving)}; 'arm.locked' is {list(locked)}, it must name some of "
                "these and none of 'arm.joints'"
            )
        moving -= set(locked)
        if moving != set(names):
            raise RobotError(
                f"{description.source}: moves {sorted(moving)}; 'arm.joints' must name just these, and 'arm.locked' "
                "those that the arm is reckoned without"
            )
        description.link(settings.arm.tool)
        chain = _chain(description, settings.arm.tool)
        if tuple(name for name in chain if name in moving) != names:
            raise RobotError(
                f"{description.source}: from the base to link '{settings.arm.tool}' lie {', '.join(chain)}; "
                f"'arm.joints' is {', '.join(names)}"
            )
        check_masses(description, names, locked)
        _check_errors(description, settings)
        return cls(
            description=description,
            settings=settings,
            joint_names=names,
            lower=np.array([limit.lower for limit in limits]),
            upper=np.array([limit.upper for limit in limits]),
            velocity=settings.arm.velocity_share * np.array([limit.velocity for limit in limits]),
            effort=np.array([limit.effort for limit in limits]),
            effort_rate=np.array(settings.arm.effort_rate),
            rotor_inertia=np.array(settings.arm.rotor_inertia),
            damping=np.array([joint.damping for joint in joints]),
            friction=np.array([joint.friction for joint in joints]),
            tool=settings.arm.tool,
        )

    def torque_window(self, last: Floats, period: float) -> tuple[Floats, Floats]:
        """Lowest and highest torques (N,) [N·m] that box and rate allow one ``period`` [s] after ``last``.

        Where they contradict, for the last torque lies outside the box, the way towards the box is all there is.
        """
        step = self.effort_rate * period
        least, most = last - step, last + step
        return (-self.effort).clip(least, most), self.effort.clip(least, most)


def surface_normal(settings: ArmSettings) -> Floats:
    """The unit normal (3,) of ``safety.surface``, from the surface to the arm."""
    normal = settings.safety.surface.normal
    return np.array(normal) / math.hypot(*normal)


def _check_errors(description: Description, settings: ArmSettings) -> None:
    """That what is known of a joint leaves something of its limits, and that its friction is among what may err.

    Raises:
        RobotError: it does not, or is not.
    """
    model, errors = settings.arm, settings.safety.limits
    for name, balance in zip(model.joints, model.torque_error, strict=True):
        limit, friction = description.limits(name), description.joint(name).friction
        for key, error, most in (
            ("safety.limits.position_error", errors.position_error, (limit.upper - limit.lower) / 2),
            ("safety.limits.velocity_error", errors.velocity_error, model.velocity_share * limit.velocity),
        ):
            if not error < most:
                raise RobotError(
                    f"{description.source}: '{key}' is {error:g}; of joint '{name}' it must be less than {most:g}, or "
                    "nothing is left of the limit"
                )
        if friction > balance:
            raise RobotError(
                f"{description.source}: joint '{name}' has {friction:g} N·m of dry friction, but its "
                f"'arm.torque_error' is {balance:g}; it must be at least that, for the filter knows of no friction else"
            )


def _chain(description: Description, link: str) -> list[str]:
    """Joints from the base to ``link``.

    Raises:
        RobotError: they form a loop.
    """
    above = {joint.child: joint for joint in description.joints.values()}
    chain: list[str] = []
    while link in above:
        chain.insert(0, above[link].name)
        link = above[link].parent
        if len(chain) > len(description.joints):
            raise RobotError(f"{description.source}: the joints above '{link}' form a loop")
    return chain
