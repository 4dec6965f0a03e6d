# SPDX-License-Identifier: Apache-2.0
"""The page, from the figures that were kept; a task that was not run has no table."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean, median, stdev
from typing import Any

from benchmarks.common import table
from examples.liquid.task import Task

HEAD = """# A small zoo of time series

Made by `make examples` (`python -m examples.liquid.run`) from its own runs: LTC and CfC of `tidegate.liquid` against
LSTM and GRU of `torch.nn`, on the same data, the same split, the same batches, with nearly as many parameters.

- dt is in seconds, per sample: the time since the sample before. LTC and CfC take it as the length of their step; LSTM
  and GRU get it as one more input.
- Every model ends in a linear read-out. LSTM and GRU have as many units as bring them nearest to the LTC's parameters;
  a CfC has the LTC's wiring.
- All train for the same number of steps of Adam, at one learning rate that falls along a cosine, with gradients clipped
  at norm 1. The rate was chosen on other irregular series; nothing was tuned for a single model.
- *Error*: mean squared error over the variance of what is asked, mean ± standard deviation over seeds, which draw the
  weights, the wiring and the batches. The data are the same for all seeds. *Repeat*: what the last sample, repeated,
  would leave.
- *Trained*: processor time of one training, the median of the seeds.
"""


def text(records: Mapping[Task, dict[str, Any]], pictures: str) -> str:
    """The page; ``pictures`` is the folder beside it."""
    return "\n".join([HEAD, *(section(task, record, pictures) for task, record in records.items())])


def section(task: Task, record: dict[str, Any], pictures: str) -> str:
    """Text, picture, table and machine of one task."""
    tests = list(record["repeated"])
    head = ("model", "parameters", *(f"{test} [%]" for test in tests), "trained [s]")
    rows: list[tuple[object, ...]] = [
        (
            name,
            spread(found["parameters"]),
            *(figure(found["errors"][test]) for test in tests),
            f"{median(found['seconds']):.1f}",
        )
        for name, found in record["models"].items()
    ]
    rows.append(("repeat", "", *(f"{100 * record['repeated'][test]:.3g}" for test in tests), ""))
    parts = [
        f"## {task.title}",
        task.text,
        f"![{task.title}]({pictures}/{task.name}.png)",
        table(head, rows),
        least(record, tests),
        source(record),
    ]
    return "\n\n".join(parts) + "\n"


def least(record: dict[str, Any], tests: list[str]) -> str:
    """Which model did best in each column, and by how much against the next."""
    sentences = []
    for test in tests:
        ranked = sorted((mean(found["errors"][test]), name) for name, found in record["models"].items())
        (best, name), (second, follower) = ranked[:2]
        where = f" ({test})" if len(tests) > 1 else ""
        sentences.append(f"Least error{where}: {name}; next {follower}, {second / best:.2f} times that.")
    return " ".join(sentences)


def source(record: dict[str, Any]) -> str:
    """What it was made from, how long it took, and on which machine."""
    series, made = record["series"], record["machine"]
    counts = ", ".join(f"{count} {name}" for name, count in series.items())
    seeds = len(next(iter(record["models"].values()))["seconds"])
    packages = ", ".join(f"{name} {made['packages'][name]}" for name in ("torch", "numpy", "mujoco"))
    spent = sum(sum(found["seconds"]) for found in record["models"].values())
    return (
        f"*Series: {counts}; {record['steps']} steps of {record['batch']} at {record['rate']:g}; {seeds} seeds. "
        f"{record['seconds']:.0f} s in {record['processes']} processes, {spent:.0f} s of processor time for training; "
        f"{record['date']}; {made['processor']}, {made['cores']} cores, load {made['load_1min']} at the end; "
        f"Python {made['python']}, {packages}*"
    )


def figure(errors: list[float]) -> str:
    """Mean ± standard deviation [%]."""
    return f"{100 * mean(errors):.3g} ± {100 * stdev(errors):.2g}"


def spread(counts: list[int]) -> str:
    """One number, or the range."""
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low}–{high}"
