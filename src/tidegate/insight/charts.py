# SPDX-License-Identifier: Apache-2.0
"""Charts of the report: each takes plain arrays and returns one inline SVG. One palette, one grid, for all of them."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tidegate.records import Floats

INK, MUTED, GRID = "#1c2b33", "#5b6b75", "#e3e9ec"
SEA, FOAM, SAND, CORAL, LEAF = "#0b6e8f", "#8ecae0", "#d98e04", "#c8442f", "#3d8f5f"
ROWS = ("#0b6e8f", "#d98e04", "#3d8f5f", "#c8442f", "#7a5195", "#5b8c99", "#a05d2a", "#b83280", "#4c6a2d", "#3b5bdb")
WIDTH = 9.2
BESIDE, BELOW, ABOVE = 0.6, 0.45, 0.28
"""Room for the ticks and titles of stacked strips [inch]."""

STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.4,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "tidegate",
}


@contextmanager
def figure(height: float, rows: int = 1, columns: int = 1, **keywords: Any) -> Iterator[tuple[Figure, Any]]:
    """A styled figure that is closed afterwards; ``height`` [inch]."""
    with plt.rc_context(STYLE):
        keywords = {"layout": "constrained"} | keywords
        made, axes = plt.subplots(rows, columns, figsize=(WIDTH, height), **keywords)
        try:
            yield made, axes
        finally:
            plt.close(made)


def svg(made: Figure) -> str:
    """The figure as an ``<svg>`` element that scales with its page; identifiers are unique to this figure."""
    buffer = io.StringIO()
    made.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    prefix = f"f{hashlib.sha256(text.encode()).hexdigest()[:10]}"
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r'(href="#|url\(#)', rf"\1{prefix}-", text)
    text = re.sub(r"font: ([\d.]+)px[^;\"]*", r"font: \1px system-ui, sans-serif", text)
    return re.sub(
        r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1), count=1
    )


def thin(time: Floats, values: Floats, points: int = 1200) -> tuple[Floats, Floats]:
    """Keep the smallest and the largest value of each stretch, so that no spike is lost from a long series."""
    stretch = 2 * len(time) // points
    if stretch < 2:
        return time, values
    whole = len(time) // stretch * stretch
    blocks = values[:whole].reshape(-1, stretch)
    filled = np.where(np.isfinite(blocks), blocks, np.nan)
    empty = np.isnan(filled).all(axis=1)
    low = np.where(empty, 0, np.argmin(np.where(np.isnan(filled), np.inf, filled), axis=1))
    high = np.where(empty, 0, np.argmax(np.where(np.isnan(filled), -np.inf, filled), axis=1))
    start = np.arange(len(blocks)) * stretch
    index = np.sort(np.stack([start + low, start + high], axis=1), axis=1).ravel()
    index = np.append(index, np.arange(whole, len(time)))
    return time[index], values[index]


def line(axes: Axes, time: Floats, values: Floats, colour: str, label: str = "", **keywords: Any) -> None:
    """Draw one thinned series."""
    axes.plot(*thin(time, values), color=colour, label=label or None, **keywords)


def shade(axes: Axes, spans: Sequence[tuple[float, float]], colour: str, label: str = "") -> None:
    """Mark stretches of time."""
    for number, (start, end) in enumerate(spans):
        axes.axvspan(start, end, color=colour, alpha=0.16, linewidth=0, label=label if label and number == 0 else None)


def mark(axes: Axes, at: float | None) -> None:
    """Draw a moment [s]; None = none."""
    if at is not None:
        axes.axvline(at, color=INK, linewidth=1.2, linestyle=":")


def legend(axes: Axes) -> None:
    """A legend above the axes, out of the way of the data."""
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=6, borderaxespad=0.1, handlelength=1.4)


def lap_map(
    path: Floats, speed: Floats, marks: Mapping[str, Floats], road: Floats | None = None, half_width: float = 3.5
) -> str:
    """Seen from above: ``path`` (K, 2) [m] coloured by ``speed`` (K,), ``marks`` (M, 2) where each row intervened."""
    every = max(1, len(path) // 1500)
    path, speed = path[::every], speed[::every]
    with figure(4.6) as (made, axes):
        if road is not None:
            axes.plot(road[:, 0], road[:, 1], color="#d5dde1", linewidth=7, solid_capstyle="round", zorder=1)
            axes.plot(road[:, 0], road[:, 1], color="white", linewidth=0.8, linestyle=(0, (4, 4)), zorder=2)
        pieces = np.stack([path[:-1], path[1:]], axis=1)
        lines = LineCollection(list(pieces), cmap="viridis", linewidth=2.2, zorder=3, capstyle="round")
        lines.set_array(speed[:-1])
        axes.add_collection(lines)
        for (name, points), colour in zip(marks.items(), ROWS, strict=False):
            axes.scatter(points[:, 0], points[:, 1], s=26, color=colour, edgecolor="white", label=name, zorder=5)
        for point, text, above in ((path[0], "start", 7), (path[-1], "end", -14)):
            axes.annotate(
                text, point, xytext=(6, above), textcoords="offset points", color=INK, fontweight="bold", zorder=6
            )
            axes.plot(*point, "o", color=INK, markersize=5, zorder=6)
        axes.set_aspect("equal", adjustable="datalim")
        axes.autoscale_view()
        axes.set(xlabel="x [m]", ylabel="y [m]")
        made.colorbar(lines, ax=axes, label="speed [m/s]", shrink=0.8, pad=0.02).outline.set_visible(False)
        legend(axes)
        return svg(made)


def lane_error(
    time: Floats, estimate: Floats, bound: Floats, truth: tuple[Floats, Floats] | None, half_room: float | None
) -> str:
    """Lateral distance from the lane centre [m]: what the camera says with its error bound, and the truth."""
    with figure(2.5) as (made, axes):
        known = np.isfinite(bound)
        axes.fill_between(
            time,
            np.where(known, estimate - bound, np.nan),
            np.where(known, estimate + bound, np.nan),
            color=FOAM,
            alpha=0.35,
            linewidth=0,
            label="error bound",
        )
        line(axes, time, estimate, SEA, "camera")
        if truth is not None:
            line(axes, *truth, INK, "truth", linewidth=1.1)
        if half_room is not None:
            for side in (-half_room, half_room):
                axes.axhline(side, color=CORAL, linewidth=1, linestyle="--")
        axes.set(xlabel="time [s]", ylabel="offset [m]", xlim=_span(time))
        most = max(1.0, float(np.nanmax(np.abs(estimate), initial=0.0)) * 1.3)
        axes.set_ylim(-most, most)
        legend(axes)
        return svg(made)


def series(
    curves: Sequence[tuple[str, Floats, Floats]],
    ylabel: str,
    *,
    height: float = 2.2,
    limit: float | None = None,
    spans: Sequence[tuple[float, float]] = (),
    spans_label: str = "",
    at: float | None = None,
) -> str:
    """Named curves (label, time, values) over time, with stretches shaded, a limit drawn and a moment marked."""
    with figure(height) as (made, axes):
        shade(axes, spans, SAND, spans_label)
        for (label, time, values), colour in zip(curves, (SEA, SAND, INK, LEAF, CORAL), strict=False):
            line(axes, time, values, colour, label)
        if limit is not None:
            axes.axhline(limit, color=CORAL, linewidth=1, linestyle="--", label="limit")
        mark(axes, at)
        axes.set(xlabel="time [s]", ylabel=ylabel, xlim=_span(*(time for _, time, _ in curves)))
        legend(axes)
        return svg(made)


def barriers(
    time: Floats,
    values: Mapping[str, Floats],
    active: Mapping[str, Sequence[tuple[float, float]]],
    at: float | None = None,
) -> str:
    """One strip per barrier: its value h over time, zero drawn, and where its row changed the command."""
    with _strips(time, values) as (made, axes):
        for axis, (name, h), colour in zip(axes, values.items(), ROWS * 3, strict=False):
            shade(axis, active.get(name, ()), SAND)
            axis.axhline(0, color=CORAL, linewidth=1)
            mark(axis, at)
            line(axis, time, h, colour)
            finite = h[np.isfinite(h)]
            least = f"smallest {finite.min():.3g}" if len(finite) else "not in use"
            axis.set_title(least, loc="right", color=MUTED, fontweight="normal", fontsize=8.5)
        return svg(made)


def wanted_and_allowed(
    time: Floats, pairs: Mapping[str, tuple[Floats, Floats]], active: Sequence[tuple[float, float]], spans_label: str
) -> str:
    """One strip per name: what was wanted and what was allowed over time, with stretches shaded."""
    with _strips(time, pairs) as (made, axes):
        for axis, (wanted, allowed) in zip(axes, pairs.values(), strict=True):
            first = axis is axes[0]
            shade(axis, active, SAND, spans_label if first else "")
            line(axis, time, wanted, SAND, "wanted" if first else "")
            line(axis, time, allowed, SEA, "allowed" if first else "")
        legend(axes[0])
        return svg(made)


@contextmanager
def _strips(time: Floats, names: Collection[str]) -> Iterator[tuple[Figure, list[Axes]]]:
    """Strips over one time axis, each below its name."""
    height, rows = 1.15 * len(names) + 0.4, len(names)
    with figure(height, rows, sharex=True, squeeze=False, layout="none") as (made, axes):
        strip = (height - BELOW - ABOVE * rows) / rows
        edges = {"left": BESIDE / WIDTH, "right": 0.99, "bottom": BELOW / height, "top": 1 - ABOVE / height}
        made.subplots_adjust(**edges, hspace=ABOVE / strip)  # to look for room itself takes it as long as to draw
        for axis, name in zip(axes[:, 0], names, strict=True):
            axis.set_title(name)
        axes[-1, 0].set(xlabel="time [s]", xlim=_span(time))
        yield made, list(axes[:, 0])


def histogram(values: Floats, xlabel: str, marks: Mapping[str, float]) -> str:
    """How often each value came; ``marks`` are drawn and named."""
    with figure(2.2) as (made, axes):
        high = float(np.quantile(values, 0.999)) * 1.05 + 1e-9
        axes.hist(np.clip(values, 0, high), bins=60, range=(0, high), color=FOAM, edgecolor="white", linewidth=0.4)
        for (name, value), colour in zip(marks.items(), (SEA, CORAL, SAND), strict=False):
            axes.axvline(value, color=colour, linewidth=1.6, label=f"{name} {value:.1f}")
        axes.set(xlabel=xlabel, ylabel="commands")
        legend(axes)
        return svg(made)


def heat(
    time: Floats,
    neurons: NDArray[np.floating[Any]],
    names: Sequence[str],
    at: float | None = None,
    label: str = "state",
) -> str:
    """State of each neuron (T, N), or what else ``label`` says, over time."""
    every = max(1, len(time) // 800)
    shown = neurons[::every].T
    most = max(1e-6, float(np.quantile(np.abs(shown), 0.995)))
    with figure(3.4) as (made, axes):
        edges = (float(time[0]), float(time[-1]), len(names) - 0.5, -0.5)
        picture = axes.imshow(
            shown, aspect="auto", cmap="RdBu_r", vmin=-most, vmax=most, extent=edges, interpolation="nearest"
        )
        axes.grid(False)
        mark(axes, at)
        axes.set_yticks(range(len(names)), names, fontsize=7.5)
        axes.set_xlabel("time [s]")
        made.colorbar(picture, ax=axes, label=label, shrink=0.8, pad=0.02).outline.set_visible(False)
        return svg(made)


def _span(*times: Floats) -> tuple[float, float]:
    filled = [time for time in times if len(time)]
    if not filled:
        return 0.0, 1.0
    low, high = min(float(time[0]) for time in filled), max(float(time[-1]) for time in filled)
    return low, high if high > low else low + 1.0
