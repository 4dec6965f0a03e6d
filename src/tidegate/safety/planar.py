# SPDX-License-Identifier: Apache-2.0
"""The programme of two variables with few rows: its answer is on one of them or where two meet, and needs no solver."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from tidegate.safety.joints import Box

CLOSE = 1e-9
"""Units of deviation by which a row may be missed, as rounding does where it ends where the box does."""
FLAT = 1e-9
"""A row that depends less than this on a variable, and not by nothing, is the solver's; of unit norm."""
FARTHEST = 1e6
"""A wish that is farther off [units of deviation] is the solver's: rounding would move the answer."""
MANY = 5
"""So many rows are tried by themselves and by two; more are the solver's."""
Row = tuple[float, float, float]
"""a, b and bound of a x + b y ≥ bound, a and b of unit norm."""


class OnRow(NamedTuple):
    """A point in units of deviation, and the multiplier of the row, 0 where it does not hold the point."""

    x: float
    y: float
    push: float


class Planar(NamedTuple):
    """A point in units of deviation, and the multiplier of each row."""

    x: float
    y: float
    pushes: list[float]


def nearest(wish: tuple[float, float], rows: Sequence[Row], box: Box) -> Planar | None:
    """Minimise ½‖z − wish‖² subject to ``rows`` and ``box``; None leaves it to the solver.

    What is nearest beside one row alone is the answer if it keeps the others; else two rows hold it, where they meet
    in the box, if both push (Karush, Kuhn and Tucker).
    """
    if len(rows) > MANY or not abs(wish[0]) + abs(wish[1]) < FARTHEST:
        return None
    less = [(a, b, bound - CLOSE) for a, b, bound in rows]
    for place, (a, b, bound) in enumerate(rows):
        found = nearest_on_row(wish, a, b, bound, box)
        if found is None:
            return None
        x, y, push = found
        if all(c * x + d * y >= least for c, d, least in less):
            pushes = [0.0] * len(rows)
            pushes[place] = push
            return Planar(x, y, pushes)
    low, high, right, left = box
    for first, second in combinations(range(len(rows)), 2):
        (a, b, one), (c, d, two) = rows[first], rows[second]
        area = a * d - b * c
        if abs(area) < FLAT:
            continue
        x, y = (one * d - b * two) / area, (a * two - one * c) / area
        p, q = x - wish[0], y - wish[1]
        push, other = (p * d - q * c) / area, (a * q - b * p) / area
        inside = low - CLOSE <= x <= high + CLOSE and right - CLOSE <= y <= left + CLOSE
        if inside and push >= 0.0 <= other and all(c * x + d * y >= least for c, d, least in less):
            pushes = [0.0] * len(rows)
            pushes[first], pushes[second] = push, other
            return Planar(x, y, pushes)
    return None


def nearest_on_row(wish: tuple[float, float], a: float, b: float, bound: float, box: Box) -> OnRow | None:
    """Minimise ½‖z − wish‖² subject to a x + b y ≥ ``bound`` and ``box``.

    Where the nearest point of the box breaks the row, it holds with equality: the answer is the nearest point of the
    segment of its line that is in the box. None where there is no such segment, where a number is NaN, and where the
    row is all but parallel to an axis: then it is the solver's.

    Args:
        a, b: of unit norm.
    """
    p, q = wish
    low, high, right, left = box
    x, y = box.clip(p, q)
    if a * x + b * y >= bound:
        return OnRow(x, y, 0.0)
    if b == 0.0 and a != 0.0:
        x = bound / a
        return OnRow(x, min(max(q, right), left), max((x - p) / a, 0.0)) if low - CLOSE <= x <= high + CLOSE else None
    if a == 0.0 and b != 0.0:
        y = bound / b
        return OnRow(min(max(p, low), high), y, max((y - q) / b, 0.0)) if right - CLOSE <= y <= left + CLOSE else None
    if not (abs(a) > FLAT and abs(b) > FLAT):
        return None
    push = bound - a * p - b * q
    x, y = p + push * a, q + push * b  # the foot of the wish; the line is (x − s b, y + s a)
    sides, ends = ((x - low) / b, (x - high) / b), ((right - y) / a, (left - y) / a)
    first, last = max(min(sides), min(ends)), min(max(sides), max(ends))
    if not first <= last:
        return None
    s = min(max(0.0, first), last)
    if not s:
        return OnRow(x, y, push)
    x, y = x - s * b, y + s * a
    # an end of the segment: the box holds one variable there, the row alone the other
    push = (y - q) / b if s in sides else (x - p) / a
    return OnRow(x, y, push) if push >= 0.0 else None  # a segment that is but a corner, to rounding
