# SPDX-License-Identifier: Apache-2.0
"""The figures of the page."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from common import Case
from dips import DIPS, dip
from judge import Runs
from learn import Method
from matplotlib import pyplot as plt

COLOURS = {
    Method.PLAIN: "tab:red",
    Method.FILTERED: "tab:orange",
    Method.LAYER: "tab:purple",
    Method.PUBLISHED: "tab:blue",
    Method.OURS: "tab:green",
}
SHORT = {
    Method.PLAIN: "plain",
    Method.FILTERED: "CBF-QP after it",
    Method.LAYER: "fixed-gain layer",
    Method.PUBLISHED: "as published",
    Method.OURS: "ours",
}
WIDTH, HEIGHT, DPI = 13.0, 3.6, 90


def draw_case(case: Case, runs: dict[Method, Runs], folder: Path) -> Path:
    """The first run of each method, its b, and the learned gains."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(WIDTH, HEIGHT), layout="constrained")
    for method, colour in COLOURS.items():
        states, barrier = runs[method].states[:, 0], runs[method].barrier[:, 0]
        left.plot(*case.path(states), color=colour, label=SHORT[method])
        middle.plot([case.dt * tick for tick in range(len(barrier))], barrier, color=colour)
    case.scenery(left, runs[Method.OURS].states[:, 0])
    left.set(xlabel=case.axes[0], ylabel=case.axes[1], title=case.title)
    left.legend(fontsize=7)
    middle.axhline(0, color="k", linewidth=0.8)
    middle.set_yscale("symlog", linthresh=1.0)
    middle.set(xlabel="t [s]", ylabel=f"least b [{case.unit}]", title="barrier, logarithmic beyond ±1")
    for method in (Method.PUBLISHED, Method.OURS):
        gains = runs[method].gains[:, 0]
        for order in range(case.degree):
            for row in range(case.barriers if method is Method.PUBLISHED or order == case.degree - 1 else 1):
                style = "--" if order < case.degree - 1 else "-"
                label = f"{SHORT[method]}, p{order + 1}" if row == 0 else None
                right.plot(
                    [case.dt * tick for tick in range(len(gains))],
                    gains[:, order, row],
                    style,
                    color=COLOURS[method],
                    alpha=1.0 if row == 0 else 0.5,
                    label=label,
                )
    right.set(xlabel="t [s]", ylabel="gain [1/s]", ylim=(0, 4.1), title="learned gains")
    right.legend(fontsize=7)
    return _save(figure, folder / f"{case.name}.png")


def draw_dips(folder: Path) -> Path:
    """b along the published merging, textbook row and ours."""
    figure, panels = plt.subplots(1, 2, figsize=(WIDTH, HEIGHT), layout="constrained")
    for axes, (name, (case, gain)) in zip(panels, DIPS.items(), strict=True):
        for label, ours, colour in (("textbook", False, "tab:red"), ("ours", True, "tab:green")):
            b = dip(case, gain, ours)
            axes.plot([case.dt * case.steps * k / (len(b) - 1) for k in range(len(b))], b, color=colour, label=label)
        axes.axhline(0, color="k", linewidth=0.8)
        axes.set_yscale("symlog", linthresh=0.05)
        axes.set(xlabel="t [s]", ylabel="b [m]", title=f"{name}; logarithmic beyond ±0.05")
        axes.legend(fontsize=8)
    return _save(figure, folder / "dips.png")


def _save(figure: plt.Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)
    plt.close(figure)
    return path
