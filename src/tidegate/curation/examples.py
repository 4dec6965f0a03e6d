# SPDX-License-Identifier: Apache-2.0
"""Which windows to show somebody who wants to know what is in their data: typical ones, and odd ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegate.curation.distance import blocks, squared
from tidegate.curation.plan import verdict_of
from tidegate.curation.select import joint
from tidegate.curation.windows import WindowTable

SHOWN = 6
"""Kinds of driving, and windows that are like no other, that are shown."""


@dataclass(frozen=True, slots=True)
class Example:
    """A window to show: its index in the table, the bag's name, when [s], and why it is shown."""

    index: int
    bag: str
    at_s: float
    why: str


def typical(
    table: WindowTable, usable: NDArray[np.int64], kinds: Mapping[str, NDArray[np.int64]], names: Sequence[str]
) -> tuple[Example, ...]:
    """Of each of the most frequent kinds of driving the window that is nearest to their mean."""
    found = []
    for kind, places in sorted(kinds.items(), key=lambda item: (-len(item[1]), item[0]))[:SHOWN]:
        points = joint(table, usable[places])
        index = int(usable[places[int(squared(points, points.mean(axis=0, keepdims=True))[:, 0].argmin())]])
        found.append(_example(table, index, names, f"{kind}: {len(places)} of {len(usable)} usable windows"))
    return tuple(found)


def odd(
    table: WindowTable, usable: NDArray[np.int64], verdicts: Sequence[str], names: Sequence[str]
) -> tuple[Example, ...]:
    """Windows that are like no other, and the first of each sort that something is wrong with."""
    points = joint(table, usable)
    alone = np.zeros(len(usable), np.float32)
    for rows in blocks(len(usable), len(usable)):
        apart = squared(points[rows], points)
        apart[np.arange(rows.stop - rows.start), np.arange(rows.start, rows.stop)] = np.inf
        alone[rows] = np.sqrt(apart.min(axis=1))
    farthest = [at for at in np.argsort(-alone, kind="stable") if math.isfinite(alone[at])][:SHOWN]
    found = [
        _example(table, int(usable[at]), names, f"like no other: the nearest is {alone[at]:.1f} apart")
        for at in farthest
    ]
    for verdict in ("inconsistent", "camera", "stationary", "duplicate"):
        first = next((index for index, why in enumerate(verdicts) if verdict_of(why) == verdict), None)
        if first is not None:
            found.append(_example(table, first, names, verdicts[first]))
    return tuple(found)


def _example(table: WindowTable, index: int, names: Sequence[str], why: str) -> Example:
    return Example(index, names[table.bag[index]], round(float(table.at[index]), 3), why)
