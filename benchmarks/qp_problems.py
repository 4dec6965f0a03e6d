# SPDX-License-Identifier: Apache-2.0
"""Random programmes with their exact solutions and gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tidegate.safety.qp import solve_qps

SIZE, ROWS = 4, 20
CLEAR = 1e-3
"""A row that pushes, or leaves room, by less is too near to a kink to have one derivative."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Exact:
    """``x`` (B, n), the ``gradients`` of Σ weight·x by P, q, G and lower, and which samples are ``clear`` of kinks."""

    x: Floats
    gradients: tuple[Floats, ...]
    clear: NDArray[np.bool_]


def problems(count: int, infeasible: float = 0.0) -> tuple[list[Tensor], NDArray[np.bool_]]:
    """P, q, G, b of programmes min ½xᵀPx + qᵀx, G x ≥ b, and which of them have a solution: a share has two rows that
    ask for opposite things."""
    rng = np.random.default_rng(0)
    root, G = rng.normal(size=(count, SIZE, SIZE)), rng.normal(size=(count, ROWS, SIZE))
    inside = 0.3 * rng.normal(size=(count, SIZE))
    lower = np.einsum("bmn,bn->bm", G, inside) - rng.uniform(0.05, 1.0, (count, ROWS))
    P, q = root @ root.transpose(0, 2, 1) + np.eye(SIZE), 3 * rng.normal(size=(count, SIZE))
    feasible = rng.random(count) >= infeasible
    G[~feasible, 1], lower[~feasible, :2] = -G[~feasible, 0], 1.0
    return [torch.from_numpy(part) for part in (P, q, G, lower)], feasible


def exact(parts: list[Tensor], weight: Tensor) -> Exact:
    """By the equations of Karush, Kuhn and Tucker, sample by sample; DAQP only guesses which rows push.

    Raises:
        RuntimeError: a guess does not meet the conditions that make it the solution.
    """
    P, q, G, lower = (part.numpy() for part in parts)
    guess = solve_qps(P, q, G, lower).multipliers > 0
    x, clear = np.empty_like(q), np.empty(len(q), bool)
    gradients = tuple(np.zeros_like(part) for part in (P, q, G, lower))
    for sample, on in enumerate(guess):
        A, none = G[sample, on], np.zeros((on.sum(), on.sum()))
        K = np.block([[P[sample], -A.T], [A, none]])
        answer = np.linalg.solve(K, np.concatenate((-q[sample], lower[sample, on])))
        x[sample], push = answer[:SIZE], answer[SIZE:]
        room = G[sample] @ x[sample] - lower[sample]
        if (push < 0).any() or (room < -1e-9).any():
            raise RuntimeError("this is not the solution")
        clear[sample] = (push > CLEAR).all() and (room[~on] > CLEAR).all()
        adjoint = np.linalg.solve(K.T, np.concatenate((weight[sample].numpy(), np.zeros(on.sum()))))
        u, w = adjoint[:SIZE], adjoint[SIZE:]
        outer = np.outer(u, x[sample])
        gradients[0][sample], gradients[1][sample] = -0.5 * (outer + outer.T), -u
        gradients[2][sample, on], gradients[3][sample, on] = np.outer(push, u) - np.outer(w, x[sample]), w
    return Exact(x, gradients, clear)
