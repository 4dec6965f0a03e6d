# SPDX-License-Identifier: Apache-2.0
"""Which rows keep a limit: the one that acted, or it together with those that act in its place.

A drive is carried on without the row. Where its limit is kept all the same, the row that then pushes for longest is
left out too, until the limit is broken or no row pushes. Such a row is an actual cause in the sense of Halpern and
Pearl, "Causes and explanations: a structural-model approach", 2005, if by itself it keeps the limit once the others of
the set are gone; one over the size of the set is its responsibility (Chockler and Halpern, 2004).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tidegate.insight.limits import After, Limit
from tidegate.records import Floats, Tick
from tidegate.safety.qp import PUSHES

SHORT_S, HORIZON_S = 5.0, 10.0
"""For so long after the beginning of an intervention its limit is watched; verdicts are told for both."""
LATER_S = 3.0
"""A set breaks the limit at most so much later than leaving out all rows does; what comes later is another matter."""
LONGER_S = 1.0
"""A row by itself keeps a limit that is kept for so much longer with it than without any of its set."""
WORSE = 1.5
"""Without the row a limit that is exceeded with it as well must be exceeded so many times as far to count as worse."""
CAUSED, WORSE_OFF, BACKED, NOT_NEEDED, NO_HELP = VERDICTS = (
    "broken without the row alone",
    "broken with it, further without",
    "kept by other rows",
    "kept without any row",
    "broken with it as far",
)


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """What became of a limit while a drive was carried on.

    ``exceeded`` (K,): by how much after each tick, in the limit's own unit, at most 0 = kept; ``period`` [s] of a tick;
    ``acted``: the rows that pushed, and by tick (K,) whether each did; ``broken``: all rows whose limits were exceeded.
    """

    exceeded: Floats
    period: float
    acted: Mapping[str, NDArray[np.bool_]]
    broken: frozenset[str]

    def most(self, horizon_s: float) -> float:
        """By how much the limit was exceeded at most within ``horizon_s`` [s]."""
        return float(self.exceeded[: self._ticks(horizon_s)].max(initial=-math.inf))

    def lasted(self, horizon_s: float) -> dict[str, float]:
        """For how long each row pushed within ``horizon_s`` [s]; those that did not are left out."""
        ticks = {name: int(pushed[: self._ticks(horizon_s)].sum()) for name, pushed in self.acted.items()}
        return {name: count * self.period for name, count in ticks.items() if count}

    def _ticks(self, horizon_s: float) -> int:
        return round(horizon_s / self.period)

    @property
    def after_s(self) -> float | None:
        """When the limit was first exceeded [s]; None = it was not."""
        over = self.exceeded > 0
        return (int(over.argmax()) + 1) * self.period if over.any() else None


class Watcher:
    """Watches the limit of ``row`` tick by tick.

    Attributes:
        over: whether it has been exceeded.
    """

    def __init__(self, row: str, limits: Mapping[str, Limit], period: float) -> None:
        self._row, self._limits, self._period = row, limits, period
        self._exceeded: list[float] = []
        self._pushing: list[list[str]] = []
        self._broken: set[str] = set()
        self.over = False

    def see(self, tick: Tick, after: After) -> None:
        """Take in a tick and what it led to."""
        exceeded = {name: limit(after) for name, limit in self._limits.items()}
        self._exceeded.append(exceeded[self._row])
        self._broken |= {name for name, value in exceeded.items() if value > 0}
        self.over = self.over or exceeded[self._row] > 0
        self._pushing.append(pushing(tick))

    def seen(self) -> Watched:
        """All of it."""
        names = sorted({name for tick in self._pushing for name in tick})
        acted = {name: np.array([name in tick for tick in self._pushing]) for name in names}
        return Watched(np.array(self._exceeded), self._period, acted, frozenset(self._broken))


def pushing(tick: Tick) -> list[str]:
    """Names of all rows that changed the command of a tick, not only of the one with the largest multiplier."""
    return [one.name for one in tick.barriers if one.multiplier > PUSHES]


class Drive(Protocol):
    """Carries a drive on without ``names``, for ``until_s`` [s] at most, or until its limit is exceeded (``first``)."""

    def __call__(self, names: frozenset[str], *, until_s: float, first: bool) -> Watched: ...


@dataclass(frozen=True, slots=True)
class Finding:
    """Which rows kept a limit.

    ``verdict`` within ``HORIZON_S`` and ``short`` within ``SHORT_S``: of ``VERDICTS``. ``after_s`` [s] until the limit
    was broken without the row, None = it was not; ``others``: the rows that pushed then, the longest first; ``also``:
    rows whose limits were broken without it and not with it. ``together``: where other rows keep it, a set, the row
    first, without which it is broken ``together_s`` after; with any of the others put back it is not. ``by_itself``:
    whether the row is what keeps it once the others of the set are gone, for ``LONGER_S`` more.
    """

    verdict: str
    short: str
    after_s: float | None
    others: tuple[str, ...]
    also: tuple[str, ...]
    together: tuple[str, ...] = ()
    together_s: float | None = None
    by_itself: bool | None = None


def explained(found: Finding) -> bool:
    """Whether a limit is broken without the row alone, or without a set of rows that was found."""
    return found.verdict == CAUSED or found.together_s is not None


def judged(row: str, every: frozenset[str], kept: Watched, drive: Drive) -> Finding:
    """Leave out ``row``, then what keeps its limit in its place.

    Args:
        row: that acted.
        every: names of all rows.
        kept: the drive with all of them.
        drive: carries on from the row's first tick.
    """
    first = kept.most(HORIZON_S) <= 0
    alone = drive(frozenset([row]), until_s=HORIZON_S, first=first)

    @cache
    def bare() -> Watched:
        return drive(every, until_s=HORIZON_S, first=True)

    def within(span: float) -> str:
        return verdict_of(kept.most(span), alone.most(span), lambda: bare().most(span))

    short, verdict = within(SHORT_S), within(HORIZON_S)
    lasted = alone.lasted(HORIZON_S)
    others = tuple(sorted(lasted, key=lambda name: -lasted[name]))
    also = tuple(sorted(alone.broken - kept.broken - {row}))
    found = Finding(verdict, short, alone.after_s, others, also)
    if verdict != BACKED:
        return found
    latest = bare().after_s
    assert latest is not None
    together, after_s = smallest(row, alone, drive, min(latest + LATER_S, HORIZON_S))
    if after_s is None:
        return found
    rest = drive(frozenset(together[1:]), until_s=after_s + LONGER_S, first=True)
    return Finding(verdict, short, None, others, also, together, after_s, rest.after_s is None)


def verdict_of(kept: float, without: float, bare: Callable[[], float]) -> str:
    """What is said of a limit that was exceeded by ``kept`` with the row and by ``without`` without it; ``bare`` tells
    by how much without any row, where that is the question."""
    if kept > 0:
        return WORSE_OFF if without > WORSE * kept else NO_HELP
    if without > 0:
        return CAUSED
    return BACKED if bare() > 0 else NOT_NEEDED


def smallest(row: str, alone: Watched, drive: Drive, until_s: float) -> tuple[tuple[str, ...], float | None]:
    """Rows without which the limit is broken, ``row`` first, and after what time [s]; None = no row pushes any more and
    it still is not. None of the others can be put back: with it the limit is kept.

    Args:
        row: that acted.
        alone: what came of leaving it out: its limit was kept.
        drive: carries on from its first tick.
        until_s: within what time [s] the limit is to be broken.
    """

    @cache
    def without(names: frozenset[str]) -> Watched:
        return drive(names, until_s=until_s, first=True)

    named, course = [row], alone
    while course.after_s is None:
        left = {name: lasted for name, lasted in course.lasted(until_s).items() if name not in named}
        if not left:
            return (row,), None
        named.append(max(left, key=lambda name: left[name]))
        course = without(frozenset(named))
    for other in named[1:]:
        fewer = frozenset(named) - {other}
        if len(fewer) > 1 and without(fewer).after_s is not None:
            named.remove(other)
    return tuple(named), without(frozenset(named)).after_s
