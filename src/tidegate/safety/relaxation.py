# SPDX-License-Identifier: Apache-2.0
"""Which rows give way, and by how little, where not all of them can hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidegate.records import Floats
from tidegate.safety.barrier import Priority
from tidegate.safety.qp import QPResult, solve_qp

HARD = len(Priority)
"""Priority of rows that never give way (the joint box)."""
ROOM = 50
"""Tolerances by which a level is lowered below what it reached: on the edge of feasibility no solver knows what is."""
CHEAPER = (1.0, 1e-2)
"""Slack costs that are tried, as parts of the one given. What the levels above left may be so thin that the solver
takes a programme with dear slack for infeasible, which none with slack is."""
AGAIN = 4
"""Cheap slack is traded for the wish. So often it is solved for again, the wish being where it led to."""
SOLVES = 2 + HARD * (1 + len(CHEAPER) + AGAIN)
"""Most programmes of one call: bounded by count, not by the clock, so that a replay gives what the drive gave."""
Priorities = Sequence[int] | NDArray[np.int_]
QPSolver = Callable[[Floats, Floats, Floats, Floats, float], QPResult]
"""``solve_qp``, or what counts its calls: P, q, G, lower, tolerance."""


class Slackened(NamedTuple):
    """A programme with slack: its solution (n + 1,) has the slack last, whose ``cost`` is that of its square."""

    cost: float
    result: QPResult


class Level(NamedTuple):
    """How one level was lowered, for who differentiates it.

    ``rows`` (r,): which rows it and those above have; ``slack`` (r,): which of these may have slack, its own;
    ``lowered``: the rows whose bound became what the last solution keeps of them, less a constant; ``solved``: the
    programmes, the first of them near to the wish, each other one near to the one before.
    """

    rows: NDArray[np.int_]
    slack: NDArray[np.bool_]
    lowered: NDArray[np.int_]
    solved: list[Slackened]


def solve_by_priority(
    wanted: Floats,
    rows: Floats,
    lower: Floats,
    priority: Priorities,
    slack_cost: float,
    tolerance: float,
    solve: QPSolver = solve_qp,
    tape: list[Level] | None = None,
    within_reach: Floats | None = None,
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
        solve: solves one programme.
        tape: gets each level that is lowered, from the highest down.
        within_reach: (m,), ``lower`` where rows that nothing keeps beside the hard ones, at most one of a level, have
            become what can be kept of them, less ``ROOM`` tolerances. Where these bounds can be kept together no
            level has to give way further, and one programme does.
    """
    cost, towards = _unit_cost(len(wanted)), -wanted
    if within_reach is None:
        result = solve(cost, towards, rows, lower, tolerance)
    else:
        result = solve(cost, towards, rows, within_reach, 10 * tolerance)
    if result.status == "solved":
        return result
    lower = relaxed(wanted, rows, lower, priority, slack_cost, tolerance, solve, tape)
    return solve(cost, towards, rows, lower, 10 * tolerance)


def relaxed(
    wanted: Floats,
    rows: Floats,
    lower: Floats,
    priority: Priorities,
    slack_cost: float,
    tolerance: float,
    solve: QPSolver = solve_qp,
    tape: list[Level] | None = None,
) -> Floats:
    """``lower`` (m,), lowered as described in ``solve_by_priority``; of a programme that has no solution as it is."""
    size, count = len(wanted), len(priority)
    cost, towards = _unit_cost(size), -wanted
    ranks = list(priority)
    order = np.array(sorted(range(count), key=ranks.__getitem__, reverse=True))  # what is above a level comes first
    rows, reached, lowers = rows[order], lower[order], False
    # the programme with slack has one variable more
    soft_wanted, soft_rows = np.zeros(size + 1), np.zeros((count, size + 1))
    soft_wanted[:size], soft_rows[:, :size] = wanted, rows
    ends = [*accumulate(ranks.count(level) for level in range(HARD, -1, -1))]  # of HARD first, then of each level
    for start, end in pairwise(ends):
        if start == end:
            continue
        whole = end == count and not lowers  # known to have no solution
        if whole or solve(cost, towards, rows[:end], reached[:end], tolerance).status != "solved":
            mine = slice(start, end)
            soft_rows[:, size] = 0.0
            soft_rows[mine, size] = 1.0
            solved = _least_slack(soft_wanted, soft_rows[:end], reached[:end], slack_cost, tolerance, solve)
            if solved:
                left = rows[mine] @ solved[-1].result.solution[:size] - ROOM * tolerance
                if tape is not None:
                    lowered = order[mine][left < reached[mine]]
                    tape.append(Level(order[:end], soft_rows[:end, size] > 0, lowered, solved))
                reached[mine] = np.minimum(reached[mine], left)
                lowers = True
    lower = np.empty_like(lower)
    lower[order] = reached
    return lower


def _least_slack(
    wanted: Floats, rows: Floats, lower: Floats, slack_cost: float, tolerance: float, solve: QPSolver
) -> list[Slackened]:
    """The programmes that led to the least of the last variable, the slack, near to ``wanted`` (n + 1,); or none."""
    size, towards = len(wanted) - 1, -wanted
    for part in CHEAPER:
        cost = _soft_cost(size, part * slack_cost)
        result = solve(cost, towards, rows, lower, 10 * tolerance)
        if result.status == "solved":
            break
    else:
        return []
    solved = [Slackened(part * slack_cost, result)]
    for _ in range(AGAIN if part < 1 else 0):  # proximal steps
        nearer = np.append(solved[-1].result.solution[:size], 0.0)
        result = solve(cost, -nearer, rows, lower, 10 * tolerance)
        if result.status == "solved":
            solved.append(Slackened(part * slack_cost, result))
    return solved


@cache
def _unit_cost(size: int) -> Floats:
    return np.eye(size)


@cache
def _soft_cost(size: int, slack_cost: float) -> Floats:
    return np.diag([*[1.0] * size, slack_cost])
