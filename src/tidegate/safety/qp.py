# SPDX-License-Identifier: Apache-2.0
"""The quadratic programme of one tick, solved by DAQP and checked afterwards."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import daqp
import numpy as np
from numpy.typing import NDArray

from tidegate.records import Floats

UNBOUNDED = 1e30
PUSHES = 1e-9
"""Multiplier above which a row counts as active."""
Which = NDArray[np.bool_] | slice
"""Some of the rows (m,) of one programme, or all."""


@dataclass(frozen=True, slots=True)
class QPResult:
    """What came of one programme.

    ``solution`` (n,); ``multipliers`` (m,) ≥ 0 of the rows; ``residual`` the largest violation of any row, inf where
    there is no finite solution; ``status`` 'solved', 'infeasible' or 'failed'.
    """

    solution: Floats
    multipliers: Floats
    residual: float
    status: str

    @property
    def active(self) -> NDArray[np.bool_]:
        """(m,): which rows push."""
        pushing: NDArray[np.bool_] = self.multipliers > PUSHES
        return pushing


@dataclass(frozen=True, slots=True)
class QPBatch:
    """What came of B programmes, as in ``QPResult``.

    ``solution`` (B, n), NaN where there is none; ``multipliers`` (B, m) ≥ 0; ``residual`` (B,); ``status`` (B,) words.
    """

    solution: Floats
    multipliers: Floats
    residual: Floats
    status: NDArray[np.str_]

    @property
    def solved(self) -> NDArray[np.bool_]:
        """(B,): which programmes have a solution that was checked."""
        kept: NDArray[np.bool_] = self.status == "solved"
        return kept


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
    upper, sense = _open(rows)
    flat = G.ravel()
    # one number tells of any NaN or inf, and of sizes beyond 1e150
    if not math.isfinite(q.dot(q) + lower.dot(lower) + flat.dot(flat)):
        return _nothing(q.shape[0], rows, "failed")
    solution, _, flag, info = daqp.solve(P, q, G, upper, lower, sense)
    if flag != 1:
        return _nothing(q.shape[0], rows, "infeasible" if flag == -1 else "failed")
    residual = float(np.maximum.reduce(lower - G.dot(solution))) if rows else 0.0
    if not (residual <= tolerance and math.isfinite(solution.dot(solution))):
        return _nothing(q.shape[0], rows, "failed")
    return QPResult(solution, np.maximum(-info["lam"], 0.0), residual, "solved")


def solve_qps(P: Floats, q: Floats, G: Floats, lower: Floats, tolerance: float = 1e-6) -> QPBatch:
    """B programmes as in ``solve_qp``, each by itself: one without a solution harms no other.

    Args:
        P: (B, n, n) positive definite, or (n, n) for all.
        q: (B, n).
        G: (B, m, n).
        lower: (B, m); -inf switches a row off.
        tolerance: largest violation accepted.
    """
    P = np.broadcast_to(P, (len(q), *P.shape[-2:])).copy()  # the solver wants to write, though it does not

    def solve(sample: int, on: Which) -> QPResult:
        return solve_qp(P[sample], q[sample], G[sample, on], lower[sample, on], tolerance)

    return solve_each(solve, lower, q.shape[1])


def solve_each(solve: Callable[[int, Which], QPResult], lower: Floats, size: int) -> QPBatch:
    """Call ``solve`` for each sample with the rows that are on: those whose ``lower`` (B, m) is not -inf."""
    count, rows = lower.shape
    batch = QPBatch(np.full((count, size), np.nan), np.zeros((count, rows)), np.empty(count), np.empty(count, "U10"))
    which = ~(lower <= -UNBOUNDED)  # NaN is on, and fails
    for sample, every in enumerate(which.all(axis=1).tolist()):
        on = slice(None) if every else which[sample]  # a view costs less than a copy
        one = solve(sample, on)
        batch.solution[sample], batch.multipliers[sample, on] = one.solution, one.multipliers
        batch.residual[sample], batch.status[sample] = one.residual, one.status
    return batch


def _nothing(size: int, rows: int, status: str) -> QPResult:
    return QPResult(np.full(size, np.nan), np.zeros(rows), np.inf, status)


@cache
def _open(rows: int) -> tuple[Floats, NDArray[np.int32]]:
    """Upper bounds and kinds of ``rows`` rows that are bounded from below alone."""
    return np.full(rows, UNBOUNDED), np.zeros(rows, np.int32)
