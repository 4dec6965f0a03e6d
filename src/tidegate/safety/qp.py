# SPDX-License-Identifier: Apache-2.0
"""The quadratic programme of one tick, solved by DAQP and checked afterwards."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cache
from itertools import repeat
from typing import Any

import daqp
import numpy as np
from numpy.typing import NDArray

from tidegate.records import Floats

UNBOUNDED = 1e30
OUT_OF_STEPS = "out of steps"
FLAGS = {1: "solved", -1: "infeasible", -4: OUT_OF_STEPS}
"""Of DAQP, as a status; any other means that it failed."""
ITERATIONS = 500
"""Most steps of one programme. Of a car's programmes none needed more than a tenth."""
WORD = f"U{len(OUT_OF_STEPS)}"
"""NumPy's type of a status: as long as the longest."""
PUSHES = 1e-9
"""Multiplier above which a row counts as active."""
PART = 256
"""Programmes that one worker is given at a time: handing over fewer costs more than it saves."""
Which = NDArray[np.bool_] | slice
"""Some of the rows (m,) of one programme, or all."""


@dataclass(frozen=True, slots=True)
class QPResult:
    """What came of one programme.

    ``solution`` (n,); ``multipliers`` (m,) ≥ 0 of the rows; ``residual`` the largest violation of any row, inf where
    there is no finite solution; ``status`` 'solved', 'infeasible', 'out of steps' or 'failed'.
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
    ``pull_back``, where the bounds that were kept are made from the programmes: a loss's derivatives by those bounds
    (B, m) → its derivatives, through them, by q (B, n), G (B, m, n) and the bounds given (B, m), as tensors.
    """

    solution: Floats
    multipliers: Floats
    residual: Floats
    status: NDArray[np.str_]
    pull_back: Callable[[Any], tuple[Any, Any, Any]] | None = None

    @property
    def solved(self) -> NDArray[np.bool_]:
        """(B,): which programmes have a solution that was checked."""
        kept: NDArray[np.bool_] = self.status == "solved"
        return kept


def solve_qp(P: Floats, q: Floats, G: Floats, lower: Floats, tolerance: float = 1e-6) -> QPResult:
    """Minimise ½ xᵀPx + qᵀx subject to G x ≥ lower.

    Never raises on numbers: NaN, contradiction and a solver that gives up, after ``ITERATIONS`` at the latest, are all
    a ``status``. The solver's own word is not taken for it: 'solved' means that the rows hold within ``tolerance`` when
    checked here.

    Args:
        P: (n, n) positive definite.
        q: (n,).
        G: (m, n); no row may be zero.
        lower: (m,); -UNBOUNDED switches a row off.
        tolerance: largest violation accepted.
    """
    rows = len(lower)
    flat = G.ravel()
    # one number tells of any NaN or inf, and of sizes beyond 1e150
    if not math.isfinite(q.dot(q) + lower.dot(lower) + flat.dot(flat)):
        return nothing(len(q), rows, "failed")
    solution, multipliers, status = _solve(P, q, G, lower)
    if status != "solved":
        return nothing(len(q), rows, status)
    # einsum, not @: it gives the same bits for one programme and for many
    broken = lower - np.einsum("mn,n->m", G, solution)
    residual = float(broken[broken.argmax()]) if rows else 0.0  # quicker than max(); NaN is the largest there too
    if not (residual <= tolerance and math.isfinite(solution.dot(solution))):
        return nothing(len(q), rows, "failed")
    return QPResult(solution, np.maximum(-multipliers, 0.0), residual, status)


def solve_qps(
    P: Floats, q: Floats, G: Floats, lower: Floats, tolerance: float = 1e-6, pool: Executor | None = None
) -> QPBatch:
    """B programmes as in ``solve_qp``, each by itself: one without a solution harms no other. All are checked at once.

    With a ``pool`` its workers solve ``PART`` programmes each at a time, with equal answers; no more than that are
    solved here. Processes (``workers.worker_pool``) or threads: while it computes the solver holds no interpreter.

    Args:
        P: (B, n, n) positive definite, or (n, n) for all.
        q: (B, n).
        G: (B, m, n).
        lower: (B, m); -inf switches a row off.
        tolerance: largest violation accepted.
        pool: what shares the work out over the cores; the caller's, to be kept for many batches.
    """
    if pool is not None and len(q) > PART:
        parts = [slice(start, start + PART) for start in range(0, len(q), PART)]
        shared = repeat(P) if P.ndim == 2 else [P[part] for part in parts]
        rest = ([whole[part] for part in parts] for whole in (q, G, lower))
        return _joined(list(pool.map(solve_qps, shared, *rest, repeat(tolerance))))
    P = np.broadcast_to(P, (len(q), *P.shape[-2:])).copy()  # the solver wants to write, though it does not
    on = ~(lower <= -UNBOUNDED)  # NaN is on, and fails
    rows, bounds = np.where(on[..., None], G, 0.0), np.where(on, lower, 0.0)
    solution, multipliers = np.full(q.shape, np.nan), np.zeros(lower.shape)
    status = np.full(len(q), "failed", WORD)
    with np.errstate(over="ignore", invalid="ignore"):
        sound = np.isfinite((q * q).sum(axis=1) + (bounds * bounds).sum(axis=1) + (rows * rows).sum(axis=(1, 2)))
        for sample, which in _which(on):
            if sound[sample]:
                x, pushes, status[sample] = _solve(P[sample], q[sample], G[sample, which], lower[sample, which])
                solution[sample], multipliers[sample, which] = x, -pushes
        broken = np.where(on, bounds - np.einsum("bmn,bn->bm", rows, solution), -np.inf)
        residual = np.where(on.any(axis=1), broken.max(axis=1, initial=-np.inf), 0.0)
        kept = (residual <= tolerance) & np.isfinite((solution * solution).sum(axis=1))
    status[~kept & (status == "solved")] = "failed"
    solved = status == "solved"
    return QPBatch(
        np.where(solved[:, None], solution, np.nan),
        np.where(solved[:, None], np.maximum(multipliers, 0.0), 0.0),
        np.where(solved, residual, np.inf),
        status,
    )


def _joined(parts: list[QPBatch]) -> QPBatch:
    names = ("solution", "multipliers", "residual", "status")
    return QPBatch(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def solve_each(solve: Callable[[int, Which], QPResult], lower: Floats, size: int) -> QPBatch:
    """Call ``solve`` for each sample with the rows that are on: those whose ``lower`` (B, m) is not -inf."""
    count, rows = lower.shape
    batch = QPBatch(np.full((count, size), np.nan), np.zeros((count, rows)), np.empty(count), np.empty(count, WORD))
    for sample, on in _which(~(lower <= -UNBOUNDED)):  # NaN is on, and fails
        one = solve(sample, on)
        batch.solution[sample], batch.multipliers[sample, on] = one.solution, one.multipliers
        batch.residual[sample], batch.status[sample] = one.residual, one.status
    return batch


def _which(on: NDArray[np.bool_]) -> Iterator[tuple[int, Which]]:
    """Each sample and its rows that are ``on`` (B, m)."""
    for sample, every in enumerate(on.all(axis=1).tolist()):
        yield sample, slice(None) if every else on[sample]  # a view costs less than a copy


def _solve(P: Floats, q: Floats, G: Floats, lower: Floats) -> tuple[Floats, Floats, str]:
    """Solution, multipliers ≤ 0 and status in the solver's own word."""
    upper, sense = _open(len(lower))
    solution, _, flag, info = daqp.solve(P, q, G, upper, lower, sense, iter_limit=ITERATIONS)
    return solution, info["lam"], FLAGS.get(flag, "failed")


def nothing(size: int, rows: int, status: str) -> QPResult:
    """The result (n,), (m,) of a programme that has no solution."""
    return QPResult(_unknown(size).copy(), np.zeros(rows), np.inf, status)


@cache
def _unknown(size: int) -> Floats:
    return np.full(size, np.nan)  # which takes longer than a copy of it


@cache
def _open(rows: int) -> tuple[Floats, NDArray[np.int32]]:
    """Upper bounds and kinds of ``rows`` rows that are bounded from below alone."""
    return np.full(rows, UNBOUNDED), np.zeros(rows, np.int32)
