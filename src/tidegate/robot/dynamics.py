# SPDX-License-Identifier: Apache-2.0
"""Rigid-body dynamics of the arm, by Pinocchio; its only home."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tidegate.errors import DependencyError, RobotError
from tidegate.records import Floats
from tidegate.robot.arm import Arm
from tidegate.robot.arm_urdf import read_arm_urdf

try:
    import pinocchio
except ImportError as error:
    raise DependencyError(f"arm: no Pinocchio ({error}); install it with 'pip install tidegate[arm]'") from error

POINT = np.zeros((3, 3))
"""Rotational inertia of a point mass."""


class Motion(NamedTuple):
    """The arm at one state: M q̈ + ``bias`` = τ, and the tool point p with ṗ = J q̇, p̈ = J q̈ + ``drift``.

    ``mass`` (N, N) [kg·m²], rotors included, and its ``inverse``; ``bias`` (N,) [N·m]: Coriolis, gravity and viscous
    damping; ``jacobian`` (3, N) of the tool point in ``base_link``'s axes, ``drift`` (3,) [m/s²] = J̇ q̇; ``position``
    (3,) [m] and ``velocity`` (3,) [m/s] of the tool point.
    """

    mass: Floats
    inverse: Floats
    bias: Floats
    jacobian: Floats
    drift: Floats
    position: Floats
    velocity: Floats


class Turning(NamedTuple):
    """How the tool is turned and turns: its ``axes`` x, y, z as columns (3, 3); ω = J q̇ with ``jacobian`` (3, N) in
    ``base_link``'s axes, ω̇ = J q̈ + ``drift`` (3,) [rad/s²]."""

    axes: Floats
    jacobian: Floats
    drift: Floats


class Dynamics:
    """Equations of motion of an arm whose base stands still, gravity along −z of ``base_link``.

    Rotors add their inertia to the diagonal of M; their gyroscopic torques are left out (Featherstone, Rigid Body
    Dynamics Algorithms, 2008, ch. 9.6). Dry friction is no part of the bias: it is an error of the torque balance.
    """

    def __init__(self, arm: Arm, payload: float | None = None) -> None:
        """``payload`` [kg]: point mass at the tool point; None = the settings'.

        Raises:
            RobotError: Pinocchio cannot read the URDF.
        """
        document = read_arm_urdf(arm.description.source, arm.settings.arm.locked)
        try:
            self._model: Any = pinocchio.buildModelFromXML(document)
        except (ValueError, RuntimeError) as error:
            raise RobotError(f"{arm.description.source}: Pinocchio cannot read it ({error})") from error
        order = tuple(self._model.names)[1:]
        if order != arm.joint_names:
            raise RobotError(f"{arm.description.source}: Pinocchio sees the joints {order}; a chain was expected")
        self._tool = self._model.getFrameId(arm.tool, pinocchio.FrameType.BODY)
        frame = self._model.frames[self._tool]
        joint = frame.parentJoint if hasattr(frame, "parentJoint") else frame.parent  # the old name before 3
        mass = arm.settings.arm.payload if payload is None else payload
        if mass > 0:
            self._model.appendBodyToJoint(joint, pinocchio.Inertia(mass, np.zeros(3), POINT), frame.placement)
        self._data = self._model.createData()
        self._rotors, self._damping = np.diag(arm.rotor_inertia), arm.damping

    def __call__(self, position: Floats, velocity: Floats) -> Motion:
        """The terms at joint ``position`` (N,) [rad] and ``velocity`` (N,) [rad/s]."""
        model, data = self._model, self._data
        pinocchio.computeAllTerms(model, data, position, velocity)  # with q̈ = 0, so that p̈ = J̇ q̇
        mass = data.M + self._rotors
        data.M = mass
        pinocchio.cholesky.decompose(model, data)
        inverse = pinocchio.cholesky.computeMinv(model, data).copy()
        bias = data.nle + self._damping * velocity
        place = pinocchio.updateFramePlacement(model, data, self._tool).translation.copy()
        axes = pinocchio.ReferenceFrame.LOCAL_WORLD_ALIGNED
        jacobian = pinocchio.getFrameJacobian(model, data, self._tool, axes)[:3].copy()
        drift = pinocchio.getFrameClassicalAcceleration(model, data, self._tool, axes).linear.copy()
        return Motion(mass, inverse, bias, jacobian, drift, place, jacobian.dot(velocity))

    def turning(self) -> Turning:
        """The tool's direction at the state of the last call."""
        model, data, axes = self._model, self._data, pinocchio.ReferenceFrame.LOCAL_WORLD_ALIGNED
        turned = data.oMf[self._tool].rotation.copy()
        jacobian = pinocchio.getFrameJacobian(model, data, self._tool, axes)[3:].copy()
        drift = pinocchio.getFrameClassicalAcceleration(model, data, self._tool, axes).angular.copy()
        return Turning(turned, jacobian, drift)

    def gravity(self, position: Floats) -> Floats:
        """Torques (N,) [N·m] that hold the arm where it is."""
        held: Floats = pinocchio.computeGeneralizedGravity(self._model, self._data, position).copy()
        return held
