# SPDX-License-Identifier: Apache-2.0
"""The programme of two variables with one row: its answer is a point of a segment, and needs no solver."""

from __future__ import annotations

from typing import NamedTuple

from tidegate.safety.joints import Box

FLAT = 1e-9
"""A row that depends less than this on a variable, and not by nothing, is the solver's; of unit norm."""


class OnRow(NamedTuple):
    """A point in units of deviation, and the multiplier of the row, 0 where it does not hold the point."""

    x: float
    y: float
    push: float


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
        return OnRow(x, min(max(q, right), left), (x - p) / a) if low <= x <= high else None
    if a == 0.0 and b != 0.0:
        y = bound / b
        return OnRow(min(max(p, low), high), y, (y - q) / b) if right <= y <= left else None
    if not (abs(a) > FLAT and abs(b) > FLAT):
        return None
    push = bound - a * p - b * q
    x, y = p + push * a, q + push * b  # the foot of the wish; the line is (x − s b, y + s a)
    sides, ends = ((x - low) / b, (x - high) / b), ((right - y) / a, (left - y) / a)
    first, last = max(min(sides), min(ends)), min(max(sides), max(ends))
    if not first <= last:
        return None
    s = min(max(0.0, first), last)
    if s == 0.0:
        return OnRow(x, y, push)
    x, y = x - s * b, y + s * a
    # an end of the segment: the box holds one variable there, the row alone the other
    return OnRow(x, y, (y - q) / b if s in sides else (x - p) / a)
