# SPDX-License-Identifier: Apache-2.0
"""Closed loops on roads that no training run saw: every scene, and what happens without the parts that save the car."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from common import MODEL, SETTINGS, save
from rich.progress import Progress

from tidegate.evaluation.campaign import parse_seeds, run_campaign
from tidegate.evaluation.rollout import Task


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table."""

    scene: str
    filtered: bool = True
    disable: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What is switched off."""
        return ", ".join(self.disable if self.filtered else ("filter", *self.disable)) or "nothing"


ROWS = (
    Row("road"),
    Row("road", filtered=False),
    Row("traffic"),
    Row("truck"),
    Row("truck_whiteout"),
    Row("camera_lost"),
    Row("truck_whiteout", disable=("image_health",)),
    Row("truck_whiteout", disable=("image_health", "distance")),
)


def main(arguments: list[str] | None = None) -> None:
    """Drive every row and keep its totals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="1000:1020")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--bundle", default=str(MODEL))
    chosen = parser.parse_args(arguments)
    seeds = parse_seeds(chosen.seeds)
    rows = []
    with Progress() as progress:
        bar = progress.add_task("closed loops", total=len(ROWS) * len(seeds))
        for row in ROWS:
            tasks = [
                Task(SETTINGS, chosen.bundle, row.scene, seed, filtered=row.filtered, disable=row.disable)
                for seed in seeds
            ]
            runs, totals = run_campaign(tasks, chosen.processes, lambda run: progress.advance(bar))
            failed = {run.seed: run.end for run in runs if not run.completed}
            rows.append({"scene": row.scene, "off": row.words, "failed": failed, **totals})
    print(save("closed_loop", {"seeds": chosen.seeds, "processes": chosen.processes, "rows": rows}))


if __name__ == "__main__":
    main()
