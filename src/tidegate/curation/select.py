# SPDX-License-Identifier: Apache-2.0
"""Which of many windows to keep: no contradictions, no duplicates, a balance of turns, light and speed, a budget."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tidegate.curation.distance import blocks, nearest, squared
from tidegate.curation.rules import Rules
from tidegate.curation.windows import CURVATURE, LIGHT, SPEED, WindowTable


def select(table: WindowTable, budget_s: float, rules: Rules, bags: Sequence[str]) -> list[str]:
    """The verdict on each window and why, such as ``duplicate: of road-3@1.6s, 0.42 apart``; ``bags`` are their names.

    Verdicts: those of ``windows_of``, ``inconsistent``, ``duplicate``, ``budget`` and ``kept``. What is kept lasts no
    longer than ``budget_s``.
    """
    verdicts = list(table.ruled_out)
    left = table.usable()
    for found in (
        inconsistent(table, left, rules, bags),
        duplicates(table, left, rules, bags),
    ):
        for index, why in found.items():
            verdicts[index] = verdicts[index] or why
        left = np.array([index for index in left if not verdicts[index]], np.int64)
    for index, why in spread(table, left, budget_s, rules, bags).items():
        verdicts[index] = why
    return verdicts


def inconsistent(table: WindowTable, among: NDArray[np.int64], rules: Rules, bags: Sequence[str]) -> dict[int, str]:
    """Windows whose action contradicts that of most others with the same view, by index.

    Where two alone contradict each other nobody knows which one is wrong, and neither is kept.
    """
    found = {}
    view, action = table.view[among], table.action[among]
    for rows in blocks(len(among), len(among)):
        same = squared(view[rows], view) <= rules.duplicate**2
        apart = squared(action[rows], action) * same
        for row in np.flatnonzero(apart.max(axis=1, initial=0) > rules.contrary**2):
            one = rows.start + row
            usual = np.median(action[same[row]], axis=0)
            if math.dist(action[one], usual) > rules.contrary / 2:
                index, other = among[one], among[int(apart[row].argmax())]
                found[int(index)] = (
                    f"inconsistent: same view as {_name(table, bags, other)}, {_asked(table, int(index))} against "
                    f"{_asked(table, int(other))}"
                )
    return found


def duplicates(table: WindowTable, among: NDArray[np.int64], rules: Rules, bags: Sequence[str]) -> dict[int, str]:
    """Windows that show and ask for nearly the same as one before them that is no duplicate itself, by index."""
    found: dict[int, str] = {}
    points = joint(table, among)
    kept: list[int] = []
    for rows in blocks(len(among), len(among)):
        inside = squared(points[rows], points[rows])
        before = nearest(points[rows], points[kept]) if kept else None
        fresh: list[int] = []
        for row in range(rows.stop - rows.start):
            at, near = (kept[before[0][row]], float(before[1][row])) if before else (-1, math.inf)
            if fresh:
                closest = fresh[int(inside[row, fresh].argmin())]
                if (apart := math.sqrt(inside[row, closest])) < near:
                    at, near = rows.start + closest, apart
            if near <= rules.duplicate:
                found[int(among[rows.start + row])] = f"duplicate: of {_name(table, bags, among[at])}, {near:.1f} apart"
            else:
                fresh.append(row)
        kept += [rows.start + row for row in fresh]
    return found


def spread(
    table: WindowTable, among: NDArray[np.int64], budget_s: float, rules: Rules, bags: Sequence[str]
) -> dict[int, str]:
    """Fill the budget: greedy k-centre (Gonzalez 1985; Sener & Savarese 2018, algorithm 1) within each stratum of
    turn, light and speed, the strata taking turns so that each gets a share by the root of its length: half way
    between how often it was driven and all the same."""
    if not len(among):
        return {}
    points, lasts = joint(table, among), table.lasts[among].astype(np.float64)
    strata = [_Centres(points, members) for members in strata_of(table, among, rules).values()]
    weights = [math.sqrt(lasts[one.members].sum()) for one in strata]
    taken = np.zeros(len(strata))
    verdicts: dict[int, str] = {}
    chosen: list[int] = []
    left = budget_s
    while open_ := [number for number, one in enumerate(strata) if one.left]:
        number = min(open_, key=lambda each: taken[each] / weights[each])
        at, apart = strata[number].peek()
        if lasts[at] > left:
            break
        strata[number].take()
        chosen.append(at)
        left -= lasts[at]
        taken[number] += lasts[at]
        far = "the first of its kind" if math.isinf(apart) else f"{apart:.1f} from what of its kind was kept before it"
        verdicts[int(among[at])] = f"kept: {far}"
    over = np.setdiff1d(np.arange(len(among)), chosen)
    if not chosen:
        return {int(among[at]): "budget: it is shorter than one window" for at in over}
    closest, apart_from = nearest(points[over], points[chosen])
    for at, near, distance in zip(over, closest, apart_from, strict=True):
        verdicts[int(among[at])] = (
            f"budget: {distance:.1f} from {_name(table, bags, among[chosen[near]])}, which is kept"
        )
    return verdicts


class _Centres:
    """Greedy k-centre among ``members``, rows of ``points``: first the one nearest to their mean, then always the one
    that is farthest from those taken."""

    def __init__(self, points: NDArray[np.float32], members: NDArray[np.int64]) -> None:
        self.members, self.left = members, len(members)
        self._points = points[members]
        self._apart = np.full(len(members), np.inf, np.float32)
        mean = self._points.mean(axis=0, keepdims=True)
        self._next = int(squared(self._points, mean)[:, 0].argmin())

    def peek(self) -> tuple[int, float]:
        """The next one, a row of ``points``, and its distance from those taken; infinite = there are none."""
        return int(self.members[self._next]), math.sqrt(float(self._apart[self._next]))

    def take(self) -> None:
        """Take it."""
        apart = squared(self._points, self._points[self._next : self._next + 1])[:, 0]
        self._apart = np.minimum(self._apart, apart)
        self._apart[self._next] = -1  # never again
        self._next, self.left = int(self._apart.argmax()), self.left - 1


def joint(table: WindowTable, among: NDArray[np.int64]) -> NDArray[np.float32]:
    """What windows show and what is asked for (N, D), in the units of the rules."""
    return np.concatenate([table.view[among], table.action[among]], axis=1)


def strata_of(table: WindowTable, among: NDArray[np.int64], rules: Rules) -> dict[str, NDArray[np.int64]]:
    """Places in ``among`` by turn, light and speed, such as ``left, bright, slow``; thirds of light and speed are of
    the range between their 5th and 95th percentile here, at least three units wide."""
    figures = table.figures[among]
    curvature, speed = figures[:, CURVATURE].mean(axis=1), figures[:, SPEED].mean(axis=1)
    turn = np.digitize(curvature, (-rules.turn, rules.turn))
    light = _thirds(figures[:, LIGHT], 3 * rules.light_unit)
    fast = _thirds(speed, 3 * rules.speed_unit)
    words = ("right", "straight", "left"), ("dark", "middling", "bright"), ("slow", "medium", "fast")
    found = {}
    for code in range(27):
        one, two, three = code // 9, code // 3 % 3, code % 3
        inside = np.flatnonzero((turn == one) & (light == two) & (fast == three))
        if len(inside):
            found[f"{words[0][one]}, {words[1][two]}, {words[2][three]}"] = inside
    return found


def _thirds(values: NDArray[np.float32], least: float) -> NDArray[np.int64]:
    """Which third (0, 1, 2) of their range each is in; all in the middle where the range is below ``least``."""
    low, high = np.quantile(values, (0.05, 0.95))
    if high - low < least:
        return np.ones(len(values), np.int64)
    return np.asarray(np.digitize(values, (low + (high - low) / 3, high - (high - low) / 3)), np.int64)


def _name(table: WindowTable, bags: Sequence[str], index: int) -> str:
    return f"{bags[table.bag[index]]}@{table.at[index]:.1f}s"


def _asked(table: WindowTable, index: int) -> str:
    figures = table.figures[index]
    known = figures[CURVATURE].mean(), figures[2:4].mean()
    return f"{known[0]:+.4f} 1/m" + ("" if math.isnan(known[1]) else f" and {known[1]:+.2f} m/s²")
