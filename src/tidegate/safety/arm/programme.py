# SPDX-License-Identifier: Apache-2.0
"""The rows of all barriers of the arm as one programme, in which equal rows stand once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import compress
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidegate.records import Floats
from tidegate.safety.arm.barrier import ArmRows

NOTHING = 1e-12
"""A row of a smaller norm is none."""


class Layout(NamedTuple):
    """Where m rows of barriers stand among u distinct ones.

    ``owner`` (m,): whose a row is; ``starts``: the first row of each barrier that has any, and ``present`` its index;
    ``barriers``: how many there are. ``place`` (m,): which distinct row a row is; ``order`` (m,): rows by place, in
    which the ones of each place begin at ``firsts`` (u,).
    """

    owner: NDArray[np.intp]
    starts: NDArray[np.intp]
    present: list[int]
    barriers: int
    place: NDArray[np.intp]
    order: NDArray[np.intp]
    firsts: NDArray[np.intp]

    def spread(self, values: list[float], absent: float) -> list[float]:
        """By barrier: ``values`` of those that have rows, ``absent`` of the others."""
        spread = [absent] * self.barriers
        for index, value in zip(self.present, values, strict=True):
            spread[index] = value
        return spread


@lru_cache(maxsize=256)
def layout(counts: tuple[int, ...], same: tuple[int, ...]) -> Layout:
    """Of so many rows by barrier, whose matrix is that of the barrier ``same``, itself or one before it."""
    count = len(counts)
    present = list(compress(range(count), counts))
    begins = np.cumsum((0, *(rows if same[index] == index else 0 for index, rows in enumerate(counts))))
    places = [np.arange(rows) + begins[same[index]] for index, rows in enumerate(counts)]
    place = np.concatenate((np.empty(0, np.intp), *places))
    order = np.argsort(place, kind="stable")
    return Layout(
        np.repeat(np.arange(count), counts),
        np.cumsum((0, *counts))[present],
        present,
        count,
        place,
        order,
        np.flatnonzero(np.diff(place[order], prepend=-1)),
    )


class Programme(NamedTuple):
    """All barriers' rows in units of deviation (torque over effort limit) and of unit norm.

    Row i is ``distinct``[``layout.place``[i]] (u, N) z ≥ ``lower``[i] (m,); ``tight`` (u,) is the highest bound of each
    distinct row, all that a solver needs. ``values``: h by barrier.
    """

    distinct: Floats
    tight: Floats
    lower: Floats
    values: tuple[float, ...]
    layout: Layout

    @property
    def matrix(self) -> Floats:
        """(m, N): every barrier's rows."""
        return self.distinct[self.layout.place]

    def margins(self, torque: Floats) -> list[float]:
        """Of ``torque`` (N,) in units of deviation: the least of each barrier that has rows; a NaN is told as one."""
        if not len(self.lower):
            return []
        left = self.distinct.dot(torque).take(self.layout.place) - self.lower
        margins: list[float] = np.minimum.reduceat(left, self.layout.starts).tolist()
        return margins

    def pushes(self, multipliers: Floats) -> list[float]:
        """The most of each barrier that has rows, of ``multipliers`` (m,)."""
        pushes: list[float] = np.maximum.reduceat(multipliers, self.layout.starts).tolist()
        return pushes

    def shared(self, multipliers: Floats) -> Floats:
        """(m,), from those of the distinct rows (u,): of equal rows the ones with the highest bound push."""
        place = self.layout.place
        return np.where(self.lower >= self.tight.take(place), multipliers.take(place), 0.0)

    def cutting(self, low: Floats, high: Floats) -> NDArray[np.intp]:
        """(k,), the rows that not all of the window keeps. A NaN cuts."""
        least = self.distinct.dot(low) + np.minimum(self.distinct, 0.0).dot(high - low)
        return np.flatnonzero(~(least.take(self.layout.place) >= self.lower))


def programme(told: Sequence[ArmRows], scale: Floats) -> Programme:
    """Of what each barrier ``told``, with ``scale`` (N,) [N·m] as the unit of torque.

    Barriers that bound the same accelerations give one and the same matrix, which goes in once.
    """
    first: dict[int, int] = {}
    same = tuple([first.setdefault(id(rows.matrix), index) for index, rows in enumerate(told)])
    where = layout(tuple([len(rows.lower) for rows in told]), same)
    distinct = np.concatenate([told[index].matrix for index in first.values()]) * scale
    norm = np.sqrt((distinct * distinct).dot(np.ones(len(scale))))  # quicker than einsum and linalg.norm
    if min(norm.tolist(), default=1.0) < NOTHING:
        norm[norm < NOTHING] = 1.0  # 0 ≥ lower: nothing to have, or nothing that torques can do
    distinct /= norm[:, None]
    lower = np.concatenate([rows.lower for rows in told]) / norm.take(where.place)
    tight = np.maximum.reduceat(lower.take(where.order), where.firsts) if len(lower) else lower
    return Programme(distinct, tight, lower, tuple([rows.h for rows in told]), where)
