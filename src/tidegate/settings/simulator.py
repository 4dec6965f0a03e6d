# SPDX-License-Identifier: Apache-2.0
"""The embedded world: physics step, sensor noise, what the actuator sink does when commands stop."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.settings.schema import setting


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """Physics and the simulated hardware."""

    physics_step_s: float = setting(
        0.0025, "s", "integration step; the safety period is a multiple", low=1e-4, high=0.01
    )
    command_timeout_s: float = setting(0.1, "s", "the actuator sink brakes by itself when no command came", low=0.01)
