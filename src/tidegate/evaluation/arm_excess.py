# SPDX-License-Identifier: Apache-2.0
"""By how much an arm exceeded its limits: a pure function of an episode."""

from __future__ import annotations

import numpy as np

from tidegate.records import Floats
from tidegate.robot.arm import Arm
from tidegate.simulation.arm import ArmRun

ROUNDING = 1e-9
"""Share of a limit that is arithmetic."""


def limit_excess(run: ArmRun, arm: Arm) -> dict[str, Floats]:
    """For each limit the share of it by which it was exceeded, negative = what was left.

    Returns:
        at every physics step (K,): ``position`` (of half the range), ``velocity`` and ``torque`` of the joint that is
        nearest to its limit, ``power``, ``tool speed``, ``force``; at every period but the first: ``torque rate``.
    """
    limits, surface = arm.settings.safety.limits, arm.settings.safety.surface
    position, velocity = run.of("position"), run.of("velocity")
    middle, half = 0.5 * (arm.upper + arm.lower), 0.5 * (arm.upper - arm.lower)
    rate = arm.settings.safety.rate_hz
    change = np.abs(np.diff(run.torque[:: round(1 / (rate * run.period))], axis=0)) * rate
    power = np.abs((run.torque * velocity).sum(axis=1))
    speed = np.linalg.norm(run.of("tool_velocity"), axis=1)
    return {
        "position": (np.abs(position - middle) / half).max(axis=1) - 1,
        "velocity": (np.abs(velocity) / arm.velocity).max(axis=1) - 1,
        "torque": (np.abs(run.torque) / arm.effort).max(axis=1) - 1,
        "torque rate": (change / arm.effort_rate).max(axis=1) - 1,
        "power": power / limits.power_max - 1,
        "tool speed": speed / limits.tool_speed_max - 1,
        "force": run.of("force") / surface.force_max - 1,
    }
