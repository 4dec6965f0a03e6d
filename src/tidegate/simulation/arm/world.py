# SPDX-License-Identifier: Apache-2.0
"""The arm in MuJoCo, from the same URDF: free space, and a surface that gives way like a spring.

Rotor inertia is the joints' ``armature``; damping and dry friction are the URDF's. There are no mechanical stops and
nothing of the arm but its tool point touches: what the filter does not hold, nothing holds. The surface is a linear
spring with a damper along its normal, without friction, on the tool point, so that its stiffness is the one that is
stated; MuJoCo's own contacts scale theirs by the effective mass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tidegate.errors import SceneError
from tidegate.records import Floats
from tidegate.robot.arm import Arm, surface_normal
from tidegate.robot.arm_urdf import read_arm_urdf
from tidegate.simulation.arm.surface import Plane, Surface
from tidegate.simulation.engine import mujoco

DRAWN = '<mujoco><compiler discardvisual="false"/></mujoco>'
"""What a URDF says to MuJoCo so that it keeps the shapes of the links."""


class ArmTruth(NamedTuple):
    """The arm after a physics step: joint ``position`` (N,) [rad], ``velocity`` (N,) [rad/s], the tool point ``tool``
    (3,) [m], its velocity ``tool_velocity`` (3,) [m/s], and the ``force`` [N] that it presses the surface with."""

    position: Floats
    velocity: Floats
    tool: Floats
    tool_velocity: Floats
    force: float


class ArmScene:
    """An arm that a torque moves, one physics step at a time.

    Attributes:
        model, data: MuJoCo's, for who compares with them.
        substeps: physics steps per period of the filter.
    """

    def __init__(
        self,
        arm: Arm,
        *,
        payload: float | None = None,
        stiffness: float | None = None,
        surface: Surface | None = None,
        furnish: Callable[[Any], None] | None = None,
    ) -> None:
        """Build it.

        Args:
            payload: point mass at the tool point [kg]; None = what the settings say.
            stiffness: of the settings' surface [N/m]; None = what they say.
            surface: what the tool presses on; None = the settings' plane, where they have one.
            furnish: puts into the ``MjSpec`` what else is there, and colours the links; None = nothing is drawn.

        Raises:
            SceneError: MuJoCo cannot read the URDF, or the physics step does not divide the period.
        """
        settings = arm.settings
        self._step = settings.simulator.physics_step_s
        ratio = 1 / (settings.safety.rate_hz * self._step)
        self.substeps = round(ratio)
        if self.substeps < 1 or abs(ratio - self.substeps) > 1e-6:
            raise SceneError(
                f"simulator.physics_step_s is {self._step:g} s; it must divide the period of safety.rate_hz, "
                f"{1 / settings.safety.rate_hz:g} s"
            )
        plane = settings.safety.surface
        if surface is None and plane.enabled:
            given = plane.stiffness if stiffness is None else stiffness
            surface = Plane(given, settings.simulator.surface_damping, surface_normal(settings), plane.offset)
        self._surface, self._normal = surface, surface_normal(settings)
        self.model = _compiled(arm, self._step, settings.arm.payload if payload is None else payload, furnish)
        self.data = mujoco.MjData(self.model)
        self._tool = self.model.site("tool").id
        self._jacobian, self._spin = np.zeros((3, self.model.nv)), np.zeros((3, self.model.nv))
        self.place(np.zeros(self.model.nq), np.zeros(self.model.nv))

    def place(self, position: Floats, velocity: Floats) -> ArmTruth:
        """Put the joints (N,) at ``position`` [rad] with ``velocity`` [rad/s]."""
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:], self.data.qvel[:] = position, velocity
        mujoco.mj_forward(self.model, self.data)
        return self._truth()

    def step(self, torque: Floats) -> ArmTruth:
        """One physics step with joint torques (N,) [N·m]."""
        force = self._press()
        self.data.qfrc_applied[:] = torque + self._jacobian.T @ (force * self._normal)
        mujoco.mj_step(self.model, self.data)
        return self._truth()

    @property
    def normal(self) -> Floats:
        """Outward unit normal (3,) of the surface where the tool is; the settings', where there is none."""
        return self._normal

    def push(self, truth: ArmTruth) -> Floats:
        """The surface's force (3,) [N] on the tool point at ``truth``, the newest, in the tool's axes."""
        return np.array(self.data.site_xmat[self._tool].reshape(3, 3).T @ (truth.force * self._normal))

    def _truth(self) -> ArmTruth:
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        force = self._press()
        velocity = self._jacobian @ self.data.qvel
        place = self.data.site_xpos[self._tool].copy()
        return ArmTruth(self.data.qpos.copy(), self.data.qvel.copy(), place, velocity, force)

    def _press(self) -> float:
        """The surface's force [N] at the present state; leaves the tool's Jacobian and the normal there behind."""
        mujoco.mj_jacSite(self.model, self.data, self._jacobian, self._spin, self._tool)
        if self._surface is None:
            return 0.0
        depth, self._normal = self._surface.meet(self.data.site_xpos[self._tool])
        if depth <= 0:
            return 0.0
        return self._surface.push(depth, -float(self._normal @ (self._jacobian @ self.data.qvel)))


def _compiled(arm: Arm, step: float, payload: float, furnish: Callable[[Any], None] | None) -> Any:
    """The MuJoCo model.

    Raises:
        SceneError: MuJoCo cannot read the URDF.
    """
    try:
        document = read_arm_urdf(arm.description.source, arm.settings.arm.locked)
        if furnish is not None:
            document = document.replace("</robot>", DRAWN + "</robot>")
        spec = mujoco.MjSpec.from_string(document)
        spec.option.timestep = step
        spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        # where numbers end MuJoCo would put the arm back to where it began, and nobody could tell
        spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
        for index, name in enumerate(arm.joint_names):
            joint = spec.joint(name)
            joint.armature = float(arm.rotor_inertia[index])
            joint.limited = mujoco.mjtLimited.mjLIMITED_FALSE
            joint.actfrclimited = mujoco.mjtLimited.mjLIMITED_FALSE
        tool = spec.body(arm.tool)
        tool.add_site(name="tool")
        if payload > 0:
            tool.add_body(name="payload", mass=payload, inertia=[1e-9] * 3, explicitinertial=True)
        if furnish is not None:
            furnish(spec)
        for geom in spec.geoms:
            geom.contype, geom.conaffinity = 0, 0
        return spec.compile()
    except (ValueError, AttributeError) as error:
        raise SceneError(f"{arm.description.source}: MuJoCo cannot read it ({error})") from error
