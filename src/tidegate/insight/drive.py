# SPDX-License-Identifier: Apache-2.0
"""One recorded drive as arrays: what charts, video and report are made from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tidegate.records import Floats

JOIN = 0.15
"""Stretches of intervention closer together than this [s] are told as one."""


@dataclass(frozen=True, slots=True)
class Barrier:
    """One barrier over the ticks (K,): value ``h``, row ``margin`` after the solve, ``multiplier``; NaN = not there."""

    h: Floats
    margin: Floats
    multiplier: Floats


@dataclass(frozen=True, slots=True)
class Motion:
    """Where the car went: ``time`` (M,) [s], ``position`` (M, 2) [m], ``yaw`` (M,) [rad], ``speed`` (M,) [m/s]."""

    time: Floats
    position: Floats
    yaw: Floats
    speed: Floats


@dataclass(frozen=True, slots=True)
class Lane:
    """What the camera said of the lane (F,): ``time`` [s], ``offset`` [m], ``heading`` [rad], ``curvature`` [1/m]."""

    time: Floats
    offset: Floats
    heading: Floats
    curvature: Floats
    bound: Floats


@dataclass(frozen=True, slots=True)
class Truth:
    """What only the simulator knows (K,): ``time`` [s], ``position`` (K, 2), ``lane_error``, ``gap`` [m], ``speed``.

    ``road`` (R, 2) is the centre line of the road [m].
    """

    time: Floats
    position: Floats
    lane_error: Floats
    speed: Floats
    gap: Floats
    road: Floats


@dataclass(frozen=True, slots=True)
class Drive:
    """One drive; times are seconds since the first tick.

    ``wanted`` and ``allowed`` (K, 2) are (force [N], curvature [1/m]) before and after the filter, ``row`` (K,) the
    name of the barrier that changed the command ('' = none), ``latency`` (L,) [ms] from camera stamp to command,
    ``images`` (F, H, W, 3) RGB at ``image_time`` (F,), ``neurons`` (T, N) at ``neuron_time`` (T,).
    """

    name: str
    time: Floats
    mode: NDArray[np.int64]
    wanted: Floats
    allowed: Floats
    row: NDArray[np.str_]
    barriers: dict[str, Barrier]
    motion: Motion
    lane: Lane
    latency: Floats
    image_time: Floats
    images: NDArray[np.uint8]
    neuron_time: Floats
    neurons: NDArray[np.float32]
    truth: Truth | None = None
    facts: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Intervention:
    """A stretch in which one row changed the command: by how much at most, and the smallest ``h`` in it."""

    row: str
    start: float
    end: float
    force: float
    curvature: float
    least_h: float


def stretches(flags: NDArray[np.bool_], time: Floats, join: float = JOIN) -> list[tuple[float, float]]:
    """Times at which a condition began and ended, neighbours closer than ``join`` [s] told as one."""
    return [(float(time[first]), float(time[last])) for first, last in _runs(flags, time, join)]


def interventions(drive: Drive) -> list[Intervention]:
    """Every stretch of every row, in the order of time."""
    found = []
    change = np.abs(drive.allowed - drive.wanted)
    for name in sorted(set(drive.row.tolist()) - {""}):
        flags = drive.row == name
        for first, last in _runs(flags, drive.time, JOIN):
            here = slice(first, last + 1)
            h = drive.barriers[name].h[here] if name in drive.barriers else np.full(1, np.nan)
            least = float(np.nanmin(h)) if np.isfinite(h).any() else float("nan")
            force, curvature = np.nanmax(change[here], axis=0, initial=0.0)
            found.append(
                Intervention(
                    name, float(drive.time[first]), float(drive.time[last]), float(force), float(curvature), least
                )
            )
    return sorted(found, key=lambda one: one.start)


def _runs(flags: NDArray[np.bool_], time: Floats, join: float) -> list[tuple[int, int]]:
    index = np.flatnonzero(flags)
    if not len(index):
        return []
    cuts = np.flatnonzero((np.diff(index) > 1) & (np.diff(time[index]) > join))
    firsts, lasts = np.append(0, cuts + 1), np.append(cuts, len(index) - 1)
    return [(int(index[first]), int(index[last])) for first, last in zip(firsts, lasts, strict=True)]
