# SPDX-License-Identifier: Apache-2.0
"""The zoo: draw the series, train every model with every seed, draw, and write docs/zoo.md. Part of `make examples`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from benchmarks.common import machine
from examples.liquid import page
from examples.liquid.irregular import Irregular
from examples.liquid.models import Kind
from examples.liquid.pictures import draw
from examples.liquid.sine import Sine
from examples.liquid.task import Task
from examples.liquid.training import RATE, Job, error, run
from examples.liquid.walker import Walker

from tidegate.workers import as_they_end

TASKS: dict[str, Task] = {task.name: task for task in (Sine(), Irregular(), Walker())}
PROCESSES = 2
ROOT = Path(__file__).parents[2]


def run_task(task: Task, seeds: int) -> dict[str, Any]:
    """Everything of one task; its figures."""
    start = time.perf_counter()
    data = task.draw()
    told = (True, False) if task.blind else (True,)
    jobs = [Job(task, kind, each, seed) for each in told for kind in Kind for seed in range(seeds)]
    outcomes = {job: outcome for (job, _), outcome in as_they_end(run, [(job, data) for job in jobs], PROCESSES)}
    models: dict[str, Any] = {}
    for job in jobs:
        outcome = outcomes[job]
        found = models.setdefault(
            job.name,
            {
                "parameters": [],
                "seconds": [],
                "errors": {test: [] for test in data.tests},
                "trace": outcome.trace,
            },
        )
        found["parameters"].append(outcome.parameters)
        found["seconds"].append(outcome.seconds)
        for test, value in outcome.errors.items():
            found["errors"][test].append(value)
    first, output = next(iter(data.tests.values())), task.shown[0]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "seconds": time.perf_counter() - start,
        "processes": PROCESSES,
        "machine": machine(),
        "series": {"training": len(data.train.dt), **{test: len(each.dt) for test, each in data.tests.items()}},
        "steps": task.steps,
        "batch": task.batch,
        "rate": RATE,
        "repeated": {test: error(each.repeated, each.targets) for test, each in data.tests.items()},
        "shown": {
            "time": (first.dt[0].cumsum(dim=0) + task.ahead).tolist(),
            "target": first.targets[0, :, output].tolist(),
        },
        "models": models,
    }


def main(
    tasks: Annotated[str, typer.Option(help=f"by comma; none = the page alone: {', '.join(TASKS)}")] = ",".join(TASKS),
    seeds: Annotated[int, typer.Option(help="trainings of each model", min=2)] = 5,
    out: Annotated[Path, typer.Option(help="folder for the figures, one JSON file per task")] = ROOT / "out/zoo",
    document: Annotated[Path, typer.Option(help="the page; pictures go into a folder beside it")] = ROOT
    / "docs/zoo.md",
) -> None:
    """Run the tasks and write the page; tasks that were run before keep their figures."""
    out.mkdir(parents=True, exist_ok=True)
    chosen = [name for name in tasks.split(",") if name]
    for name in chosen:
        if name not in TASKS:
            raise typer.BadParameter(f"no task {name!r}; there are {', '.join(TASKS)}")
    for name in chosen:
        record = run_task(TASKS[name], seeds)
        (out / f"{name}.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    kept = {task: out / f"{task.name}.json" for task in TASKS.values()}
    records = {task: json.loads(path.read_text("utf-8")) for task, path in kept.items() if path.exists()}
    for task, record in records.items():
        draw(task, record, document.with_suffix(""))
    document.write_text(page.text(records, document.stem), encoding="utf-8")
    print(document)


if __name__ == "__main__":
    typer.run(main)
