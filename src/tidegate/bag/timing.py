# SPDX-License-Identifier: Apache-2.0
"""How evenly messages come: rate, jitter, gaps and drops, from their stamps alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tidegate.records import NANOSECONDS, seconds

ANOTHER_CLOCK = 86_400 * NANOSECONDS
"""Stamps that are further than this [ns] from the time of receipt are of another clock, such as simulated time."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The steps between the stamps of one topic; NaN where there are too few.

    Attributes:
        rate_hz: steps by the time from first to last.
        jitter_s: standard deviation [s] of the steps, each less the whole periods nearest to it: what is missing does
            not count as uneven. The period is that of the stated rate, else the median step.
        longest_s: the longest step [s], and ``longest_at`` the stamp [ns] it began at; None = none.
        gaps: steps of two periods and more (rounded).
        dropped: messages that are missing in the gaps by the stated rate; None = no rate is stated.
        backwards: steps that do not advance.
    """

    rate_hz: float
    jitter_s: float
    longest_s: float
    longest_at: int | None
    gaps: int
    dropped: int | None
    backwards: int


def measure(stamps: Sequence[int], stated_hz: float | None = None) -> Timing:
    """Measure ``stamps`` [ns] in the order of receipt, of a topic whose rate may be ``stated_hz``."""
    known = np.array(stamps, np.int64)
    steps = np.diff(known)
    forward = steps[steps > 0]
    backwards = len(steps) - len(forward)
    if not len(forward):
        missing = None if stated_hz is None else 0
        return Timing(math.nan, math.nan, math.nan, None, 0, missing, backwards)
    period = float(np.median(forward)) if stated_hz is None else NANOSECONDS / stated_hz
    whole = np.maximum(np.rint(forward / period), 1)
    longest = int(np.argmax(steps))
    span = int(known.max() - known.min())
    return Timing(
        rate_hz=len(steps) * NANOSECONDS / span,
        jitter_s=float(np.std(forward - whole * period)) / NANOSECONDS,
        longest_s=seconds(int(steps[longest])),
        longest_at=int(known[longest]),
        gaps=int((whole > 1).sum()),
        dropped=None if stated_hz is None else int((whole - 1).sum()),
        backwards=backwards,
    )


@dataclass(frozen=True, slots=True)
class Spread:
    """A time measured many times [s]."""

    count: int
    median_s: float
    p99_s: float
    largest_s: float

    @classmethod
    def of(cls, values: ArrayLike) -> Spread | None:
        """Of ``values`` [ns]; None = there are none."""
        known = np.asarray(values, np.float64) / NANOSECONDS
        if not known.size:
            return None
        return cls(known.size, float(np.median(known)), float(np.quantile(known, 0.99)), float(known.max()))
