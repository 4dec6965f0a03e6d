# SPDX-License-Identifier: Apache-2.0
"""One picture a task, from its figures: a test series with what the models say of it, and the errors of all seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from examples.liquid.models import Kind
from examples.liquid.task import Task
from matplotlib import pyplot as plt

COLOURS = {Kind.LTC: "tab:green", Kind.CFC: "tab:olive", Kind.LSTM: "tab:red", Kind.GRU: "tab:purple"}
WIDTH, HEIGHT, DPI = 11.0, 3.4, 80


def draw(task: Task, record: dict[str, Any], folder: Path) -> Path:
    """Write ``folder``/NAME.png."""
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(WIDTH, HEIGHT), layout="constrained", gridspec_kw={"width_ratios": (2, 1)}
    )
    shown, models = record["shown"], record["models"]
    left.plot(shown["time"], shown["target"], "k.-", linewidth=0.8, label="asked")
    for kind, colour in COLOURS.items():
        left.plot(shown["time"], models[kind.value]["trace"], color=colour, linewidth=1.2, label=kind.value)
    left.set(xlabel="t [s]", ylabel=task.shown[1], title=task.title)
    left.margins(y=0.2)
    left.legend(fontsize=7, ncols=5, loc="upper left")
    tests = next(iter(models.values()))["errors"]
    for row, (name, found) in enumerate(models.items()):
        colour = COLOURS[Kind(name.partition(",")[0])]
        for test, marker in zip(tests, "ox+", strict=False):
            values = [100 * value for value in found["errors"][test]]
            label = test if row == 0 and len(tests) > 1 else None
            right.plot(values, [row] * len(values), marker, color=colour, markersize=5, label=label)
    right.set_yticks(range(len(models)), list(models))
    right.invert_yaxis()
    low, high = right.dataLim.intervalx
    right.set(xscale="log" if high > 10 * low else "linear", xlabel="error of each seed [%]")
    if len(tests) > 1:
        right.legend(fontsize=7, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{task.name}.png"
    figure.savefig(path, dpi=DPI)
    plt.close(figure)
    return path
