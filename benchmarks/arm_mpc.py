# SPDX-License-Identifier: Apache-2.0
"""Model predictive control of the arm's tool point, by do-mpc (Fiedler et al., Control Engineering Practice 140, 2023)
and CasADi: what the expert and, later, a policy are compared with."""

from __future__ import annotations

import time
from typing import Any

import casadi
import do_mpc
import numpy as np

from tidegate.records import Floats
from tidegate.robot.arm import Arm
from tidegate.robot.urdf import rotation
from tidegate.simulation.arm import ArmTask, ArmTruth
from tidegate.simulation.arm.control import ToolControl

STEP, HORIZON = 0.04, 12
"""Of the prediction [s]; it is solved once per step."""
PLACE, UPRIGHT, POSTURE, SPEED, ACCELERATION = 1e3, 20.0, 0.1, 0.2, 1e-3
"""Weights of the squares: tool place [1/m²], tool axis, joints [1/rad²], their velocity and acceleration."""
STIFFNESS, DAMPING = 400.0, 40.0
"""With which the joints follow the prediction between solutions, as the expert's tool follows its reference."""


def tool_pose(arm: Arm, joints: Any) -> tuple[Any, Any]:
    """Place (3,) and axis (3,) of the tool, in CasADi, from the URDF."""
    above = {joint.child: joint for joint in arm.description.joints.values()}
    chain, link = [], arm.tool
    while link in above:
        chain.insert(0, above[link])
        link = above[link].parent
    place, turn = casadi.DM.zeros(3), casadi.DM.eye(3)
    for joint in chain:
        place = place + turn @ casadi.DM(joint.xyz)
        turn = turn @ casadi.DM(rotation(joint.rpy))
        if joint.kind != "fixed":
            cross = casadi.skew(casadi.DM(joint.axis))
            angle = joints[arm.joint_names.index(joint.name)]
            turn = turn @ (casadi.DM.eye(3) + casadi.sin(angle) * cross + (1 - casadi.cos(angle)) * cross @ cross)
    return place, turn[:, 2]


class Predictive:
    """Joint jerks over the horizon that bring the tool to where the goal will be, its acceleration taken as constant.

    Joints are triple integrators: dynamics are cancelled by the torques (computed torque), with the same masses that
    the expert has. Joint positions, velocities and accelerations keep the limits that the filter keeps, as far as the
    prediction goes; power, torque rate and tool speed are left to the filter.

    Attributes:
        times: of each solution [ms], of the processor.
        failed: how many found no optimum.
    """

    def __init__(self, scene: ArmTask, weight: float) -> None:
        """``weight`` of the square of the joints' jerk: more of it is calmer and later."""
        arm, count = scene.arm, len(scene.start)
        self._scene, self._control = scene, ToolControl(scene, scene.start)
        self._rate = round(STEP * scene.settings.safety.rate_hz)
        model = do_mpc.model.Model("discrete")
        names = ("place", "speed", "change")
        place, speed, change = (model.set_variable("_x", name, (count, 1)) for name in names)
        jerk = model.set_variable("_u", "jerk", (count, 1))
        wanted = model.set_variable("_tvp", "wanted", (3, 1))
        model.set_rhs("place", place + STEP * speed + STEP**2 / 2 * change + STEP**3 / 6 * jerk)
        model.set_rhs("speed", speed + STEP * change + STEP**2 / 2 * jerk)
        model.set_rhs("change", change + STEP * jerk)
        model.setup()
        self._mpc = mpc = do_mpc.controller.MPC(model)
        mpc.settings.n_horizon, mpc.settings.t_step, mpc.settings.n_robust = HORIZON, STEP, 0
        mpc.settings.store_full_solution = False
        mpc.settings.nlpsol_opts = {"ipopt.max_iter": 40, "ipopt.tol": 1e-6}
        mpc.settings.supress_ipopt_output()
        tool, axis = tool_pose(arm, place)
        off = PLACE * casadi.sumsqr(tool - wanted) + UPRIGHT * casadi.sumsqr(axis - casadi.DM([0, 0, -1]))
        calm = POSTURE * casadi.sumsqr(place - casadi.DM(scene.start)) + SPEED * casadi.sumsqr(speed)
        effort = ACCELERATION * casadi.sumsqr(change)
        mpc.set_objective(mterm=off + calm, lterm=off + calm + effort + weight * casadi.sumsqr(jerk))
        mpc.set_rterm(jerk=0.0)
        motion = arm.settings.safety.motion
        sides = (arm.lower, arm.upper), (-arm.velocity, arm.velocity)
        most = np.array(motion.acceleration)
        for name, (low, high) in zip(names, (*sides, (-most, most)), strict=True):
            mpc.bounds["lower", "_x", name], mpc.bounds["upper", "_x", name] = low, high
        fastest = np.array(motion.jerk)
        mpc.bounds["lower", "_u", "jerk"], mpc.bounds["upper", "_u", "jerk"] = -fastest, fastest
        self._template = mpc.get_tvp_template()
        mpc.set_tvp_fun(lambda _: self._ahead())
        mpc.setup()
        self._state = np.concatenate((scene.start, np.zeros(2 * count)))
        mpc.x0 = self._state
        mpc.set_initial_guess()
        self._tick, self._jerk = 0, np.zeros(count)
        self.times: list[float] = []
        self.failed = 0

    def act(self, truth: ArmTruth) -> Floats:
        """Torques (N,) [N·m] for now; solves anew once per ``STEP``, without delay."""
        if self._tick % self._rate == 0:
            if self._tick:
                self._state = np.concatenate(self._at(STEP))  # as planned; measured states would make it twitch
            began = time.thread_time()
            self._jerk = self._mpc.make_step(self._state.reshape(-1, 1)).ravel()
            self.times.append((time.thread_time() - began) * 1e3)
            self.failed += not self._mpc.solver_stats["success"]
        place, speed, change = self._at(self._tick % self._rate / self._scene.settings.safety.rate_hz)
        self._tick += 1
        self._control.take(truth.position, truth.velocity)
        off, slip = place - truth.position, speed - truth.velocity
        return self._control.joint_torque(change + STIFFNESS * off + DAMPING * slip)

    def _at(self, after: float) -> tuple[Floats, Floats, Floats]:
        """Predicted joints, velocities and accelerations (N,) ``after`` [s] the last solution."""
        place, speed, change = self._state.reshape(3, -1)
        return (
            place + after * speed + after**2 / 2 * change + after**3 / 6 * self._jerk,
            speed + after * change + after**2 / 2 * self._jerk,
            change + after * self._jerk,
        )

    def _ahead(self) -> Any:
        """Where the goal will be at each step of the horizon, by what the expert knows of it too."""
        goal = self._scene.goal()
        for number in range(HORIZON + 1):
            later = number * STEP
            self._template["_tvp", number, "wanted"] = (
                goal.place + later * goal.velocity + later**2 / 2 * goal.acceleration
            )
        return self._template
