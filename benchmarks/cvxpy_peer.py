# SPDX-License-Identifier: Apache-2.0
"""What our programmes are compared with: the same one, compiled once by CVXPY, its numbers as parameters."""

from __future__ import annotations

from collections.abc import Callable

import cvxpy
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def compiled(size: int, rows: int) -> Callable[[Floats, Floats, Floats], Floats | None]:
    """Minimise ‖x − wish‖² subject to G x ≥ lower: called with wish (n,), G (m, n), lower (m,); None = no solution."""
    x, wish = cvxpy.Variable(size), cvxpy.Parameter(size)
    G, lower = cvxpy.Parameter((rows, size)), cvxpy.Parameter(rows)
    problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(x - wish)), [G @ x >= lower])

    def solve(wish_: Floats, G_: Floats, lower_: Floats) -> Floats | None:
        wish.value, G.value, lower.value = wish_, G_, lower_
        problem.solve(solver=cvxpy.CLARABEL)
        found: Floats | None = x.value
        return found

    return solve
