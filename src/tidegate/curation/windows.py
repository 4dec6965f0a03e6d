# SPDX-License-Identifier: Apache-2.0
"""A drive as windows: where each lies, what it shows and asks for in few numbers, and what rules it out by itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegate.bag import Drive, labelled
from tidegate.bag.align import PAUSE_MAX_S
from tidegate.curation.look import PIXELS, blind, brightness, plain
from tidegate.curation.rules import Rules
from tidegate.records import NANOSECONDS
from tidegate.settings.perception import PerceptionSettings

CURVATURE, ACCELERATION, SPEED, LIGHT = slice(0, 2), slice(2, 4), slice(4, 6), 6
"""Columns of ``WindowTable.figures``."""


@dataclass(frozen=True, slots=True, eq=False)
class WindowTable:
    """N windows, in order of bag and time; 0.6 kB each.

    Attributes:
        bag: (N,) which one; ``frame`` (N,) its first, ``length`` (N,) how many.
        at, lasts: (N,) where it begins in its bag, and for how long [s].
        view: (N, 2 · PIXELS + 3) the first and the last picture, the speed then, and the light, in units of the rules.
        action: (N, 4) curvature and acceleration, mean of the first and of the second half, in units of the rules.
        figures: (N, 7) curvature [1/m], acceleration [m/s²] and speed [m/s], twice each, and brightness of 255;
            NaN where unknown.
        ruled_out: N times the verdict and why; empty = none so far.
    """

    bag: NDArray[np.int32]
    frame: NDArray[np.int32]
    length: NDArray[np.int32]
    at: NDArray[np.float32]
    lasts: NDArray[np.float32]
    view: NDArray[np.float32]
    action: NDArray[np.float32]
    figures: NDArray[np.float32]
    ruled_out: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.frame)

    def usable(self) -> NDArray[np.int64]:
        """Indices of the windows that nothing rules out so far."""
        return np.array([index for index, why in enumerate(self.ruled_out) if not why], np.int64)


def windows_of(drive: Drive, bag: int, rules: Rules, shape: PerceptionSettings, mass_kg: float) -> WindowTable:
    """Tile a drive of ``look`` with windows that do not overlap; the frames at its end, or before a pause, that make no
    whole one are a shorter one, which is ruled out.

    Args:
        drive: with pictures as ``Glance`` makes them.
        bag: its number.
        rules, shape: what rules a window out.
        mass_kg: turns the labels' force into acceleration.
    """
    places = list(tile(drive.stamp, rules.window))
    first = np.array([place[0] for place in places])
    last = np.array([place[0] + place[1] - 1 for place in places])
    period = float(np.median(np.diff(drive.stamp))) / NANOSECONDS
    light = brightness(drive)
    acceleration = drive.force / mass_kg
    figures = np.array(
        [
            [
                *_halves(drive.curvature[one : end + 1]),
                *_halves(acceleration[one : end + 1]),
                drive.speed[one],
                drive.speed[end],
                light[one : end + 1].mean(),
            ]
            for one, end in zip(first, last, strict=True)
        ],
        np.float32,
    )
    known = np.nan_to_num(figures)
    pictures = np.concatenate([plain(drive.images[at, :PIXELS]) for at in (first, last)], axis=1)
    view = [
        pictures / (rules.picture_unit * math.sqrt(2 * PIXELS)),
        known[:, SPEED] / (rules.speed_unit * math.sqrt(2)),
        known[:, LIGHT, None] / rules.light_unit,
    ]
    action = [
        known[:, CURVATURE] / (rules.curvature_unit * math.sqrt(2)),
        known[:, ACCELERATION] / (rules.acceleration_unit * math.sqrt(2)),
    ]
    return WindowTable(
        bag=np.full(len(places), bag, np.int32),
        frame=first.astype(np.int32),
        length=(last - first + 1).astype(np.int32),
        at=((drive.stamp[first] - drive.stamp[0]) / NANOSECONDS).astype(np.float32),
        lasts=((drive.stamp[last] - drive.stamp[first]) / NANOSECONDS + period).astype(np.float32),
        view=np.concatenate(view, axis=1, dtype=np.float32),
        action=np.concatenate(action, axis=1, dtype=np.float32),
        figures=figures,
        ruled_out=tuple(_ruled_out(drive, places, rules, shape)),
    )


def tile(stamp: NDArray[np.int64], window: int) -> Iterator[tuple[int, int, str]]:
    """First frame, length, and for those that are shorter than ``window`` why; every frame is in exactly one."""
    breaks = np.flatnonzero(np.diff(stamp) > PAUSE_MAX_S * NANOSECONDS) + 1
    for run in np.split(np.arange(len(stamp)), breaks):
        for first in range(int(run[0]), int(run[-1]) + 1, window):
            length = min(window, int(run[-1]) + 1 - first)
            short = "" if length == window else "short" if run[-1] == len(stamp) - 1 else "gapped"
            yield first, length, short


def joined(tables: Sequence[WindowTable]) -> WindowTable:
    """All windows of several bags."""
    arrays = ("bag", "frame", "length", "at", "lasts", "view", "action", "figures")
    values = {name: np.concatenate([getattr(one, name) for one in tables]) for name in arrays}
    return WindowTable(**values, ruled_out=tuple(why for one in tables for why in one.ruled_out))


def _ruled_out(
    drive: Drive, places: Sequence[tuple[int, int, str]], rules: Rules, shape: PerceptionSettings
) -> Iterator[str]:
    nothing, known = blind(drive, shape), labelled(drive)
    for first, length, short in places:
        inside = slice(first, first + length)
        unseen, unlabelled = int(nothing[inside].sum()), length - int(known[inside].sum())
        fastest = float(np.abs(np.nan_to_num(drive.speed[inside])).max())
        if short:
            where = "before the bag ends" if short == "short" else f"before a pause above {PAUSE_MAX_S:g} s"
            yield f"{short}: {length} frames {where}"
        elif unseen >= rules.broken_share * length:
            yield f"camera: {unseen} of {length} frames are black, without contrast or frozen"
        elif unlabelled:
            yield f"unlabelled: {unlabelled} of {length} frames tell no command or no lane"
        elif fastest <= rules.stationary:
            yield f"stationary: never faster than {fastest:.2f} m/s"
        else:
            yield ""


def _halves(values: NDArray[np.float64]) -> tuple[float, float]:
    """Means of the first and the second half, of what is known; NaN = nothing is."""
    middle = (len(values) + 1) // 2
    parts = (part[np.isfinite(part)] for part in (values[:middle], values[middle:]))
    one, other = (float(part.mean()) if len(part) else math.nan for part in parts)
    return one, other
