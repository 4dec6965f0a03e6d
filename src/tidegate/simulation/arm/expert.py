# SPDX-License-Identifier: Apache-2.0
"""Who sees the truth and does what a scene wants: impedance in free space, hybrid force control on a surface."""

from __future__ import annotations

import numpy as np

from tidegate.records import Floats
from tidegate.simulation.arm.control import ToolControl
from tidegate.simulation.arm.task import ArmTask, Goal, Nearest
from tidegate.simulation.arm.world import ArmTruth

SPEED = 0.45
"""Fastest approach of a goal [m/s]."""
PULL, FOLLOW = 3.0, 8.0
"""Of the reference: speed per distance to the goal [1/s], acceleration per missing speed [1/s]."""
HARDEST = 2.5
"""Most acceleration of the reference [m/s²]."""
SMOOTH = 0.03
"""Time constant of that acceleration [s]."""
STIFFNESS, DAMPING = 400.0, 40.0
"""With which the tool follows the reference [1/s²], [1/s]."""
PRESS_DAMPING = 25.0
"""Along the normal, on a surface [1/s]."""
PRESS_RATE, PRESS_SHARE = 12.0, 0.4
"""Integral [1/s] and proportional share of the force's error."""
CLOSE = 0.008
"""Within this of the surface force is controlled, not place [m]."""
KEEP, EASE = 0.06, 3.0
"""Distance to keep from an obstacle [m], and how fast the rest of it may be used up [1/s]."""


class Expert:
    """Torques for a scene, one call per tick of the filter.

    A reference with bounded acceleration goes to the goal, and around what is in the way by the velocity damper of
    Faverjon and Tournassoud (A local based approach for path planning of manipulators with a high number of degrees of
    freedom, ICRA 1987); the tool follows it as a mass with spring and damper. Near a surface the part along the normal
    is a force: the wanted one, its error's share and integral, and damping.
    """

    def __init__(self, scene: ArmTask) -> None:
        self._scene, self._control = scene, ToolControl(scene, scene.start)
        self._period = 1 / scene.settings.safety.rate_hz
        self._control.take(scene.start, np.zeros(len(scene.start)))
        self._place = self._control.place.copy()
        self._speed, self._change = np.zeros(3), np.zeros(3)
        self._missing = 0.0

    def act(self, truth: ArmTruth) -> Floats:
        """Torques (N,) [N·m] for now."""
        goal = self._scene.goal()
        self._control.take(truth.position, truth.velocity)
        self._lead(goal)
        off, slip = self._place - truth.tool, self._speed - truth.tool_velocity
        wanted = self._change + STIFFNESS * off + DAMPING * slip
        push = np.zeros(3)
        if goal.force > 0 and goal.normal @ (truth.tool - goal.place) < CLOSE:
            wanted += goal.normal * (
                PRESS_DAMPING * (goal.normal @ (goal.velocity - truth.tool_velocity)) - goal.normal @ wanted
            )
            push = -self._force(goal, truth) * goal.normal
        return self._control.torque(wanted, goal.normal, push)

    def _force(self, goal: Goal, truth: ArmTruth) -> float:
        """How hard to press [N]."""
        if truth.force <= 0:
            return goal.force
        error = goal.force - truth.force
        grown = self._missing + PRESS_RATE * error * self._period
        self._missing = min(max(grown, -goal.force), goal.force)
        return goal.force + self._missing + PRESS_SHARE * error

    def _lead(self, goal: Goal) -> None:
        """Move the reference on by a period."""
        wish = PULL * (goal.place - self._place)
        wish *= min(1.0, SPEED / max(float(np.linalg.norm(wish)), 1e-9))
        wish = self._around(wish + goal.velocity)
        change = goal.acceleration + FOLLOW * (wish - self._speed)
        change *= min(1.0, HARDEST / max(float(np.linalg.norm(change)), 1e-9))
        self._change = self._change + (change - self._change) * (self._period / SMOOTH)
        self._place = self._place + self._period * self._speed + self._period**2 / 2 * self._change
        self._speed = self._speed + self._period * self._change

    def _around(self, wish: Floats) -> Floats:
        """``wish`` (3,) [m/s], around what there is."""
        nearest = self._scene.nearest()
        return wish if nearest is None else around(wish, nearest)


def around(wish: Floats, nearest: Nearest, keep: float = KEEP) -> Floats:
    """``wish`` (3,) [m/s] without what would come nearer than ``keep`` [m]; over it where that leaves too little."""
    away = nearest.away
    least = float(away @ nearest.velocity) - EASE * (nearest.distance - keep)
    lacking = least - float(away @ wish)
    if lacking <= 0:
        return wish
    over = np.array([0.0, 0.0, 1.0]) - away[2] * away
    over /= max(float(np.linalg.norm(over)), 1e-9)
    led: Floats = wish + lacking * away + min(lacking, SPEED) * over
    return led
