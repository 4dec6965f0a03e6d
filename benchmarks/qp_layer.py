# SPDX-License-Identifier: Apache-2.0
"""The differentiable programme, forward and backward, against qpth, cvxpylayers and ProxSuite on the same problems.

Each is timed with one thread and with all, and judged by its better one; its solutions and gradients are compared with
exact ones, and it is given programmes that have no solution. Those that are not installed are left out.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from common import Aim, add_check, judge, save, spread, versions
from layers import LAYERS, TOLERANCE, Layer
from qp_problems import ROWS, SIZE, Exact, Floats, exact, problems
from torch import Tensor

BATCHES = (1, 64, 256)
INFEASIBLE = 0.1
WRONG = 1e-5
"""Error of a gradient, absolute and relative, from which it counts as wrong."""


def once(layer: Layer, parts: list[Tensor], weight: Tensor) -> tuple[Floats, list[Floats], float]:
    """Solution, gradients (of a cost only its symmetric part counts), and the time of both passes [ms]."""
    inputs = [part.clone().requires_grad_() for part in parts]
    start = time.perf_counter()
    x = layer(*inputs)
    (x * weight).sum().backward()
    spent = (time.perf_counter() - start) * 1e3
    gradients = [np.asarray(part.grad, np.float64) for part in inputs]
    gradients[0] = (gradients[0] + gradients[0].transpose(0, 2, 1)) / 2
    return x.detach().numpy(), gradients, spent


def errors(found: tuple[Floats, list[Floats], float], right: Exact) -> tuple[Floats, Floats]:
    """For each clear sample the largest error of its solution, and of its gradients: absolute, or relative above 1."""
    x, gradients, _ = found
    each = [
        (np.abs(mine - theirs) / (1 + np.abs(theirs))).reshape(len(x), -1).max(axis=1)
        for mine, theirs in zip(gradients, right.gradients, strict=True)
    ]
    return np.abs(x - right.x).max(axis=1)[right.clear], np.max(each, axis=0)[right.clear]


def timings(names: list[str], batch: int, rounds: int) -> list[dict[str, Any]]:
    """A row for each layer: its better median, the ratio to ours with the rounds' spread, and its errors."""
    parts, _ = problems(batch)
    weight = torch.from_numpy(np.random.default_rng(1).normal(size=(batch, SIZE)))
    right, best, worst = exact(parts, weight), {}, {}
    for threads in sorted({1, os.cpu_count() or 1}):
        torch.set_num_threads(threads)
        made = {name: LAYERS[name](SIZE, ROWS, threads) for name in names}
        for name, layer in made.items():  # the first call may compile
            worst[name] = [float(part.max(initial=0.0)) for part in errors(once(layer, parts, weight), right)]
        times: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(rounds):
            for name, layer in made.items():
                times[name].append(once(layer, parts, weight)[2])
        for name, spent in times.items():
            if name not in best or statistics.median(spent) < statistics.median(best[name][0]):
                best[name] = spent, threads
    table = []
    for name, (spent, threads) in best.items():
        table.append(
            {
                "batch": batch,
                "layer": name,
                "threads": threads,
                "median_ms": statistics.median(spent),
                **spread(theirs / mine for theirs, mine in zip(spent, best["ours"][0], strict=True)),
                "solution_error": worst[name][0],
                "gradient_error": worst[name][1],
            }
        )
        print({key: f"{value:.3g}" if isinstance(value, float) else value for key, value in table[-1].items()})
    return table


def trial(name: str, count: int) -> dict[str, Any]:
    """How often a layer is wrong on ``count`` problems, and what it makes of those that have no solution."""
    layer, size = LAYERS[name](SIZE, ROWS, 1), BATCHES[-1]
    parts, feasible = problems(count, INFEASIBLE)
    good = [part[torch.from_numpy(feasible)] for part in parts]
    weight = torch.from_numpy(np.random.default_rng(1).normal(size=(len(good[1]), SIZE)))
    x, gradients = [], []
    for start in range(0, len(weight), size):
        found = once(layer, [part[start : start + size] for part in good], weight[start : start + size])
        x.append(found[0])
        gradients.append(found[1])
    whole = np.concatenate(x), [np.concatenate(part) for part in zip(*gradients, strict=True)], 0.0
    _, far = errors(whole, exact(good, weight))
    return {
        "layer": name,
        "feasible": len(weight),
        "clear": len(far),
        "wrong": int((far > WRONG).sum()),
        "largest_error": float(far.max()),
        **hopeless(layer, [part[~torch.from_numpy(feasible)] for part in parts], whole[0], good),
    }


def hopeless(layer: Layer, bad: list[Tensor], right: Floats, good: list[Tensor]) -> dict[str, Any]:
    """What comes of programmes without a solution, each in a batch with one that has one: how many end in NaN or in an
    exception, and how many neighbours get another answer than ``right``."""
    told, harmed = 0, 0
    for sample in range(len(bad[1])):
        batch = [torch.stack((one[sample], other[sample])) for one, other in zip(bad, good, strict=True)]
        try:
            x = layer(*batch).numpy()
        except Exception:  # each has its own; the neighbour has no answer then
            told, harmed = told + 1, harmed + 1
            continue
        told += bool(np.isnan(x[0]).all())
        harmed += not np.abs(x[1] - right[sample]).max() < WRONG
    return {"infeasible": len(bad[1]), "told": told, "neighbours_harmed": harmed}


def aims(figures: dict[str, Any]) -> Iterator[Aim]:
    """In the same run, each at its best number of threads."""
    for row in figures["table"]:
        if row["batch"] == 256 and row["layer"] in ("qpth", "cvxpylayers"):
            yield Aim(f"times as fast as {row['layer']}, batch 256", row["ratio"], least=15.0)
        if row["layer"] == "ours":
            yield Aim(f"largest error of a gradient, batch {row['batch']}", row["gradient_error"], most=1e-5)
    for trial in figures["trials"]:
        if trial["layer"] == "ours":
            yield Aim("wrong ones of many problems", trial["wrong"], most=0)
            yield Aim("programmes without a solution that are told", trial["told"], least=trial["infeasible"])


def main(arguments: list[str] | None = None) -> None:
    """Time all in turns; then try each on many problems."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--problems", type=int, default=10_000)
    add_check(parser)
    chosen = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    names = []
    for name, make in LAYERS.items():
        try:
            make(SIZE, ROWS, 1)
            names.append(name)
        except ImportError as error:
            print(f"{name} is left out: {error}; pip install 'tidegate[bench]'")
    table = [row for batch in BATCHES for row in timings(names, batch, chosen.rounds)]
    torch.set_num_threads(1)
    trials = []
    for name in names:
        trials.append(trial(name, chosen.problems))
        print(trials[-1])
    figures: dict[str, Any] = {
        "size": SIZE,
        "rows": ROWS,
        "rounds": chosen.rounds,
        "tolerance": TOLERANCE,
        "problems": chosen.problems,
    }
    peers = versions("qpth", "cvxpylayers", "diffcp", "scs", "proxsuite")
    figures |= {"wrong_from": WRONG, "peers": peers, "table": table, "trials": trials}
    print(save("qp_layer", figures))
    judge(aims(figures), chosen.check)


if __name__ == "__main__":
    main()
