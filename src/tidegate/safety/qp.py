# SPDX-License-Identifier: Apache-2.0
"""The quadratic programme of one tick, solved by DAQP and checked afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import daqp
import numpy as np

from tidegate.records import Floats

UNBOUNDED = 1e30


@dataclass(frozen=True, slots=True)
class QPResult:
    """What came of one programme.

    ``solution`` (n,); ``multipliers`` (m,) ≥ 0 of the rows; ``active`` (m,) bool; ``residual`` the largest violation
    of any row, inf where there is no finite solution; ``status`` 'solved', 'infeasible' or 'failed'.
    """

    solution: Floats
    multipliers: Floats
    active: np.ndarray[tuple[int], np.dtype[np.bool_]]
    residual: float
    status: str


def solve_qp(P: Floats, q: Floats, G: Floats, lower: Floats, tolerance: float = 1e-6) -> QPResult:
    """Minimise ½ xᵀPx + qᵀx subject to G x ≥ lower.

    Never raises on numbers: NaN, contradiction and a solver that gives up are all a ``status``. The solver's own word
    is not taken for it: 'solved' means that the rows hold within ``tolerance`` when checked here.

    Args:
        P: (n, n) positive definite.
        q: (n,).
        G: (m, n); no row may be zero.
        lower: (m,); -UNBOUNDED switches a row off.
        tolerance: largest violation accepted.
    """
    rows = lower.shape[0]
    if not (np.isfinite(q).all() and np.isfinite(lower).all() and np.isfinite(G).all()):
        return _nothing(q.shape[0], rows, "failed")
    upper = np.full(rows, UNBOUNDED)
    solution, _, flag, info = daqp.solve(P, q, G, upper, lower, np.zeros(rows, np.int32))
    if flag != 1 or not np.isfinite(solution).all():
        return _nothing(q.shape[0], rows, "infeasible" if flag == -1 else "failed")
    solution = np.array(solution)
    residual = float((lower - G @ solution).max()) if rows else 0.0
    multipliers = np.maximum(-np.asarray(info["lam"]), 0.0)
    status = "solved" if residual <= tolerance else "failed"
    return QPResult(solution, multipliers, multipliers > 1e-9, residual, status)


def _nothing(size: int, rows: int, status: str) -> QPResult:
    return QPResult(np.full(size, np.nan), np.zeros(rows), np.zeros(rows, bool), np.inf, status)
