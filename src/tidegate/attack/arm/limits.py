# SPDX-License-Identifier: Apache-2.0
"""By how much an arm exceeds its limits, judged at every physics step."""

from __future__ import annotations

import math

import numpy as np

from tidegate.records import Floats
from tidegate.robot.arm import Arm, surface_normal
from tidegate.simulation.arm import ArmTruth

LIMITS = {
    "position": "rad",
    "velocity": "rad/s",
    "torque": "N·m",
    "torque rate": "N·m/s",
    "power": "W",
    "tool speed": "m/s",
    "contact force": "N",
}
"""What is limited, and its unit."""
ROUNDING = 1e-6
"""An excess in that unit that is arithmetic."""
SLOPE = 1e-6
"""Share by which a surface's normal may differ from the one that the filter is told."""
MEMORY = 0.1
"""A touch longer ago than this [s] explains nothing."""


class ArmExcess:
    """The largest excess over each limit since the start; negative = what was left.

    Attributes:
        found: by limit, in its unit; −inf where it was never judged, inf where it was no number.
        level: the same but for what was shortly after a touch of a surface with another slope than the filter is told;
            ``sloped``: whether there was such a touch.
        touched: how fast the tool came when it touched the surface, the most of all times [m/s]; 0 = never.
    """

    def __init__(self, arm: Arm) -> None:
        self._arm, self._safety, self._normal = arm, arm.settings.safety, surface_normal(arm.settings)
        self.found, self.level = dict.fromkeys(LIMITS, -math.inf), dict.fromkeys(LIMITS, -math.inf)
        self.sloped, self._slope_felt = False, 0
        self._memory = round(MEMORY / arm.settings.simulator.physics_step_s)
        self.touched, self._off, self._closing = 0.0, True, 0.0

    def command(self, torque: Floats, last: Floats, truth: ArmTruth) -> None:
        """Take in a command (N,) [N·m], the one before, and the state in which it is applied."""
        arm = self._arm
        self._take("torque", float((np.abs(torque) - arm.effort).max()))
        self._take("torque rate", float((np.abs(torque - last) * self._safety.rate_hz - arm.effort_rate).max()))
        self._take("power", abs(float(torque.dot(truth.velocity))) - self._safety.limits.power_max)

    def step(self, torque: Floats, truth: ArmTruth, normal: Floats) -> None:
        """Take in the state after a physics step with that ``torque`` (N,) [N·m]; ``normal`` (3,) of the surface."""
        arm, limits = self._arm, self._safety.limits
        self._slope_felt = max(self._slope_felt - 1, 0)
        if truth.force > 0 and 1 - float(self._normal.dot(normal)) > SLOPE:
            self.sloped, self._slope_felt = True, self._memory
        self._take("position", float(max((truth.position - arm.upper).max(), (arm.lower - truth.position).max())))
        self._take("velocity", float((np.abs(truth.velocity) - arm.velocity).max()))
        self._take("power", abs(float(torque.dot(truth.velocity))) - limits.power_max)
        self._take("tool speed", math.hypot(*truth.tool_velocity.tolist()) - limits.tool_speed_max)
        self._take("contact force", truth.force - self._safety.surface.force_max)
        if self._off and truth.force > 0:
            self.touched = max(self.touched, self._closing)
        self._off, self._closing = truth.force <= 0, -float(self._normal.dot(truth.tool_velocity))

    def _take(self, name: str, excess: float) -> None:
        excess = math.inf if math.isnan(excess) else excess
        self.found[name] = max(self.found[name], excess)
        if not self._slope_felt:
            self.level[name] = max(self.level[name], excess)
