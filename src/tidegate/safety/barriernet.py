# SPDX-License-Identifier: Apache-2.0
"""BarrierNet: the safety filter as a layer of a network (Xiao et al. 2021, 2023). The only torch of this room.

Forward, each sample goes through the live filter's own programme, relaxation included. Backward, the implicit
function theorem on the active rows, batched: for z = argmin ½‖z − z_w‖² with A z = b on the active rows,

    z = z_w + Aᵀλ,  M = A Aᵀ,  v = M⁻¹ A g   (g the gradient of the loss by z)
    ∂z_w: g − Aᵀv,   ∂b: v,   ∂A: λ (g − Aᵀv)ᵀ − v zᵀ
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tidegate.robot import Car
from tidegate.safety.barrier import OFF, State
from tidegate.safety.filter import BOX, Filter
from tidegate.safety.joints import Box
from tidegate.safety.relaxation import HARD, solve_by_priority
from tidegate.settings import Settings


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Rows of B states: ``G`` (B, m, 2), ``fixed``, ``scaled``, ``cap`` (B, m), joint ``box`` (B, 4); float64."""

    G: Tensor
    fixed: Tensor
    scaled: Tensor
    cap: Tensor
    box: Tensor

    def __getitem__(self, index: Any) -> RowBatch:
        """Pick samples."""
        return RowBatch(self.G[index], self.fixed[index], self.scaled[index], self.cap[index], self.box[index])


class BarrierNet(nn.Module):
    """Differentiable by the nominal command, the gains and the rows."""

    def __init__(self, settings: Settings, car: Car) -> None:
        super().__init__()
        self._filter = Filter(settings, car)
        self._settings = settings
        self.gain_names = self._filter.gain_names
        self.register_buffer("scale", torch.from_numpy(self._filter.scale), persistent=False)
        self.register_buffer("_box_rows", torch.from_numpy(BOX), persistent=False)
        self._priority = np.concatenate((np.full(len(BOX), HARD), self._filter.priority))

    def rows(self, states: list[State], boxes: list[Box]) -> RowBatch:
        """Rows of recorded states; they depend on no parameter, so make them once."""
        made = [[part.copy() for part in self._filter.rows(state)[:4]] for state in states]
        G, fixed, scaled, cap = (torch.from_numpy(np.stack(parts)) for parts in zip(*made, strict=True))
        return RowBatch(G, fixed, scaled, cap, torch.tensor([tuple(box) for box in boxes], dtype=torch.float64))

    def forward(self, nominal: Tensor, gains: Tensor, rows: RowBatch) -> Tensor:
        """Safe commands (B, 2) for ``nominal`` (B, 2) [N, 1/m] and ``gains`` (B, len(gain_names)) [1/s]."""
        policy, index = self._settings.policy, torch.from_numpy(self._filter.gain_index)
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
        projected = project(nominal.double() / scale, all_rows, all_lower, self._priority, self._settings)
        return (projected * scale).to(nominal.dtype)


def project(wanted: Tensor, rows: Tensor, lower: Tensor, priority: np.ndarray[Any, Any], settings: Settings) -> Tensor:
    """argmin ½‖z − wanted‖² subject to ``rows`` z ≥ ``lower``, rows giving way by ``priority``.

    Args:
        wanted: (B, n) float64.
        rows: (B, m, n) float64 of unit norm.
        lower: (B, m) float64; -inf switches a row off.
        priority: (m,), see ``solve_by_priority``.
        settings: slack cost and tolerance.

    Returns:
        (B, n). A sample whose programme has no solution at all keeps ``wanted`` and gets no gradient.
    """
    result: Tensor = _Projection.apply(wanted, rows, lower, priority, settings)  # type: ignore[no-untyped-call]
    return result


class _Projection(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, wanted: Tensor, rows: Tensor, lower: Tensor, priority: np.ndarray[Any, Any], settings: Settings
    ) -> Tensor:
        options = settings.safety.filter.slack_cost, settings.safety.filter.tolerance
        found = wanted.detach().clone()
        multipliers = torch.zeros_like(lower)
        solved = torch.zeros(len(wanted), 1, dtype=wanted.dtype)
        for sample, (z, G, b) in enumerate(
            zip(wanted.detach().numpy(), rows.detach().numpy(), lower.detach().numpy(), strict=True)
        ):
            on = np.flatnonzero(np.isfinite(b))
            result = solve_by_priority(z, np.ascontiguousarray(G[on]), b[on], priority[on], *options)
            if result.status == "solved":
                found[sample] = torch.from_numpy(result.solution)
                multipliers[sample, torch.from_numpy(on)] = torch.from_numpy(result.multipliers)
                solved[sample] = 1.0
        ctx.save_for_backward(rows, found, multipliers, solved)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows, found, multipliers, solved = ctx.saved_tensors
        g = gradients[0] * solved
        active = (multipliers > 1e-9).to(rows.dtype)
        A = rows * active[..., None]
        M = A @ A.transpose(1, 2) + torch.diag_embed(1.0 - active)
        v = torch.linalg.solve(M, (A @ g[..., None])).squeeze(-1) * active
        by_wanted = g - (A.transpose(1, 2) @ v[..., None]).squeeze(-1)
        by_rows = multipliers[..., None] * by_wanted[:, None] - v[..., None] * found[:, None]
        return by_wanted, by_rows, v, None, None
