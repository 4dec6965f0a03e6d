# SPDX-License-Identifier: Apache-2.0
"""BarrierNet: the safety filter as a layer of a network (Xiao et al. 2021, 2023).

Forward, each sample goes through the live filter's own programme, relaxation included; backward, see ``qp_layer``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tidegate.records import Floats
from tidegate.robot import Car
from tidegate.safety.barrier import OFF, State
from tidegate.safety.filter import BOX, GAVE_WAY, Filter
from tidegate.safety.joints import Box
from tidegate.safety.qp import QPBatch, QPResult, Which, solve_each
from tidegate.safety.qp_layer import Solver, qp_layer
from tidegate.safety.relaxation import HARD, solve_by_priority
from tidegate.settings import Settings


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Rows of B states: ``G`` (B, m, 2), ``fixed``, ``scaled``, ``cap`` (B, m), joint ``box`` (B, 4), and the
    ``backup`` command (B, 2) where a programme has no solution; float64."""

    G: Tensor
    fixed: Tensor
    scaled: Tensor
    cap: Tensor
    box: Tensor
    backup: Tensor

    def __getitem__(self, index: Any) -> RowBatch:
        """Pick samples."""
        parts = (self.G, self.fixed, self.scaled, self.cap, self.box, self.backup)
        return RowBatch(*(part[index] for part in parts))


class BarrierNet(nn.Module):
    """Differentiable by the nominal command, the gains and the rows."""

    def __init__(self, settings: Settings, car: Car) -> None:
        super().__init__()
        self._filter = Filter(settings, car)
        self._settings = settings
        self.gain_names = self._filter.gain_names
        self.register_buffer("scale", torch.from_numpy(self._filter.scale), persistent=False)
        self.register_buffer("_box_rows", torch.from_numpy(BOX), persistent=False)
        self._solver = filter_solver([HARD] * len(BOX) + self._filter.priority, settings)

    def rows(self, states: list[State], boxes: list[Box]) -> RowBatch:
        """Rows of recorded states; they depend on no parameter, so make them once."""
        made = [[part.copy() for part in self._filter.rows(state)[:4]] for state in states]
        G, fixed, scaled, cap = (torch.from_numpy(np.stack(parts)) for parts in zip(*made, strict=True))
        backup = [self._filter.fallback(state, box) for state, box in zip(states, boxes, strict=True)]
        made_box, made_backup = (torch.tensor(np.array(part), dtype=torch.float64) for part in (boxes, backup))
        return RowBatch(G, fixed, scaled, cap, made_box, made_backup)

    def forward(self, nominal: Tensor, gains: Tensor, rows: RowBatch) -> Tensor:
        """Safe commands (B, 2) for ``nominal`` (B, 2) [N, 1/m] and ``gains`` (B, len(gain_names)) [1/s]."""
        policy, index = self._settings.policy, self._filter.gain_index
        default = gains.new_full((len(gains), 1), self._settings.safety.filter.gain_default)
        clamped = torch.cat((gains.clamp(policy.gain_low, policy.gain_high), default), dim=1)
        by_row = clamped[:, index].double()  # index -1 is the default
        scale = self.get_buffer("scale")
        G = rows.G * scale
        norm = G.norm(dim=2).clamp_min(1e-12)
        lower = torch.minimum(rows.fixed - by_row * rows.scaled, rows.cap) / norm
        lower = torch.where(rows.fixed > OFF, lower, lower.new_tensor(-torch.inf))
        signs, unit = rows.box.new_tensor([1.0, -1.0, 1.0, -1.0]), scale.repeat_interleave(2)
        all_rows = torch.cat((self.get_buffer("_box_rows").expand(len(G), -1, -1), G / norm[..., None]), dim=1)
        all_lower = torch.cat((rows.box * signs / unit, lower), dim=1)
        wanted, cost = nominal.double() / scale, torch.eye(2, dtype=torch.float64)
        command, _ = qp_layer(cost, -wanted, all_rows, all_lower, rows.backup / scale, self._solver)
        return (command * scale).to(nominal.dtype)


def filter_solver(priority: Sequence[int], settings: Settings) -> Solver:
    """The live filter's own solver, for P = 1: rows give way by ``priority``, see ``solve_by_priority``."""
    ranks = np.asarray(priority)
    options = settings.safety.filter.slack_cost, settings.safety.filter.tolerance

    def solver(_P: Floats, q: Floats, G: Floats, lower: Floats) -> QPBatch:
        def solve(sample: int, on: Which) -> QPResult:
            return solve_by_priority(-q[sample], G[sample, on], lower[sample, on], ranks[on], *options)

        batch = solve_each(solve, lower, q.shape[1])
        left = np.einsum("bmn,bn->bm", G, batch.solution) - lower
        return replace(batch, gave_way=left < -GAVE_WAY * settings.safety.filter.tolerance)

    return solver
