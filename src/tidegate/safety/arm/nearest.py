# SPDX-License-Identifier: Apache-2.0
"""The nearest torques inside a window that keep some rows, by DAQP, where no row has to give way."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import daqp
import numpy as np
from numpy.typing import NDArray

from tidegate.records import Floats
from tidegate.safety.qp import FLAGS, ITERATIONS, UNBOUNDED


class Nearest(NamedTuple):
    """``point`` (N,), which nothing has checked, and the rows' ``multipliers`` (k,) ≥ 0."""

    point: Floats
    multipliers: Floats


def nearest(wish: Floats, rows: Floats, lower: Floats, low: Floats, high: Floats) -> Nearest | None:
    """Minimise ½‖z − wish‖² subject to ``low`` ≤ z ≤ ``high`` and ``rows`` z ≥ ``lower``; None where DAQP finds none.

    The window is bounds of the variables to the solver, which takes less time than as many rows.

    Args:
        wish, low, high: (N,), finite.
        rows: (k, N) of unit norm, finite.
        lower: (k,), finite.
    """
    size = len(wish)
    fixed = _fixed(size, len(lower))
    point, _, flag, info = daqp.solve(
        fixed.cost,
        -wish,
        rows,
        np.concatenate((high, fixed.open)),
        np.concatenate((low, lower)),
        fixed.sense,
        iter_limit=ITERATIONS,
    )
    return Nearest(point, -info["lam"][size:]) if FLAGS.get(flag) == "solved" else None


class _Fixed(NamedTuple):
    """Unit cost (N, N), upper ends (k,) of rows that have none, kinds (N + k,) of bounds and rows."""

    cost: Floats
    open: Floats
    sense: NDArray[np.int32]


@cache
def _fixed(size: int, rows: int) -> _Fixed:
    return _Fixed(np.eye(size), np.full(rows, UNBOUNDED), np.zeros(size + rows, np.int32))
