# SPDX-License-Identifier: Apache-2.0
"""Charts of the neurons: each takes plain arrays and returns one inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from numpy.typing import NDArray

from tidegate.insight.charts import CORAL, FOAM, GRID, INK, MUTED, SEA, figure, legend, svg
from tidegate.records import Floats

COLUMNS = 5
"""Small charts side by side."""


def lesion_bars(rows: Sequence[dict[str, Any]]) -> str:
    """What each lesion does: ``damage`` without the filter every drive a dot, and how many were safe behind it."""
    rows = [row for row in rows if row["kind"] != "intact"]
    with figure(0.24 * len(rows) + 0.8, columns=2, sharey=True, width_ratios=(3, 1)) as (made, (left, right)):
        for place, row in enumerate(rows):
            left.barh(place, row["damage"] or 0.0, color=FOAM, height=0.72)
            dots = list(row["damage_by_drive"].values())
            left.plot(dots, [place] * len(dots), "o", color=SEA, markersize=3, label="one drive" if not place else None)
            right.barh(place, row["driven"], color=CORAL, height=0.72, label="not safe" if not place else None)
            right.barh(place, row["safe"], color=SEA, height=0.72, label="safe" if not place else None)
        left.set_yticks(range(len(rows)), [row["lesion"] for row in rows], color=INK)
        left.invert_yaxis()
        left.set(xlim=(0, 1.02), xlabel="damage without the filter (1 = does not drive)")
        right.set(xlabel="drives behind the filter")
        for axes in (left, right):
            axes.grid(axis="y", visible=False)
            legend(axes)
        return svg(made)


def on_the_map(position: Floats, values: Floats, names: Sequence[str], unit: str = "") -> str:
    """The way (T, 2) [m] once per neuron, from dark to bright as its value (T, N) goes from least to largest."""
    every = max(1, len(position) // 400)
    position, values = position[::every], values[::every]
    pieces = np.stack([position[:-1], position[1:]], axis=1)
    rows = -(-len(names) // COLUMNS)
    with figure(1.35 * rows + 0.3, rows, COLUMNS, squeeze=False, dpi=150) as (made, grid):
        for axes in grid.flat:
            axes.axis("off")
        for column, (axes, name) in enumerate(zip(grid.flat, names, strict=False)):
            lines = LineCollection(list(pieces), cmap="viridis", linewidth=2.6, rasterized=True, capstyle="round")
            lines.set_array(values[:-1, column])
            axes.add_collection(lines)
            axes.plot(*position[0], "o", color=INK, markersize=3)
            axes.set_title(name, fontsize=8)
            reach = f"{values[:, column].min():.2g} … {values[:, column].max():.2g}{unit}"
            axes.set_title(reach, loc="right", fontsize=6.5, color=MUTED, fontweight="normal")
            axes.set_aspect("equal", adjustable="datalim")
            axes.autoscale_view()
        return svg(made)


def phase_portraits(neurons: Floats, command: Floats, names: Sequence[str], titles: Sequence[str], label: str) -> str:
    """Each neuron (T, N) against a command (T,) that ``label`` names, in the colour of time; ``titles`` say more."""
    every = max(1, len(command) // 500)
    neurons, command = neurons[::every], command[::every]
    rows = -(-len(names) // COLUMNS)
    with figure(1.5 * rows + 0.3, rows, COLUMNS, squeeze=False, sharey=True, dpi=150) as (made, grid):
        for axes in grid.flat[len(names) :]:
            axes.axis("off")
        for column, axes in enumerate(grid.flat[: len(names)]):
            axes.plot(neurons[:, column], command, color=GRID, linewidth=0.7, rasterized=True)
            axes.scatter(
                neurons[:, column], command, c=range(len(command)), cmap="viridis", s=3, rasterized=True, zorder=3
            )
            axes.set_title(names[column], fontsize=8)
            axes.set_title(titles[column], loc="right", fontsize=7, color=MUTED, fontweight="normal")
            axes.tick_params(labelsize=6.5)
        made.supylabel(label, color=MUTED, fontsize=9)
        made.supxlabel("state; dark is early, bright is late", color=MUTED, fontsize=9)
        return svg(made)


def encoding_heat(bits: Floats, told: NDArray[np.bool_], neurons: Sequence[str], known: Sequence[str]) -> str:
    """Mutual information (N, K) as colour and number; in grey what is no more than the baseline (``told`` is false)."""
    with figure(0.27 * len(neurons) + 0.9) as (made, axes):
        picture = axes.imshow(np.where(told, bits, np.nan), aspect="auto", cmap="YlGnBu", vmin=0)
        axes.grid(False)
        for row, column in np.ndindex(bits.shape):
            dark = told[row, column] and bits[row, column] > 0.6 * np.nanmax(np.where(told, bits, np.nan))
            colour = "white" if dark else INK if told[row, column] else "#aab6bc"
            axes.text(column, row, f"{bits[row, column]:.2f}", ha="center", va="center", fontsize=7, color=colour)
        axes.set_yticks(range(len(neurons)), neurons, fontsize=7.5)
        axes.set_xticks(range(len(known)), [name.split(" [")[0] for name in known], fontsize=7.5)
        axes.xaxis.tick_top()
        made.colorbar(picture, ax=axes, label="bits", shrink=0.8, pad=0.02).outline.set_visible(False)
        return svg(made)
