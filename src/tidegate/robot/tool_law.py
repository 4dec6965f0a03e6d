# SPDX-License-Identifier: Apache-2.0
"""From what a policy asks of an arm's tool, some times a second, to joint torques at every period.

It asks where the tool point is to be drawn to (or how fast it is to go) and, on a surface, for a force along its normal
(Raibert and Craig, Hybrid position/force control of manipulators, J. Dynamic Systems, Measurement, and Control 103(2),
1981). The torques are made by the robot's own model, which does not know what its payload really is.
"""

from __future__ import annotations

import math

import numpy as np

from tidegate.records import Floats
from tidegate.robot.arm import Arm, surface_normal
from tidegate.robot.dynamics import Dynamics
from tidegate.robot.task_space import DRAW, ToolAim, ToolTerms, ToolWish, tool_torque

FASTEST = 0.45
"""Speed with which the tool is drawn, at most [m/s]."""
FOLLOW = 40.0
"""Acceleration per missing velocity of the tool [1/s]."""
HARDEST = 4.0
"""Most acceleration of the tool in free motion [m/s²]."""
SMOOTH = 0.01
"""Time constant of that acceleration [s]: a new wish is no step of the torques."""
PRESS_DAMPING = 25.0
"""Along the normal, while it presses [1/s]."""
SLIDE = 0.05
"""Over which what an aim presses on may rise and fall under the tool undamped [s]."""
PRESS_RATE, PRESS_SHARE = 24.0, 0.4
"""Integral [1/s] and proportional share of the force's error."""
UP = (0.0, 0.0, 1.0)


class ToolLaw:
    """Torques for a wish that is held, by the model of the settings; the tool points against the surface's normal.

    Attributes:
        place, velocity: (3,) of the tool point [m], [m/s], by the model, at the state of the last call; ``axes`` (3, 3)
            of the tool, as columns.
    """

    def __init__(self, arm: Arm, posture: Floats) -> None:
        """``posture`` (N,) [rad] is kept where the tool leaves it free.

        Raises:
            RobotError: as ``Dynamics``.
        """
        self._dynamics, self._posture = Dynamics(arm), posture
        surface = arm.settings.safety.surface
        self._normal = surface_normal(arm.settings) if surface.enabled else np.array(UP)
        self._period = 1 / arm.settings.safety.rate_hz
        self._change, self._missing, self._sliding = np.zeros(3), 0.0, 0.0
        self.place, self.velocity, self.axes = np.zeros(3), np.zeros(3), np.eye(3)

    def terms(self, position: Floats, velocity: Floats) -> ToolTerms:
        """The arm by its model at joint ``position`` (N,) [rad] and ``velocity`` (N,) [rad/s]."""
        motion = self._dynamics(position, velocity)
        turning = self._dynamics.turning()
        self.place, self.velocity, self.axes = motion.position, motion.velocity, turning.axes
        return ToolTerms(
            position,
            velocity,
            motion.mass,
            motion.inverse,
            motion.bias,
            motion.jacobian,
            turning.jacobian,
            motion.drift,
            turning.drift,
            turning.axes,
        )

    def __call__(self, position: Floats, velocity: Floats, wish: ToolWish | ToolAim, force: float) -> Floats:
        """Torques (N,) [N·m] of this period.

        Args:
            position, velocity: (N,) as measured [rad], [rad/s].
            wish: the newest; what an aim draws with is worked out anew for each period.
            force: measured, along the normal, on the surface [N].

        Returns:
            NaN throughout where one of these is no finite number; what comes after it is as if it had not been.
        """
        aimed = wish.place if isinstance(wish, ToolAim) else wish.velocity
        if not math.isfinite(float(position.sum() + velocity.sum() + aimed.sum()) + wish.push + force):
            return np.full(len(self._posture), math.nan)
        terms, normal = self.terms(position, velocity), self._normal
        if isinstance(wish, ToolAim):
            wish = self._drawn(wish, force)
        wanted = FOLLOW * (wish.velocity - self.velocity)
        wanted *= min(1.0, HARDEST / max(float(np.linalg.norm(wanted)), 1e-9))
        self._change = self._change + (wanted - self._change) * (self._period / SMOOTH)
        wanted, push = self._change, np.zeros(3)
        if wish.push > 0:
            wanted = wanted + normal * (normal @ (PRESS_DAMPING * (wish.velocity - self.velocity) - wanted))
            push = -self._force(wish.push, force) * normal
        else:
            self._missing = 0.0
        return tool_torque(terms, self._posture, wanted, normal, push)

    def _drawn(self, aim: ToolAim, force: float) -> ToolWish:
        """The velocity with which the tool goes to where it is drawn. Where it presses, none along the normal but the
        mean of its own: a surface that slopes is followed, and what is quicker than that damped."""
        velocity = DRAW * (aim.place - self.place)
        velocity *= min(1.0, FASTEST / max(float(np.linalg.norm(velocity)), 1e-9))
        along = float(self._normal @ self.velocity)
        self._sliding = self._sliding + (along - self._sliding) * self._period / SLIDE if force > 0 else 0.0
        if aim.push > 0:
            velocity = velocity + self._normal * (self._sliding - float(self._normal @ velocity))
        return ToolWish(velocity, aim.push)

    def _force(self, wanted: float, measured: float) -> float:
        """How hard to press [N]."""
        if measured <= 0:
            return wanted
        error = wanted - measured
        grown = self._missing + PRESS_RATE * error * self._period
        self._missing = min(max(grown, -wanted), wanted)
        return wanted + self._missing + PRESS_SHARE * error
