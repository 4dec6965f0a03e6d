# SPDX-License-Identifier: Apache-2.0
"""How much a coordinate may be accelerated towards its limit for one period, so that afterwards it can still keep it.

One coordinate x at a time, speed v towards its limit, acceleration a held for the period T. After that the backup takes
a off at the rate j until it is −b, and brakes with b: a triple integrator with one control. In each formula the bound
is on the *true* acceleration, j and b are what is guaranteed, and less acceleration than the bound is always as good.
Everything is elementwise. The idea for a double integrator, and the word: Del Prete, Joint position and velocity bounds
in discrete-time acceleration/torque control of robot arms, IEEE RA-L 3(1), 2018.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from tidegate.records import Floats

Numbers = TypeVar("Numbers", float, Floats)


def speed_bound(room: Floats, period: float, jerk: Floats | float) -> Floats:
    """Largest a with v + T a + a₊²/(2 j) ≤ limit: taking it off at j gains a²/(2 j).

    Args:
        room: limit − v [m/s or rad/s]; where it is negative the speed is to be back after one period.
    """
    step = jerk * period
    inside: Floats = np.sqrt(step * step + 2 * jerk * np.maximum(room, 0.0)) - step  # 0 where there is no room
    return inside + np.minimum(room, 0.0) / period


def stop_delay(period: float, change: Floats | float, jerk: Floats | float) -> Floats | float:
    """Time [s] for which an acceleration may be taken as held, full braking after it, instead of period and ramp.

    A ramp by ``change`` (from a to −b) at ``jerk`` goes nowhere farther, at any time, than half of it at a and then
    half of it at −b: the velocity never is higher, and both end alike.
    """
    return period + change / (2 * jerk)


def stop_bound(gap: Floats, speed: Floats, delay: Floats | float, braking: Floats | float) -> Floats:
    """Largest a that, held for ``delay`` d and followed by braking with b, stops before the limit.

    v d + a d²/2 + (v + a d)²/(2 b) ≤ gap while it still moves there after d, −v²/(2 a) ≤ gap where it stops before.

    Args:
        gap: from x to its limit [m or rad]; where it is negative it is to be closed after d, as far as a goes.
        speed: v [m/s or rad/s], towards the limit positive.
    """
    left = gap - speed * delay / 2
    final = braking * (np.sqrt(delay * delay / 4 + 2 * np.maximum(left, 0.0) / braking) - delay / 2)
    later: Floats = (final - speed) / delay
    if left.min() >= 0:
        return later
    standing = 2 * left / delay**2 - speed / delay
    parabola = np.where(speed > 0, -speed * speed / (2 * np.maximum(gap, 1e-12)), np.inf)
    sooner = np.minimum(standing, parabola)
    bound: Floats = np.where(left >= 0, later, sooner)
    return bound
