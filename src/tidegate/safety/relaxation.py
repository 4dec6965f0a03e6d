# SPDX-License-Identifier: Apache-2.0
"""Which rows give way, and by how little, where not all of them can hold."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

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
    size, priority = wanted.shape[0], np.asarray(priority)
    order = np.argsort(-priority, kind="stable")  # what is above a level comes before it
    rows, reached = rows[order], lower[order]
    # the programme with slack has one variable more
    soft_cost, soft_wanted, soft_rows = np.eye(size + 1), np.zeros(size + 1), np.zeros((len(rows), size + 1))
    soft_cost[size, size], soft_wanted[:size], soft_rows[:, :size] = slack_cost, wanted, rows
    ends = np.bincount(priority, minlength=HARD + 1)[::-1].cumsum().tolist()  # of HARD first, then of each level
    for start, end in pairwise(ends):
        if start == end:
            continue
        if solve_qp(_unit_cost(size), -wanted, rows[:end], reached[:end], tolerance).status != "solved":
            mine = slice(start, end)
            soft_rows[:, size] = 0.0
            soft_rows[mine, size] = 1.0
            result = solve_qp(soft_cost, -soft_wanted, soft_rows[:end], reached[:end], 10 * tolerance)
            if result.status == "solved":
                # a little below what was reached, so that the next solve is not on the edge of feasibility
                reached[mine] = np.minimum(reached[mine], rows[mine] @ result.solution[:size] - 5 * tolerance)
    lower = np.empty_like(lower)
    lower[order] = reached
    return lower


@cache
def _unit_cost(size: int) -> Floats:
    return np.eye(size)
