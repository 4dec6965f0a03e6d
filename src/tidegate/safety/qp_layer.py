# SPDX-License-Identifier: Apache-2.0
"""A quadratic programme as a layer of a network: solved by the live filter's solver, differentiated exactly.

    x = argmin ½ xᵀP x + qᵀx   subject to  G x ≥ b

Backward is the implicit function theorem on the rows that push (λ > 0). With A those rows, g the gradient of the loss
by x, and (u, w) from P u + Aᵀw = g, A u = 0,

    ∂q: −u,   ∂b: w,   ∂G: λ uᵀ − w xᵀ,   ∂P: −½ (u xᵀ + x uᵀ)

(Amos & Kolter 2017, eq. 6 to 8, for this sign of the rows). It is the derivative wherever every row that holds with
equality pushes. Where one holds with equality and λ = 0, x has a kink: the derivative is then that of the side on which
the row is slack. Where rows that push are parallel, the programme has many multipliers and the solver's are used.

Where the solver keeps other bounds than b, made from the programmes (rows that give way), its ``QPBatch.pull_back``
takes ∂b on to what they are made from, by the same theorem.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tidegate.records import Floats
from tidegate.safety.qp import PUSHES, QPBatch, solve_qps

Solver = Callable[[Floats, Floats, Floats, Floats], QPBatch]
"""P, q, G, b as in ``solve_qps`` → what came of it."""


def qp_layer(
    P: Tensor, q: Tensor, G: Tensor, lower: Tensor, fallback: Tensor, solver: Solver = solve_qps
) -> tuple[Tensor, Tensor]:
    """Solve B programmes; differentiable by ``P``, ``q``, ``G`` and ``lower``. All float64, on the CPU.

    Args:
        P: (B, n, n) positive definite, or (n, n) for all.
        q: (B, n).
        G: (B, m, n).
        lower: (B, m); -inf switches a row off.
        fallback: (B, n): what comes out for a sample that has no solution; no gradient flows there.
        solver: what solves them.

    Returns:
        solution (B, n), and (B,) bool: which samples were solved. One that was not harms no other.

    Raises:
        TypeError: not float64.
    """
    for name, part in (("P", P), ("q", q), ("G", G), ("lower", lower), ("fallback", fallback)):
        if part.dtype != torch.float64:
            raise TypeError(f"qp_layer: {name} is {part.dtype}; it must be torch.float64")
    solution, solved = _Solve.apply(P, q, G, lower, fallback, solver)  # type: ignore[no-untyped-call]
    return solution, solved


class _Solve(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, P: Tensor, q: Tensor, G: Tensor, lower: Tensor, fallback: Tensor, solver: Solver
    ) -> tuple[Tensor, Tensor]:
        found = solver(*(part.detach().numpy() for part in (P, q, G, lower)))
        solved = torch.from_numpy(found.solved)
        x = torch.where(solved[:, None], torch.from_numpy(found.solution), fallback.detach())
        multipliers = torch.from_numpy(found.multipliers)
        ctx.pull_back = found.pull_back
        ctx.save_for_backward(P, G, x, multipliers, solved)
        ctx.mark_non_differentiable(solved)
        return x, solved

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        P, G, x, multipliers, solved = ctx.saved_tensors
        # what came with an unsolved sample may be anything, and must stay there
        sound = torch.where(solved[:, None, None], P, torch.eye(G.shape[2], dtype=P.dtype))
        u, w = adjoint(sound, G, multipliers, gradients[0] * solved[:, None])
        by_P = None
        if ctx.needs_input_grad[0]:
            outer = u[:, :, None] * x[:, None]
            by_P = -0.5 * (outer + outer.transpose(1, 2))
            by_P = by_P if P.dim() == 3 else by_P.sum(dim=0)
        by_q, by_G = -u, multipliers[..., None] * u[:, None] - w[..., None] * x[:, None]
        if ctx.pull_back is not None:
            further_q, further_G, w = ctx.pull_back(w)
            by_q, by_G = by_q + further_q, by_G + further_G
        return by_P, by_q, by_G, w, None, None


def adjoint(P: Tensor, G: Tensor, multipliers: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    """u (B, n) and w (B, m) of the above, w zero for rows that do not push.

    Args:
        P: (B, n, n) positive definite.
        G: (B, m, n); rows that do not push may be anything.
        multipliers: (B, m).
        g: (B, n) derivatives of the loss by x.
    """
    pushing = multipliers > PUSHES
    # few of many rows push: those alone, filled up with zeros to the number that the fullest sample has
    most = max(pushing.sum(dim=1).tolist(), default=0)
    which = pushing.int().argsort(dim=1, descending=True, stable=True)[:, :most]
    active = pushing.gather(1, which)[..., None]
    A = torch.where(active, G.gather(1, which[..., None].expand(-1, -1, G.shape[2])), 0.0)
    solution = torch.cholesky_solve(torch.cat((A.transpose(1, 2), g[..., None]), dim=2), torch.linalg.cholesky(P))
    V, free = solution[..., :-1], solution[..., -1:]  # P⁻¹Aᵀ, P⁻¹g
    few = torch.linalg.solve(A @ V + torch.diag_embed((~active[..., 0]).to(P.dtype)), A @ free)
    u = (free - V @ few).squeeze(-1)
    return u, torch.zeros_like(multipliers).scatter(1, which, few.squeeze(-1))
