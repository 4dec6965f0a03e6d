# SPDX-License-Identifier: Apache-2.0
"""Which rows give way, and by how little, where not all of them can hold."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tidegate.records import Floats
from tidegate.safety.barrier import Priority
from tidegate.safety.qp import QPResult, solve_qp

HARD = len(Priority)
"""Priority of rows that never give way (the joint box)."""
Priorities = Sequence[int] | NDArray[np.int_]


def solve_by_priority(
    wanted: Floats, rows: Floats, lower: Floats, priority: Priorities, slack_cost: float, tolerance: float
) -> QPResult:
    """Minimise ½‖z − wanted‖² subject to ``rows`` z ≥ ``lower``, giving way in the order of ``priority``.

    Where the rows contradict, levels are taken from the highest down, and each is lowered by the least slack that the
    levels above it leave room for (lexicographic); the result's multipliers are those of the relaxed programme.

    Args:
        wanted: (n,).
        rows: (m, n), scaled to unit norm.
        lower: (m,).
        priority: (m,) of ``Priority``, ``HARD`` for rows that never give way.
        slack_cost: cost of a unit of slack against a unit of deviation.
        tolerance: largest violation accepted.
    """
    cost = _unit_cost(wanted.shape[0])
    result = solve_qp(cost, -wanted, rows, lower, tolerance)
    if result.status == "solved":
        return result
    return solve_qp(cost, -wanted, rows, relaxed(wanted, rows, lower, priority, slack_cost, tolerance), 10 * tolerance)


def relaxed(
    wanted: Floats, rows: Floats, lower: Floats, priority: Priorities, slack_cost: float, tolerance: float
) -> Floats:
    """``lower`` (m,), lowered as described in ``solve_by_priority``."""
    size = wanted.shape[0]
    lower, priority = lower.copy(), np.asarray(priority)
    kept = np.flatnonzero(priority == HARD)
    soft_cost = np.diag([1.0] * size + [slack_cost])
    for level in sorted(Priority, reverse=True):
        mine = np.flatnonzero(priority == level)
        if not mine.size:
            continue
        both = np.concatenate((kept, mine))
        if solve_qp(_unit_cost(size), -wanted, rows[both], lower[both], tolerance).status != "solved":
            soft = np.zeros((both.size, size + 1))
            soft[:, :size] = rows[both]
            soft[kept.size :, size] = 1.0
            result = solve_qp(soft_cost, np.append(-wanted, 0.0), soft, lower[both], 10 * tolerance)
            if result.status == "solved":
                # a little below what was reached, so that the next solve is not on the edge of feasibility
                lower[mine] = np.minimum(lower[mine], rows[mine] @ result.solution[:size] - 5 * tolerance)
        kept = both
    return lower


@cache
def _unit_cost(size: int) -> Floats:
    return np.eye(size)
