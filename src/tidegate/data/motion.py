# SPDX-License-Identifier: Apache-2.0
"""What was recorded of a drive, in whatever units, as speed, acceleration and path curvature."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegate.data.mapping import VehicleMap
from tidegate.data.recording import Tally
from tidegate.errors import DataError
from tidegate.records import NANOSECONDS, Floats

SLOWEST = 0.2
"""Below this speed [m/s] a yaw rate tells no curvature."""
SLOPE_S = 0.25
"""A measured speed's slope is fitted over so long before and after a moment [s]."""
BEYOND = 1.02
"""Shares may leave −1 … 1 by rounding; what is further out is another unit or a fault."""
FAULTS = 0.1
"""With a larger share of values beyond their range the channel is refused: it is in another unit."""


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """(T,) each: ``speed`` [m/s], ``acceleration`` [m/s²] along the path and ``curvature`` [1/m] as the driver asked
    for them; NaN where unknown, never in ``speed``."""

    speed: Floats
    acceleration: Floats
    curvature: Floats


def motion(stamp: NDArray[np.int64], channels: Mapping[str, Floats], vehicle: VehicleMap, tally: Tally) -> Motion:
    """The motion of a stretch without a break.

    Args:
        stamp: (T,) [ns], advancing.
        channels: (T,) each, by the names of ``mapping.CHANNELS``.
        vehicle: its numbers.
        tally: hears of values that were no lesson.

    Raises:
        DataError: no channel tells of the speed or the steering, a number of the vehicle is missing, or values are of
            another unit.
    """
    time = (stamp - stamp[0]) / NANOSECONDS
    held = {name: _in_range(name, values, tally) for name, values in channels.items()}
    speed = _speed(time, held, vehicle)
    return Motion(speed, _acceleration(time, speed, held, vehicle), _curvature(speed, held, vehicle))


def _in_range(name: str, values: Floats, tally: Tally) -> Floats:
    """``values`` with NaN for what cannot be."""
    if name not in ("angle", "throttle"):
        return values
    wrong = np.abs(values) > BEYOND
    if wrong.mean() > FAULTS:
        worst = float(values[np.nanargmax(np.abs(values))])
        raise DataError(
            f"'{name}' reaches {worst:g}; it must be −1 to 1, a share of its largest: give its scale in the map file"
            + (", or name it 'steering' if it is in rad" if name == "angle" else "")
        )
    if wrong.any():
        tally.left_out[f"{name} is beyond −1 to 1: no lesson"] += int(wrong.sum())
    return np.where(wrong, np.nan, np.clip(values, -1, 1))


def _speed(time: Floats, held: Mapping[str, Floats], vehicle: VehicleMap) -> Floats:
    if "speed" in held:
        return held["speed"]
    if "throttle" in held:
        return _following(time, _full(vehicle) * _filled(held["throttle"]), _lag(vehicle))
    if "speed_command" in held:
        return _filled(held["speed_command"])
    raise DataError("nothing tells of the speed: name a channel 'speed', 'speed_command' or 'throttle' in the map file")


def _full(vehicle: VehicleMap) -> float:
    return vehicle.need("full_throttle_mps", "a throttle without a measured speed")


def _lag(vehicle: VehicleMap) -> float:
    return vehicle.need("throttle_lag_s", "a throttle")


def _following(time: Floats, asked: Floats, lag: float) -> Floats:
    """Speed that follows ``asked`` with the time constant ``lag`` [s]: τ dv/dt = v_asked − v, exact while it is held.

    A drive that was recorded in its middle begins with the first speed that is asked for.
    """
    speed = np.empty_like(asked)
    now = speed[0] = asked[0]
    for index, step in enumerate(np.diff(time)):
        now = asked[index] + (now - asked[index]) * math.exp(-step / lag)
        speed[index + 1] = now
    return speed


def _filled(values: Floats) -> Floats:
    """The last known value where one is unknown, the first one before it."""
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        raise DataError("the channel that tells of the speed has no number at all")
    newest = np.searchsorted(known, np.arange(len(values)), side="right") - 1
    return np.asarray(values[known[np.maximum(newest, 0)]])


def _acceleration(time: Floats, speed: Floats, held: Mapping[str, Floats], vehicle: VehicleMap) -> Floats:
    if "acceleration" in held:
        return held["acceleration"]
    if "force" in held:
        return held["force"] / vehicle.need("mass_kg", "a force")
    if "throttle" in held and "speed" not in held:
        return (_full(vehicle) * held["throttle"] - speed) / _lag(vehicle)
    if "speed_command" in held and "speed" in held:
        return (held["speed_command"] - speed) / vehicle.speed_horizon_s
    return slope(time, speed)


def slope(time: Floats, values: Floats) -> Floats:
    """Slope (T,) of the straight line fitted to ``values`` (T,) within ``SLOPE_S`` of each moment; NaN where that is
    less than two moments."""
    first = np.searchsorted(time, time - SLOPE_S, side="left")
    last = np.searchsorted(time, time + SLOPE_S, side="right")
    count = (last - first).astype(float)

    def over(one: Floats) -> Floats:
        total = np.concatenate([[0.0], np.cumsum(one)])
        return np.asarray(total[last] - total[first])

    moment, spread = over(time), over(time * time)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (count * over(time * values) - moment * over(values)) / (count * spread - moment * moment)
    return np.where(count >= 2, found, np.nan)


def _curvature(speed: Floats, held: Mapping[str, Floats], vehicle: VehicleMap) -> Floats:
    if "curvature" in held:
        return held["curvature"]
    if "steering" in held:
        return _bent(held["steering"], vehicle)
    if "angle" in held:
        lock = math.radians(vehicle.need("full_lock_deg", "steering as a share of full lock"))
        return _bent(lock * held["angle"], vehicle)
    if "yaw_rate" in held:
        moving = np.abs(speed) >= SLOWEST
        return np.where(moving, held["yaw_rate"] / np.where(moving, speed, 1.0), np.nan)
    raise DataError(
        "nothing tells of the steering: name a channel 'curvature', 'steering', 'angle' or 'yaw_rate' in the map file"
    )


def _bent(steering: Floats, vehicle: VehicleMap) -> Floats:
    """Curvature of the rear axle's path by the kinematic single-track model."""
    return np.asarray(np.tan(steering) / vehicle.need("wheelbase_m", "a steering angle"))
