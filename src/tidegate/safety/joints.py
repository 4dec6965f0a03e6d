# SPDX-License-Identifier: Apache-2.0
"""What the joints can do within one period, as a box on (force, curvature)."""

from __future__ import annotations

import math
from typing import NamedTuple

from tidegate.robot import Car


class Box(NamedTuple):
    """Allowed force [N] and curvature [1/m] of one tick."""

    force_low: float
    force_high: float
    curvature_low: float
    curvature_high: float

    def clip(self, force: float, curvature: float) -> tuple[float, float]:
        """The nearest command inside."""
        return (
            min(max(force, self.force_low), self.force_high),
            min(max(curvature, self.curvature_low), self.curvature_high),
        )

    def holds(self, force: float, curvature: float) -> bool:
        """Whether a command is inside; none is where the bounds contradict."""
        return self.force_low <= force <= self.force_high and self.curvature_low <= curvature <= self.curvature_high


def joint_box(
    car: Car, force: float, curvature: float, period: float, share: float = 1.0, most: float = math.inf
) -> Box:
    """Wheel effort box and rate, steering angle box and rate, around the last command (``force``, ``curvature``).

    These rows are hard always. Box and slew are intersected; where they contradict (a limit was tightened while the
    last command lay outside), the slew towards the box is all there is. ``share`` of the steering range is used,
    and of the drive no more than ``most`` [N].
    """
    low, high = car.force_window(force, period)
    turn = car.curvature_rate * period
    return Box(
        *_intersect(low, high, car.force_min, min(car.force_max, most)),
        *_intersect(curvature - turn, curvature + turn, -share * car.curvature_max, share * car.curvature_max),
    )


def _intersect(slew_low: float, slew_high: float, box_low: float, box_high: float) -> tuple[float, float]:
    if slew_low > box_high:
        return slew_low, slew_low
    if slew_high < box_low:
        return slew_high, slew_high
    return max(slew_low, box_low), min(slew_high, box_high)
