# SPDX-License-Identifier: Apache-2.0
"""The live filter's solver, rows that give way included, as a solver of ``qp_layer``.

Where rows gave way the solution is that of a sequence of programmes: each level's bounds are what the programme with
the least slack keeps of its rows, and those enter all that follow (``relaxation.relaxed``). Backward goes through that
sequence from its end, each programme by the implicit function theorem: exact wherever every row that holds with
equality pushes, in each of them, and no other level would give way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tidegate.records import Floats
from tidegate.safety.qp import QPBatch, QPResult, Which, solve_each
from tidegate.safety.qp_layer import Solver, adjoint
from tidegate.safety.relaxation import Level, solve_by_priority
from tidegate.settings import Settings


def filter_solver(priority: Sequence[int], settings: Settings) -> Solver:
    """The live filter's own solver, for P = 1: rows give way by ``priority``, see ``solve_by_priority``."""
    ranks = np.asarray(priority)
    options = settings.safety.filter.slack_cost, settings.safety.filter.tolerance

    def solver(_P: Floats, q: Floats, G: Floats, lower: Floats) -> QPBatch:
        tapes: dict[int, tuple[NDArray[np.int_], list[Level]]] = {}

        def solve(sample: int, on: Which) -> QPResult:
            tape: list[Level] = []
            found = solve_by_priority(-q[sample], G[sample, on], lower[sample, on], ranks[on], *options, tape=tape)
            if tape:
                tapes[sample] = np.arange(len(ranks))[on], tape
            return found

        def pull_back(by_kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            by_q, by_G, by_lower = by_kept.new_zeros(q.shape), by_kept.new_zeros(G.shape), by_kept.clone()
            for sample, (which, tape) in tapes.items():
                on = torch.from_numpy(which)
                parts = _through(tape, torch.from_numpy(G[sample])[on], by_kept[sample, on])
                by_q[sample], by_G[sample, on], by_lower[sample, on] = parts
            return by_q, by_G, by_lower

        batch = solve_each(solve, lower, q.shape[1])
        return replace(batch, pull_back=pull_back) if tapes else batch

    return solver


def _through(tape: list[Level], G: Tensor, by_kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of one sample, from derivatives by the bounds that were kept: by q (n,), G (m, n) and the bounds given (m,)."""
    by_q, by_G, by_lower = G.new_zeros(G.shape[1]), torch.zeros_like(G), by_kept.clone()
    for level in reversed(tape):
        lowered, rows = torch.from_numpy(level.lowered), torch.from_numpy(level.rows)
        soft = torch.cat((G[rows], torch.from_numpy(level.slack)[:, None].to(G.dtype)), dim=1)
        # a lowered bound is G x − constant, x the last programme's solution
        by_x = by_lower[lowered] @ G[lowered]
        by_G[lowered] += by_lower[lowered, None] * torch.from_numpy(level.solved[-1].result.solution)[:-1]
        by_lower[lowered] = 0.0
        for programme in reversed(level.solved):
            cost = torch.diag(G.new_tensor([*[1.0] * len(by_x), programme.cost]))
            x, push = (torch.from_numpy(part) for part in (programme.result.solution, programme.result.multipliers))
            by_all = torch.cat((by_x, by_x.new_zeros(1)))  # nothing depends on the slack but through x
            u, w = (part[0] for part in adjoint(cost[None], soft[None], push[None], by_all[None]))
            by_G[rows] += (push[:, None] * u - w[:, None] * x)[:, :-1]
            by_lower[rows] += w
            by_x = u[:-1]  # the programme before is what this one is near to
        by_q -= by_x  # the wish is −q
    return by_q, by_G, by_lower
