# SPDX-License-Identifier: Apache-2.0
"""Limits of the car that are lowered while it drives: how each comes down without a jolt, and in its lane."""

from __future__ import annotations

from tidegate.robot import Car, MotionLimits
from tidegate.settings import Settings


class Lowering:
    """What the car may be asked for now, on the way to what was set last; a limit that is raised is raised at once.

    With a_c = ``curve_deceleration``, v the measured speed:

    *Speed* comes down from the present speed by a_c. *Lateral acceleration*: the barrier that brakes before bends has
    the new limit at once; what the path may ask for stays for v/a_c, the longest that this braking takes, and then
    comes down by 2 a_c a/v, as braking in the same bend brings it down. At once, it would turn the wheels straight in a
    bend. *Drive* comes down at the torque rate.

    Attributes:
        now: limits in force, between those set last and those before.
    """

    def __init__(self, settings: Settings, car: Car) -> None:
        self._car = car
        self._braking, self._margin = settings.safety.curve_deceleration, settings.safety.speed_margin
        self.now = self._target = MotionLimits.of(car, settings.vehicle)
        self._wait = 0.0

    @property
    def drive(self) -> float:
        """The drive force [N] that was set last."""
        return self._target.force

    def set(self, settings: Settings, speed: float) -> None:
        """Head for the limits of ``settings`` from the ``speed`` [m/s] on."""
        before, self._target = self._target, MotionLimits.of(self._car, settings.vehicle)
        if self._target.lateral < before.lateral:
            self._wait = speed / self._braking

    def step(self, speed: float, time: float) -> None:
        """Let ``time`` [s] pass at the measured ``speed`` [m/s]."""
        target, now = self._target, self.now
        fastest = min(now.speed, max(target.speed, speed + self._margin)) - self._braking * time
        self._wait = max(self._wait - time, 0.0)
        eased = 0.0 if self._wait else 2 * self._braking * now.lateral / max(speed, 1.0) * time
        self.now = MotionLimits(
            max(target.speed, fastest),
            max(target.lateral, now.lateral - eased),
            max(target.force, now.force - self._car.force_rate(1) * time),
        )

    @property
    def speed_left(self) -> float:
        """The largest measured speed [m/s] until the limit that was set last is reached; 0 = it is."""
        return self.now.speed - self._margin if self.now.speed > self._target.speed else 0.0

    @property
    def lateral_left(self) -> float:
        """The largest lateral acceleration [m/s²] until the limit that was set last is reached; 0 = it is."""
        return self.now.lateral if self.now.lateral > self._target.lateral else 0.0
