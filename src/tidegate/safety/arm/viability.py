# SPDX-License-Identifier: Apache-2.0
"""How much a coordinate may be accelerated towards its limit for one period, so that afterwards it can still keep it.

One coordinate x at a time, speed v towards its limit, acceleration a held for the period T. After that the backup takes
a off at the rate j until it is −b, and brakes with b: a triple integrator with one control. In each formula the bound
is on the *true* acceleration, j and b are what is guaranteed, and less acceleration than the bound is always as good.
The idea for a double integrator, and the word: Del Prete, Joint position and velocity bounds in discrete-time
acceleration/torque control of robot arms, IEEE RA-L 3(1), 2018.

Each bound stands here for one coordinate, in plain numbers, and as a class for the joints at once, which works out
beforehand what no tick changes: a tick has no time to spare for NumPy calls.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np

from tidegate.records import Floats

Numbers = TypeVar("Numbers", float, Floats)
CLOSE = 1e-12
"""No gap counts as smaller where it is divided by [m or rad]."""


def speed_bound(room: float, period: float, jerk: float) -> float:
    """Largest a with v + T a + a₊²/(2 j) ≤ limit: taking it off at j gains a²/(2 j).

    Args:
        room: limit − v [m/s or rad/s]; where it is negative the speed is to be back after one period.
    """
    if not room > 0:
        return room / period
    step = jerk * period
    return math.sqrt(step * step + 2 * jerk * room) - step


def stop_delay(period: float, change: Numbers, jerk: Numbers) -> Numbers:
    """Time [s] for which an acceleration may be taken as held, full braking after it, instead of period and ramp.

    A ramp by ``change`` (from a to −b) at ``jerk`` goes nowhere farther, at any time, than half of it at a and then
    half of it at −b: the velocity never is higher, and both end alike.
    """
    return period + change / (2 * jerk)


def stop_bound(gap: float, speed: float, delay: float, braking: float) -> float:
    """Largest a that, held for ``delay`` d and followed by braking with b, stops before the limit.

    v d + a d²/2 + (v + a d)²/(2 b) ≤ gap while it still moves there after d, −v²/(2 a) ≤ gap where it stops before.

    Args:
        gap: from x to its limit [m or rad]; where it is negative it is to be closed after d, as far as a goes.
        speed: v [m/s or rad/s], towards the limit positive.
    """
    left = gap - speed * delay / 2
    if left >= 0:
        final = braking * (math.sqrt(delay * delay / 4 + 2 * left / braking) - delay / 2)
        return (final - speed) / delay
    standing = 2 * left / delay**2 - speed / delay
    return min(standing, -speed * speed / (2 * max(gap, CLOSE))) if speed > 0 else standing


class SpeedBounds:
    """``speed_bound`` of (K,) coordinates."""

    def __init__(self, period: float, jerk: Floats) -> None:
        self._period, self._step, self._twice = np.array(period), jerk * period, 2 * jerk
        self._square, self._none = self._step * self._step, np.zeros(len(jerk))

    def __call__(self, room: Floats) -> Floats:
        """As of ``speed_bound``; (K,)."""
        inside: Floats = np.sqrt(self._square + self._twice * np.maximum(room, self._none)) - self._step
        if min(room.tolist()) < 0:
            inside += np.minimum(room, self._none) / self._period  # it was 0 where there is no room
        return inside


class StopBounds:
    """``stop_bound`` of (K,) coordinates."""

    def __init__(self, delay: Floats, braking: Floats) -> None:
        self._delay, self._half = delay, delay / 2
        self._twice, self._shift = 2 * braking, braking * self._half
        self._square, self._none = self._shift * self._shift, np.zeros(len(delay))

    def __call__(self, gap: Floats, speed: Floats) -> Floats:
        """As of ``stop_bound``; (K,)."""
        left = gap - speed * self._half
        # b (√(d²/4 + 2 left/b) − d/2), the speed after d
        final = np.sqrt(self._square + self._twice * np.maximum(left, self._none)) - self._shift
        later: Floats = (final - speed) / self._delay
        if min(left.tolist()) >= 0:
            return later
        standing = (left / self._half - speed) / self._delay
        parabola = np.where(speed > 0, -speed * speed / (2 * np.maximum(gap, CLOSE)), np.inf)
        bound: Floats = np.where(left >= 0, later, np.minimum(standing, parabola))
        return bound
