# SPDX-License-Identifier: Apache-2.0
"""A batch of programmes on one core, by threads and by processes, in turns: what ``solve_qps(pool=…)`` gains."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import numpy as np
from common import in_turns, ratio, save, spread, table, timed
from qp_problems import ROWS, SIZE, problems

from tidegate.safety.qp import PART, solve_qps
from tidegate.workers import worker_pool

BATCHES = (512, 1024, 4096)


def rows(batch: int, pools: dict[str, Executor | None], rounds: int) -> Iterator[dict[str, Any]]:
    """One of each pool: the median time [ms] and how many times as fast as without a pool it is, by rounds.

    Raises:
        RuntimeError: an answer differs from that without a pool.
    """
    parts = tuple(part.numpy() for part in problems(batch)[0])
    alone = solve_qps(*parts)
    for name, pool in pools.items():
        if not np.array_equal(solve_qps(*parts, pool=pool).solution, alone.solution):
            raise RuntimeError(f"{name}: another answer")
    runs = {
        name: lambda pool=pool: [timed(lambda these: solve_qps(*these, pool=pool), parts)]
        for name, pool in pools.items()
    }
    times = {name: [one[0] for one in found] for name, found in in_turns(runs, rounds).items()}
    for name, spent in times.items():
        gained = spread(mine / theirs for mine, theirs in zip(times["one core"], spent, strict=True))
        yield {"batch": batch, "by": name, "median_ms": float(np.median(spent)) / 1e3, **gained}


def tell(figures: dict[str, Any]) -> str:
    """As a section of docs/results.md."""
    shown = [
        (
            row["batch"],
            row["by"],
            f"{row['median_ms']:.1f}",
            ratio(row, ".2f"),
        )
        for row in figures["table"]
    ]
    return (
        f"## Programmes over the cores\n\n`solve_qps` on {figures['size']} variables and {figures['rows']} rows, "
        f"{figures['part']} programmes a part, {figures['workers']} workers that wait for it; equal answers. "
        f"{figures['rounds']} rounds in turns.\n\n"
        f"{table(('programmes', 'by', 'median [ms]', 'times as fast as one core'), shown)}"
    )


def main(arguments: list[str] | None = None) -> None:
    """Time each batch by each pool; workers are started before."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    chosen = parser.parse_args(arguments)
    workers = os.cpu_count() or 1
    with ExitStack() as stack:
        pools: dict[str, Executor | None] = {
            "one core": None,
            "threads": stack.enter_context(ThreadPoolExecutor(workers)),
            "processes": stack.enter_context(worker_pool(workers)),
        }
        found = [row for batch in BATCHES for row in rows(batch, pools, chosen.rounds)]
    figures = {"size": SIZE, "rows": ROWS, "part": PART, "workers": workers, "rounds": chosen.rounds, "table": found}
    print(*found, save("qp_cores", figures), sep="\n")


if __name__ == "__main__":
    main()
