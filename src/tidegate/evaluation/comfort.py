# SPDX-License-Identifier: Apache-2.0
"""What a passenger of a drive feels: pure functions of its trace."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tidegate.records import Floats

CENTRE_M = 0.3
"""Nearer than this to the lane's centre is in it [m]."""
MOVING = 1.0
"""Slower than this nobody feels the steering [m/s]."""
SPAN_S = 0.1
"""Of accelerations and jerks the mean over this time [s]: less is the tyres' noise, more hides a twitch."""
STEERING_GAP = math.radians(0.2)
"""A turn of the front wheels by less is not felt [rad]: 3° at a steering wheel of ratio 15."""
PEDAL_GAP = 0.2
"""A change of the acceleration by less is not felt [m/s²]."""


@dataclass(frozen=True, slots=True)
class Comfort:
    """A drive as its passenger feels it.

    Attributes:
        in_centre: share of the time in motion within ``CENTRE_M`` of the lane's centre.
        lateral_jerk_rms, lateral_jerk_peak: change of the acceleration to the side over ``SPAN_S`` [m/s³].
        steering_reversals: turns of the front wheels to the other side by at least ``STEERING_GAP``, per minute in
            motion; the rate of Markkula and Engström (2006), of the angle that the driven path has.
        pedal_reversals: changes between speeding up and slowing down by at least ``PEDAL_GAP``, per minute in motion.
        hardest_braking: [m/s²], positive.
    """

    in_centre: float
    lateral_jerk_rms: float
    lateral_jerk_peak: float
    steering_reversals: float
    pedal_reversals: float
    hardest_braking: float


def comfort(period: float, speed: Floats, yaw_rate: Floats, lane_error: Floats, wheelbase: float) -> Comfort:
    """Comfort of a drive, one row per tick (K,): what is not there in a drive that is too short, or stands, is zero.

    Args:
        period: time between rows [s].
        speed: [m/s].
        yaw_rate: [rad/s].
        lane_error: from the lane's centre [m].
        wheelbase: [m].
    """
    moving = speed > MOVING
    jerk = change(speed * yaw_rate, period)
    acceleration = change(speed, period)
    steering = np.arctan(wheelbase * yaw_rate[moving] / speed[moving])
    later = moving[len(moving) - len(acceleration) :]
    minutes = float(moving.sum()) * period / 60
    return Comfort(
        in_centre=float(np.mean(np.abs(lane_error[moving]) < CENTRE_M)) if minutes else 0.0,
        lateral_jerk_rms=rms(jerk),
        lateral_jerk_peak=float(np.abs(jerk).max(initial=0.0)),
        steering_reversals=reversals(steering, STEERING_GAP) / minutes if minutes else 0.0,
        pedal_reversals=reversals(acceleration[later], PEDAL_GAP) / minutes if minutes else 0.0,
        hardest_braking=float((-acceleration).max(initial=0.0)),
    )


def change(values: Floats, period: float) -> Floats:
    """(K,) values → mean rate of change over ``SPAN_S`` up to each row (K − n,) [1/s]."""
    span = max(1, round(SPAN_S / period))
    rate: Floats = (values[span:] - values[:-span]) / (span * period)
    return rate


def rms(values: Floats) -> float:
    """Root of the mean square; zero for an empty drive."""
    return math.sqrt(float(np.mean(np.square(values)))) if len(values) else 0.0


def reversals(values: Floats, gap: float) -> int:
    """How often (K,) values turned back by at least ``gap`` after they had gone by as much the other way."""
    count = way = 0
    low = high = float(values[0]) if len(values) else 0.0
    for value in values.tolist():
        low, high = min(low, value), max(high, value)
        if way >= 0 and high - value >= gap:
            count, way, low, high = count + (way > 0), -1, value, value
        elif way <= 0 and value - low >= gap:
            count, way, low, high = count + (way < 0), 1, value, value
    return count
