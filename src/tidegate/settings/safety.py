# SPDX-License-Identifier: Apache-2.0
"""The safety filter: its rate, the rungs of the ladder with their times, and the parameters of each barrier."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.settings.schema import setting


@dataclass(frozen=True, slots=True)
class SafetySettings:
    """Rate, ladder, barriers."""

    rate_hz: float = setting(200.0, "Hz", "ticks per second of the safety node", low=10, high=2000)
    late_periods: float = setting(
        1.5, "1", "camera periods after which nominal, lane or camera is late", low=1, high=10
    )
    hold_s: float = setting(0.3, "s", "longest HOLD before STOPPING", low=0, high=2)
    trusted_timeout_s: float = setting(
        0.1, "s", "age at which joint states, odometry or IMU are late", low=0.005, high=2
    )
    range_timeout_s: float = setting(0.2, "s", "age at which the range sensor is late", low=0.01, high=2)
