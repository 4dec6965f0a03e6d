# SPDX-License-Identifier: Apache-2.0
"""Time series or not: cut where the clock jumps or the camera paused, and refuse what teaches nothing about time."""

from __future__ import annotations

from collections import Counter

import cv2
import numpy as np
from numpy.typing import NDArray

from tidegate.data.recording import Recording
from tidegate.errors import DataError, ImageError
from tidegate.messages.compressed import decompress
from tidegate.records import NANOSECONDS, Floats, nanoseconds

PAUSE = nanoseconds(0.5)
"""Training cuts a drive where its camera paused for longer [ns]; here a bag ends."""
SHORTEST_S = 1.0
"""Pieces that are shorter are left out [s]."""
FASTEST_HZ = 130.0
"""Stamps that tell of more frames per second were given by a conversion, not by a camera."""
BACKWARDS = 0.05
"""With a larger share of steps that do not advance there is no clock."""
SMALL = (16, 12)
"""Width and height [px] of the grey pictures that are compared."""
COMPARED = 200
"""Frames in a row that are compared with each other; fewer than ``ENOUGH`` tell too little."""
ENOUGH = 32
SHUFFLES = 199
"""Random orders that the true one must be smoother than, each."""
MOVES_MPS = 0.05
"""A vehicle that is never faster [m/s] stands."""


class StaticError(DataError):
    """A stretch is no time series; others of the same source may be."""


def look(recording: Recording) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Small grey pictures (T, h, w), and (T,) which can be used; the others are counted by reason."""
    shown = np.zeros((len(recording.stamp), *SMALL[::-1]), np.uint8)
    sizes: list[tuple[int, ...] | None] = []
    for index, picture in enumerate(recording.pictures()):
        try:
            image = decompress(picture) if isinstance(picture, bytes) else picture
        except ImageError:
            image = "picture is corrupt"
        if isinstance(image, str):
            recording.tally.left_out[image] += 1
            sizes.append(None)
            continue
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        shown[index] = cv2.resize(grey, SMALL, interpolation=cv2.INTER_AREA)
        sizes.append(image.shape)
    usual = Counter(size for size in sizes if size).most_common(1)
    usable = np.zeros(len(shown), bool)
    usable[: len(sizes)] = [size is not None and size == usual[0][0] for size in sizes]
    if others := len(sizes) - sizes.count(None) - int(usable.sum()):
        recording.tally.left_out["picture is of another size"] += others
    return shown, usable


def pieces(
    recording: Recording, usable: NDArray[np.bool_], rate_hz: float, longest_s: float
) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
    """Stamps (T,) [ns] and the frames of each piece that is one time series, in order.

    Args:
        recording: with the stamps as recorded.
        usable: (T,) frames that may be taken.
        rate_hz: frames are so far apart; 0 = the stamps count.
        longest_s: a piece is no longer [s].

    Raises:
        StaticError: one frame, or the stamps are no clock.
    """
    stamp, tally = recording.stamp, recording.tally
    if len(stamp) < 2:
        raise StaticError(f"is no time series: it has {len(stamp)} frame(s), at least two are needed")
    if rate_hz:
        stamp = stamp[:1] + np.rint((recording.number - recording.number[0]) * (NANOSECONDS / rate_hz)).astype(np.int64)
    else:
        _check_clock(recording)
    left = np.flatnonzero(usable)
    repeated = np.flatnonzero(np.diff(stamp[left]) == 0) + 1
    if len(repeated):
        tally.left_out["stamp is that of the frame before"] += len(repeated)
        left = np.delete(left, repeated)
    steps = np.diff(stamp[left])
    for index in np.flatnonzero(steps < 0)[:3]:
        tally.note(f"{recording.name}: the clock jumps back by {-steps[index] / NANOSECONDS:.3f} s; cut there")
    runs = np.split(left, np.flatnonzero((steps < 0) | (steps > PAUSE)) + 1)
    kept = []
    for run in runs:
        since = stamp[run] - stamp[run[:1]]
        parts = np.split(run, np.flatnonzero(np.diff(since // nanoseconds(longest_s))) + 1)
        for part in parts:
            if len(part) < 2 or stamp[part[-1]] - stamp[part[0]] < nanoseconds(SHORTEST_S):
                tally.left_out[f"between breaks that are less than {SHORTEST_S:g} s apart"] += len(part)
            else:
                kept.append(part)
    return stamp, kept


def _check_clock(recording: Recording) -> None:
    """Refuse stamps that no clock gave.

    Raises:
        StaticError: they do not advance, or advance faster than any camera delivers.
    """
    steps = np.diff(recording.stamp)
    by_number = "if the frames were taken at a constant rate, say so with rate_hz in the map file, or --rate"
    stuck = int((steps <= 0).sum())
    if stuck > max(1, BACKWARDS * len(steps)):
        raise StaticError(
            f"is no time series: {stuck} of {len(steps)} stamps do not advance on the one before; {by_number}"
        )
    rate = NANOSECONDS / float(np.median(steps))
    if rate > FASTEST_HZ:
        raise StaticError(f"its stamps tell of {rate:.0f} frames per second, as a conversion leaves them; {by_number}")


def check_moves(shown: NDArray[np.uint8], speed: Floats) -> None:
    """Refuse a piece that is static.

    Args:
        shown: (T, h, w) small pictures in order.
        speed: (T,) [m/s].

    Raises:
        StaticError: stills, a vehicle that stands, or frames in no order.
    """
    if (shown == shown[0]).all():
        raise StaticError(f"is no time series: all {len(shown)} pictures are the same still")
    if np.abs(speed).max() < MOVES_MPS:
        raise StaticError(f"is no drive: the vehicle stands, its speed is never above {MOVES_MPS:g} m/s")
    if not in_order(shown):
        raise StaticError(
            "is no time series: pictures that follow each other are no more alike than any two; they are shuffled, or "
            "the camera looks at nothing that moves"
        )


def in_order(shown: NDArray[np.uint8]) -> bool:
    """Whether the sum of the differences between successive pictures is below that of every one of ``SHUFFLES`` random
    orders (a permutation test, p = 1 / (1 + ``SHUFFLES``)); True where there are fewer than ``ENOUGH``."""
    middle = max(0, (len(shown) - COMPARED) // 2)
    flat = shown[middle : middle + COMPARED].reshape(-1, SMALL[0] * SMALL[1]).astype(np.float32)
    if len(flat) < ENOUGH:
        return True
    apart = np.stack([np.abs(flat - one).mean(axis=1) for one in flat])
    random = np.random.default_rng(0)
    orders = [random.permutation(len(flat)) for _ in range(SHUFFLES)]
    least = min(float(apart[order[:-1], order[1:]].sum()) for order in orders)
    return float(np.diagonal(apart, 1).sum()) < least
