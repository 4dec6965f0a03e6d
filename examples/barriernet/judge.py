# SPDX-License-Identifier: Apache-2.0
"""Closed loops of all methods from the same starts, and what is counted in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from common import Case
from learn import Method, Network, command, expert
from torch import Tensor

from tidegate.attack.campaign import rate_bound

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Runs:
    """B closed loops of T ticks.

    ``states`` (T + 1, B, n); ``commands`` (T, B, m); ``gains`` (T, B, degree, r); ``barrier`` (T, B): the least of all
    barriers during each tick, looked at in its parts too; ``crashed`` (B,) bool; ``unsure`` (B,): ticks whose rows were
    not met.
    """

    states: Tensor
    commands: Tensor
    gains: Tensor
    barrier: Tensor
    crashed: Tensor
    unsure: Tensor

    @property
    def nearest(self) -> Tensor:
        """(B,): min b of each run."""
        return self.barrier.amin(dim=0)


@torch.no_grad()
def drive(case: Case, start: Tensor, method: Method | None, network: Network | None = None) -> Runs:
    """Run ``method`` from ``start`` (B, n); without one, the expert."""
    state, unsure, crashed = start, torch.zeros(len(start)), case.crashed(start)
    states, commands, gains, barrier = [start], [], [], []
    for _ in range(case.steps):
        if method is None or network is None:
            u, used = expert(case, state), torch.zeros(len(state), case.degree, case.barriers)
        else:
            u, fine, used = command(case, method, network, state)
            unsure += ~fine
        passed = case.hold(state, u)
        seen = [case.barrier(at).amin(dim=1) for at in (state, *passed)]
        for at in passed:
            crashed = crashed | case.crashed(at)
        state = passed[-1]
        states.append(state)
        commands.append(u)
        gains.append(used)
        barrier.append(torch.stack(seen).amin(dim=0))
    return Runs(torch.stack(states), torch.stack(commands), torch.stack(gains), torch.stack(barrier), crashed, unsure)


def interval(failures: int, runs: int) -> tuple[float, float]:
    """Two-sided Clopper–Pearson interval of a rate: two one-sided bounds, each with half of what may be missed."""
    each = 1 - (1 - CONFIDENCE) / 2
    return 1 - rate_bound(runs - failures, runs, each), rate_bound(failures, runs, each)


def effort(case: Case, runs: Runs) -> Tensor:
    """(B,): ∫ ‖u / scale‖² dt."""
    return (runs.commands / runs.commands.new_tensor(case.scale)).square().sum(dim=(0, 2)) * case.dt


def figures(case: Case, runs: Runs, reference: Runs, shown: int) -> dict[str, Any]:
    """What the page states of one method; the first ``shown`` runs one by one, the others as a sample.

    Args:
        case: whose runs.
        runs: of the method.
        reference: the expert's, from the same starts.
        shown: how many of the first runs are not part of the sample.
    """
    near = runs.nearest[shown:]
    broken, crashed, count = int((near < 0).sum()), int(runs.crashed[shown:].sum()), len(near)
    behind = case.progress(reference.states[-1]) - case.progress(runs.states[-1])
    more = effort(case, runs) / effort(case, reference)
    return {
        "shown": [float(value) for value in runs.nearest[:shown]],
        "runs": count,
        "broken": broken,
        "broken_interval": interval(broken, count),
        "crashed": crashed,
        "crashed_interval": interval(crashed, count),
        "lowest": float(near.min()),
        "median": float(near.median()),
        "behind_m": float(behind[shown:].median()),
        "behind_m_95": float(behind[shown:].quantile(0.95)),
        "effort": float(more[shown:].median()),
        "unsure_ticks": int(runs.unsure[shown:].sum()),
    }
