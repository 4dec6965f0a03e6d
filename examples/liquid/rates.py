# SPDX-License-Identifier: Apache-2.0
"""The learning rate of each model: that of the least validation error, with a seed of which nothing is reported."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer
from examples.liquid.models import Kind
from examples.liquid.run import PROCESSES, TASKS
from examples.liquid.training import RATES, Job, run

from tidegate.workers import as_they_end

SEED = 100


def main(tasks: Annotated[str, typer.Option(help="by comma")] = ",".join(TASKS)) -> None:
    """Print the error of every rate."""
    for task in map(TASKS.__getitem__, tasks.split(",")):
        data = task.draw()
        data = replace(data, tests={"validation": data.validation})
        jobs = [(Job(task, kind, True, SEED, rate), data) for kind in Kind for rate in RATES]
        errors: dict[Kind, dict[float, float]] = {kind: {} for kind in Kind}
        for (job, _), outcome in as_they_end(run, jobs, PROCESSES):
            errors[job.kind][job.rate] = found = outcome.errors["validation"]
            print(f"{task.name}: {job.name}, rate {job.rate:g}: {100 * found:.3g} %", flush=True)
        for kind, of in errors.items():
            print(f"{task.name}: {kind.value} gets {min(of, key=of.__getitem__):g}", flush=True)


if __name__ == "__main__":
    typer.run(main)
