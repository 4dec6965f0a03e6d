# SPDX-License-Identifier: Apache-2.0
"""The nearest torques inside a window that keep all rows, by DAQP."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import daqp
import numpy as np
from numpy.typing import NDArray

from tidegate.records import Floats
from tidegate.safety.qp import FLAGS, ITERATIONS, UNBOUNDED


class Nearest(NamedTuple):
    """``point`` (N,), NaN where there is none, and ``multipliers`` (m,) of the rows, ≥ 0."""

    point: Floats
    multipliers: Floats


class Fixed(NamedTuple):
    """What only sizes decide: the cost (N, N), no ``upper`` ends of rows (m,), the ``kinds`` of bounds and rows."""

    cost: Floats
    upper: Floats
    kinds: NDArray[np.int32]


@cache
def _fixed(size: int, rows: int) -> Fixed:
    return Fixed(np.eye(size), np.full(rows, UNBOUNDED), np.zeros(size + rows, np.int32))


def nearest(wish: Floats, matrix: Floats, lower: Floats, low: Floats, high: Floats) -> Nearest:
    """Minimise ½‖z − wish‖² subject to ``low`` ≤ z ≤ ``high`` and ``matrix`` z ≥ ``lower``.

    ``low`` ≤ z ≤ ``high`` are bounds of the variables, for which the solver needs less time than for rows. Whether
    ``matrix`` z ≥ ``lower`` is for the caller to check: the solver's word is all there is here.

    Args:
        wish, low, high: (N,), finite.
        matrix: (m, N), finite.
        lower: (m,), finite or -inf.
    """
    size = len(wish)
    fixed = _fixed(size, len(lower))
    upper_ends, lower_ends = np.concatenate((high, fixed.upper)), np.concatenate((low, lower))
    point, _, flag, told = daqp.solve(
        fixed.cost, -wish, matrix, upper_ends, lower_ends, fixed.kinds, iter_limit=ITERATIONS
    )
    if FLAGS.get(flag) != "solved":
        return Nearest(np.full(size, np.nan), np.zeros(len(lower)))
    return Nearest(point.clip(low, high), -told["lam"][size:])
