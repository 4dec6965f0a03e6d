# SPDX-License-Identifier: Apache-2.0
"""Differentiable programmes of other people behind one call, each as its documentation says and as exact as it goes.

A layer takes P (B, n, n), q (B, n), G (B, m, n), lower (B, m), float64, and gives the x (B, n) that minimises
½ xᵀP x + qᵀx subject to G x ≥ lower. ``threads``: how many it may use beside torch's own.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tidegate.safety.qp_layer import qp_layer

TOLERANCE = 1e-8
Layer = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def ours(size: int, rows: int, threads: int) -> Layer:
    """``tidegate.safety.qp_layer``: one thread; NaN where there is no solution."""
    return lambda P, q, G, lower: qp_layer(P, q, G, lower, torch.full_like(q, torch.nan))[0]


def qpth(size: int, rows: int, threads: int) -> Layer:
    """Amos & Kolter's layer; its threads are torch's."""
    from qpth.qp import QPFunction

    solve, none = QPFunction(verbose=-1, eps=TOLERANCE), torch.zeros(0, dtype=torch.float64)
    return lambda P, q, G, lower: solve(P, q, -G, -lower, none, none)


def cvxpylayers(size: int, rows: int, threads: int) -> Layer:
    """With SCS, the only one of its solvers whose tolerance reaches the gradients."""
    import cvxpy
    from cvxpylayers.torch import CvxpyLayer

    x = cvxpy.Variable(size)
    root, q = cvxpy.Parameter((size, size)), cvxpy.Parameter(size)
    G, lower = cvxpy.Parameter((rows, size)), cvxpy.Parameter(rows)
    problem = cvxpy.Problem(cvxpy.Minimize(0.5 * cvxpy.sum_squares(root @ x) + q @ x), [G @ x >= lower])
    layer = CvxpyLayer(problem, parameters=[root, q, G, lower], variables=[x])
    options = {"solve_method": "SCS", "eps": TOLERANCE, "n_jobs_forward": threads, "n_jobs_backward": threads}
    return lambda P, q, G, lower: layer(torch.linalg.cholesky(P).mT, q, G, lower, solver_args=options)[0]


def proxsuite(size: int, rows: int, threads: int) -> Layer:
    """ProxSuite's QPLayer."""
    from proxsuite.torch.qplayer import QPFunction

    solve = QPFunction(eps=TOLERANCE, eps_backward=TOLERANCE, omp_parallel=threads > 1)

    def layer(P: Tensor, q: Tensor, G: Tensor, lower: Tensor) -> Tensor:
        none, nothing = q.new_zeros(len(q), 0, size), q.new_zeros(len(q), 0)
        found: Tensor = solve(P, q, none, nothing, G, lower, torch.full_like(lower, 1e20))[0]
        return found

    return layer


LAYERS: dict[str, Callable[[int, int, int], Layer]] = {
    "ours": ours,
    "qpth": qpth,
    "cvxpylayers": cvxpylayers,
    "proxsuite": proxsuite,
}
