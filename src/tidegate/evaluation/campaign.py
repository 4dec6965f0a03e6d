# SPDX-License-Identifier: Apache-2.0
"""Many closed loops in parallel processes, and the file that keeps their figures."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tidegate.bundle import bundle_identity
from tidegate.errors import SceneError
from tidegate.evaluation.metrics import Run, summary
from tidegate.evaluation.rollout import Task, run_task
from tidegate.evaluation.simulators import embedded
from tidegate.workers import as_they_end

EVALUATION = "evaluation.json"


def parse_seeds(text: str) -> list[int]:
    """Seeds from ``1000:1020`` (the end excluded), ``7`` or ``1,5,9``.

    Raises:
        SceneError: no seeds, or not in one of these forms.
    """
    try:
        if ":" in text:
            first, last = (int(part) for part in text.split(":"))
            seeds = list(range(first, last))
        else:
            seeds = [int(part) for part in text.split(",")]
    except ValueError:
        seeds = []
    if not seeds or min(seeds) < 0:
        raise SceneError(f"seeds '{text}': must be like 1000:1020 (the end excluded), 7 or 1,5,9")
    return seeds


def run_campaign(
    tasks: list[Task], processes: int = 2, heard: Callable[[Run], None] = lambda run: None
) -> tuple[list[Run], dict[str, Any]]:
    """Drive every task; ``heard`` gets each run as it ends.

    Returns:
        the runs in the order of the tasks, and their summary.
    """
    start = time.perf_counter()
    runs = []
    for run in _driven(tasks, processes):
        runs.append(run)
        heard(run)
    order = {(task.scene, task.seed): place for place, task in enumerate(tasks)}
    runs.sort(key=lambda run: order[run.scene, run.seed])
    return runs, summary(runs, time.perf_counter() - start)


def _driven(tasks: list[Task], processes: int) -> Iterator[Run]:
    if processes == 1 or len(tasks) == 1:
        yield from map(run_task, tasks)
        return
    for _, run in as_they_end(run_task, tasks, processes):
        yield run


def facts(task: Task) -> dict[str, Any]:
    """What all drives of a campaign share, as ``evaluation.json`` names it."""
    on = "on" if task.filtered else "off"
    return {"bundle": task.bundle, "driver": task.driver, "filter": on, "disable": list(task.disable)}


def paced(task: Task) -> bool:
    """Whether a lap must be as fast as a share of the expert's to count; not where no expert drives."""
    return embedded(task.simulator) is not None


def write_evaluation(folder: Path, task: Task, runs: list[Run], totals: dict[str, Any]) -> Path:
    """Write ``evaluation.json``: the facts of a campaign (``task`` is any of it), which bundle drove
    (``bundle_identity``), where it was driven and whether the pace counted, ``runs`` and ``summary``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / EVALUATION
    where = {"simulator": task.simulator, "pace_judged": paced(task)}
    who = {"bundle_sha256": bundle_identity(Path(task.bundle))[1]} if task.driver == "bundle" else {}
    document = {**facts(task), **who, **where, "runs": [run.as_dict() for run in runs], "summary": totals}
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
