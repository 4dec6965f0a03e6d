# SPDX-License-Identifier: Apache-2.0
"""Torques that accelerate the tool point as wanted, keep it in line with a direction and press.

Operational space (Khatib, A unified approach for motion and force control of robot manipulators, IEEE J. Robotics and
Automation 3(1), 1987): place and direction of the tool are five numbers, the rest of the seven joints keeps a posture.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tidegate.records import Floats

TURN_STIFFNESS, TURN_DAMPING = 225.0, 30.0
"""Of the tool's direction [1/s²], [1/s]."""
POSTURE_STIFFNESS, POSTURE_DAMPING = 25.0, 10.0
"""Of the joints, in what is left to them."""
DRAW = 8.0
"""Speed of the tool per distance to where it is drawn [1/s]."""
REGULAR = 1e-4
"""Added to the five numbers' mobility [1/kg]: bounds the torques near singular poses."""


class ToolWish(NamedTuple):
    """What is asked of the tool: ``velocity`` (3,) [m/s] of its point in ``base_link``'s axes; with a ``push`` [N]
    above 0 that force is pressed with along the surface's normal, and what misses of the velocity there is damped."""

    velocity: Floats
    push: float = 0.0


class ToolAim(NamedTuple):
    """What a policy asks of the tool: ``place`` (3,) [m] in ``base_link``'s axes that its point is drawn to, from
    wherever it is, with ``DRAW`` times the distance; ``push`` [N] as ``ToolWish``'s."""

    place: Floats
    push: float = 0.0


class ToolSenses(NamedTuple):
    """What a policy is told beside the picture.

    ``place`` (3,) [m] and ``velocity`` (3,) [m/s] of the tool by the robot's model and its measured joints; the
    ``force`` [N] that it presses with, as measured, and the one that is ``wanted`` (0 = none); ``height`` [m] of the
    tool above the surface that the filter was told of.
    """

    place: Floats
    velocity: Floats
    force: float
    wanted: float
    height: float

    def row(self) -> Floats:
        """All nine numbers (9,)."""
        return np.array([*self.place, *self.velocity, self.force, self.wanted, self.height])


class ToolTerms(NamedTuple):
    """An arm at joint ``position`` (N,) [rad] and ``velocity`` (N,) [rad/s]: M q̈ + ``bias`` = τ, whosever model it is.

    ``mass`` (N, N) [kg·m²] and its ``inverse``; ``bias`` (N,) [N·m]; the tool point's ``linear`` (3, N) and the tool's
    ``angular`` (3, N) Jacobian in ``base_link``'s axes, ``linear_drift`` [m/s²] and ``angular_drift`` [rad/s²] (3,)
    their J̇ q̇; ``axes`` (3, 3) the tool's x, y, z as columns.
    """

    position: Floats
    velocity: Floats
    mass: Floats
    inverse: Floats
    bias: Floats
    linear: Floats
    angular: Floats
    linear_drift: Floats
    angular_drift: Floats
    axes: Floats


def tool_torque(terms: ToolTerms, posture: Floats, acceleration: Floats, normal: Floats, push: Floats) -> Floats:
    """Torques (N,) [N·m].

    Args:
        terms: of the arm.
        posture: (N,) [rad] that is kept where the tool leaves it free.
        acceleration: (3,) wanted of the tool point [m/s²].
        normal: (3,) unit vector that the tool is to point against.
        push: (3,) force [N] on what it touches.
    """
    speed = terms.velocity
    across, pointing = terms.axes[:, :2].T, terms.axes[:, 2]
    turn = TURN_STIFFNESS * np.cross(pointing, -normal) - TURN_DAMPING * (terms.angular @ speed)
    rows = np.concatenate((terms.linear, across @ terms.angular))
    wanted = np.concatenate((acceleration - terms.linear_drift, across @ (turn - terms.angular_drift)))
    free = POSTURE_STIFFNESS * (posture - terms.position) - POSTURE_DAMPING * speed
    mobility = rows @ terms.inverse @ rows.T + REGULAR * np.eye(len(rows))
    joints = free + terms.inverse @ rows.T @ np.linalg.solve(mobility, wanted - rows @ free)
    made: Floats = terms.mass @ joints + terms.bias + terms.linear.T @ push
    return made
