# SPDX-License-Identifier: Apache-2.0
"""The differentiable programme, forward and backward, against qpth, cvxpylayers and ProxSuite on the same problems.

Each is timed with one thread and with all, and judged by its better one. Those that are not installed are left out.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import torch
from common import save
from torch import Tensor

from tidegate.safety.qp_layer import qp_layer

BATCHES = (1, 64, 256)
SIZE, ROWS = 4, 20
TOLERANCE = 1e-8
Layer = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def problems(count: int) -> list[Tensor]:
    """P, q, G, b of feasible programmes min ½xᵀPx + qᵀx, G x ≥ b; P is built from its root."""
    rng = np.random.default_rng(0)
    root, G = rng.normal(size=(count, SIZE, SIZE)), rng.normal(size=(count, ROWS, SIZE))
    inside = 0.3 * rng.normal(size=(count, SIZE))
    lower = np.einsum("bmn,bn->bm", G, inside) - rng.uniform(0.05, 1.0, (count, ROWS))
    P = root @ root.transpose(0, 2, 1) + np.eye(SIZE)
    return [torch.from_numpy(part) for part in (P, 3 * rng.normal(size=(count, SIZE)), G, lower)]


def ours() -> Layer:
    return lambda P, q, G, lower: qp_layer(P, q, G, lower, torch.zeros_like(q))[0]


def qpth() -> Layer:
    from qpth.qp import QPFunction

    solve, none = QPFunction(verbose=-1, eps=TOLERANCE), torch.zeros(0, dtype=torch.float64)
    return lambda P, q, G, lower: solve(P, q, -G, -lower, none, none)


def cvxpylayers() -> Layer:
    import cvxpy
    from cvxpylayers.torch import CvxpyLayer

    x = cvxpy.Variable(SIZE)
    root, q = cvxpy.Parameter((SIZE, SIZE)), cvxpy.Parameter(SIZE)
    G, lower = cvxpy.Parameter((ROWS, SIZE)), cvxpy.Parameter(ROWS)
    problem = cvxpy.Problem(cvxpy.Minimize(0.5 * cvxpy.sum_squares(root @ x) + q @ x), [G @ x >= lower])
    layer = CvxpyLayer(problem, parameters=[root, q, G, lower], variables=[x])
    return lambda P, q, G, lower: layer(torch.linalg.cholesky(P).mT, q, G, lower)[0]


def proxsuite() -> Layer:
    from proxsuite.torch.qplayer import QPFunction

    solve = QPFunction(eps=TOLERANCE, omp_parallel=torch.get_num_threads() > 1)

    def layer(P: Tensor, q: Tensor, G: Tensor, lower: Tensor) -> Tensor:
        none, nothing = q.new_zeros(len(q), 0, SIZE), q.new_zeros(len(q), 0)
        found: Tensor = solve(P, q, none, nothing, G, lower, torch.full_like(lower, 1e20))[0]
        return found

    return layer


PEERS = {"qpth": qpth, "cvxpylayers": cvxpylayers, "proxsuite": proxsuite}


def once(layer: Layer, parts: list[Tensor], weight: Tensor) -> tuple[Tensor, list[Tensor], float]:
    """Solution, gradients, and the time of both passes [ms]."""
    inputs = [part.clone().requires_grad_() for part in parts]
    start = time.perf_counter()
    x = layer(*inputs)
    (x * weight).sum().backward()
    spent = (time.perf_counter() - start) * 1e3
    return x.detach(), [part.grad for part in inputs if part.grad is not None], spent


def main(arguments: list[str] | None = None) -> None:
    """Time all in turns; keep medians, ratios with their spread, and how far each is from ours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    chosen = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    layers, versions = {"ours": ours}, {}
    for name, make in PEERS.items():
        try:
            make()
            versions[name] = version(name)
            layers[name] = make
        except ImportError as error:
            print(f"{name} is left out: {error}")
    rows = []
    for batch in BATCHES:
        parts = problems(batch)
        weight = torch.from_numpy(np.random.default_rng(1).normal(size=(batch, SIZE)))
        best: dict[str, list[float]] = {}
        results = {}
        for threads in sorted({1, os.cpu_count() or 1}):
            torch.set_num_threads(threads)
            made = {name: make() for name, make in layers.items()}
            for name, layer in made.items():
                results[name] = once(layer, parts, weight)  # the first call may compile
            times: dict[str, list[float]] = {name: [] for name in made}
            for _ in range(chosen.rounds):
                for name, layer in made.items():
                    times[name].append(once(layer, parts, weight)[2])
            for name, spent in times.items():
                if name not in best or statistics.median(spent) < statistics.median(best[name]):
                    best[name] = spent
        for name, spent in best.items():
            x, gradients, _ = results[name]
            own_x, own_gradients, _ = results["ours"]
            ratios = sorted(theirs / mine for theirs, mine in zip(spent, best["ours"], strict=True))
            far = max(float((a - b).norm() / b.norm()) for a, b in zip(gradients, own_gradients, strict=True))
            rows.append(
                {
                    "batch": batch,
                    "layer": name,
                    "median_ms": statistics.median(spent),
                    "ratio": statistics.median(ratios),
                    "ratio_low": ratios[0],
                    "ratio_high": ratios[-1],
                    "solution_difference": float((x - own_x).abs().max()),
                    "gradient_difference": far,
                }
            )
            print({key: f"{value:.3g}" if isinstance(value, float) else value for key, value in rows[-1].items()})
    figures = {"size": SIZE, "rows": ROWS, "rounds": chosen.rounds, "tolerance": TOLERANCE, "peers": versions}
    print(save("qp_layer", {**figures, "table": rows}))


if __name__ == "__main__":
    main()
