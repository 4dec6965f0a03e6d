# SPDX-License-Identifier: Apache-2.0
"""The liquid network's clock, the scales of its commands and the interval of its gains."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.settings.schema import setting


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """Scales between motor neurons and commands, step limits, gain interval."""

    acceleration_scale: float = setting(4.0, "m/s²", "acceleration of a motor output of one", low=0.1, high=20)
    curvature_scale: float = setting(0.1, "1/m", "path curvature of a motor output of one", low=0.001, high=2)
    speed_scale: float = setting(15.0, "m/s", "speed that is one at the network's input", low=0.1, high=100)
    substeps: int = setting(2, "1", "solver sub-steps per frame", low=1, high=32)
    dt_max_s: float = setting(0.5, "s", "a longer gap between frames, or time going back, resets the state", low=0.01)
    gain_low: float = setting(0.5, "1/s", "smallest outermost barrier gain", low=0.01, high=50)
    gain_high: float = setting(4.0, "1/s", "largest outermost barrier gain", low=0.01, high=50)
