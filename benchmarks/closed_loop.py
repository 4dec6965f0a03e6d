# SPDX-License-Identifier: Apache-2.0
"""Closed loops on roads that no training run saw: every scene, and what happens without the parts that save the car."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import FIGURES, MODEL, SETTINGS, save
from rich.progress import Progress

from tidegate.evaluation.campaign import EVALUATION, facts, parse_seeds, run_campaign, write_evaluation
from tidegate.evaluation.metrics import Run
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


def drive(row: Row, bundle: Path, seeds: list[int], processes: int, heard: Callable[[Run], None]) -> dict[str, Any]:
    """``runs`` and ``summary`` of one row, driven unless it was driven already by this bundle on these seeds."""
    folder = FIGURES / "closed_loop" / "-".join((row.scene, *row.words.split(", ")))
    tasks = [Task(SETTINGS, str(bundle), row.scene, seed, filtered=row.filtered, disable=row.disable) for seed in seeds]
    path = folder / EVALUATION
    if path.exists() and path.stat().st_mtime > (bundle / "bundle.json").stat().st_mtime:
        known: dict[str, Any] = json.loads(path.read_text("utf-8"))
        same = [run["seed"] for run in known["runs"]] == seeds and facts(tasks[0]).items() <= known.items()
        if same and "comfort" in known["summary"]:
            return known
    runs, totals = run_campaign(tasks, processes, heard)
    write_evaluation(folder, tasks[0], runs, totals)
    return {"runs": [run.as_dict() for run in runs], "summary": totals}


def main(arguments: list[str] | None = None) -> None:
    """Drive every row and keep its totals; a run that was broken off goes on with the next row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="1000:1020")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--bundle", type=Path, default=MODEL)
    chosen = parser.parse_args(arguments)
    seeds = parse_seeds(chosen.seeds)
    rows = []
    with Progress() as progress:
        bar = progress.add_task("closed loops", total=len(ROWS) * len(seeds))
        for number, row in enumerate(ROWS, 1):
            known = drive(row, chosen.bundle, seeds, chosen.processes, lambda run: progress.advance(bar))
            progress.update(bar, completed=number * len(seeds))
            failed = {run["seed"]: run["end"] for run in known["runs"] if not run["completed"]}
            rows.append({"scene": row.scene, "off": row.words, "failed": failed, **known["summary"]})
    print(save("closed_loop", {"seeds": chosen.seeds, "processes": chosen.processes, "rows": rows}))


if __name__ == "__main__":
    main()
