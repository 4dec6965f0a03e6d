# SPDX-License-Identifier: Apache-2.0
"""One page on a replay: where it left the record, by how much, and which barrier row acted in each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from numpy.typing import NDArray

from tidegate.evaluation.difference import Difference, agreement
from tidegate.insight import charts
from tidegate.insight.page import Section, Tile, page, table
from tidegate.records import Floats

COLUMNS = 600
"""Stretches of time that the overview tells apart."""
CHARTS, PER_QUANTITY = 16, 6
"""Fields that get a chart: so many in all, so many of one quantity."""
INNER = (".margin", ".multiplier")
"""Ends of the names of what explains a difference; charted after what shows it."""
FAINTEST = 1e-9
"""Share of full scale that the overview begins to colour at, and the charts of gaps to draw."""
NONE = "–"


def comparison_page(
    title: str, subtitle: str, sides: tuple[str, str], differences: Sequence[Difference], notes: Sequence[str]
) -> str:
    """The page as text.

    Args:
        title, subtitle: at its head.
        sides: what to call ours and theirs, such as ('now', 'recorded').
        differences: of all fields that were compared.
        notes: what the reader should know, one line each.
    """
    beyond = _worst_first([one for one in differences if one.since is not None])
    sections = [
        Section("In one line", agreement(differences), "".join(f"<p>{escape(note)}</p>" for note in notes)),
        _overview(differences),
        *_rows(differences, sides),
        *_fields(beyond, sides),
        _table(differences),
    ]
    return page(title, subtitle, _tiles(differences, beyond), [one for one in sections if one is not None])


def _tiles(differences: Sequence[Difference], beyond: Sequence[Difference]) -> list[Tile]:
    since = min((one.since for one in beyond if one.since is not None), default=None)
    worst = max((one.largest for one in differences), default=0.0)
    return [
        Tile(str(len(differences)), "fields compared"),
        Tile(str(sum(one.at is None for one in differences)), "bit-equal"),
        Tile(str(len(beyond)), "beyond tolerance", not beyond),
        Tile(_share(worst), "largest, of full scale", None if not beyond else False),
        Tile(NONE if since is None else f"{since:.3f} s", "first beyond tolerance", since is None),
    ]


def _overview(differences: Sequence[Difference]) -> Section | None:
    """Largest gap of each quantity in each stretch of time."""
    quantities = list(dict.fromkeys(one.quantity for one in differences))
    end = max((float(one.time[-1]) for one in differences), default=0.0)
    if not end:
        return None
    picture = np.zeros((len(quantities), COLUMNS))
    for one in differences:
        place = np.minimum((one.time / end * COLUMNS).astype(int), COLUMNS - 1)
        np.maximum.at(picture[quantities.index(one.quantity)], place, np.minimum(one.gap, 1.0))
    picture = _held(picture)
    with charts.figure(0.34 * len(quantities) + 0.9) as (made, axes):
        shown = axes.imshow(
            np.where(picture < FAINTEST, np.nan, picture),
            aspect="auto",
            cmap="YlOrRd",
            norm=LogNorm(FAINTEST, 1.0),
            extent=(0.0, end, len(quantities) - 0.5, -0.5),
            interpolation="nearest",
        )
        axes.grid(False)
        axes.set_yticks(range(len(quantities)), quantities)
        axes.set_xlabel("time [s]")
        made.colorbar(shown, ax=axes, label="of full scale", pad=0.02).outline.set_visible(False)
        body = charts.svg(made)
    note = f"Largest difference of any field of a quantity; blank where it is below {FAINTEST:g} of full scale."
    return Section("Where", note, body)


def _held(picture: Floats) -> Floats:
    """A quantity of the camera's rate has a value in every few columns: hold it where its columns are empty."""
    for row in picture:
        filled = np.flatnonzero(row)
        if len(filled) > 1:
            step = int(np.median(np.diff(filled)))
            for place in filled:
                row[place : place + step] = np.maximum(row[place : place + step], row[place])
    return picture


def _rows(differences: Sequence[Difference], sides: tuple[str, str]) -> list[Section]:
    """Which row changed the command, and the rung of the ladder, on both sides."""
    titles = {
        "filter.intervened": ("Active barrier row", "The barrier that changed the command most; blank = none."),
        "filter.mode": ("Rung of the safety ladder", "Mode of the safety filter."),
    }
    return [
        Section(titles[one.name][0], titles[one.name][1], _strips(one, sides))
        for one in differences
        if one.name in titles and len(one.time) > 1
    ]


def _strips(one: Difference, sides: tuple[str, str]) -> str:
    """A field of words as two coloured strips, and where they differ."""
    words = sorted(set(one.ours.tolist()) | set(one.theirs.tolist()))
    named = [word for word in words if word]
    colours = ["none" if not word else charts.ROWS[named.index(word) % len(charts.ROWS)] for word in words]
    edges = float(one.time[0]), float(one.time[-1])
    with charts.figure(1.5, rows=3, sharex=True, height_ratios=(2, 2, 1)) as (made, axes):
        for axis, side, name in zip(axes, (one.theirs, one.ours), reversed(sides), strict=False):
            _strip(axis, np.searchsorted(words, side), ListedColormap(colours), len(words), edges, name)
        _strip(axes[2], (one.gap > 0).astype(int), ListedColormap(["none", charts.CORAL]), 2, edges, "differ")
        for word in named:
            axes[0].plot([], [], color=charts.ROWS[named.index(word) % len(charts.ROWS)], linewidth=6, label=word)
        axes[2].set_xlabel("time [s]")
        charts.legend(axes[0])
        return charts.svg(made)


def _strip(
    axis: Axes,
    index: NDArray[np.int64],
    colours: ListedColormap,
    count: int,
    edges: tuple[float, float],
    name: str,
) -> None:
    axis.imshow(
        index[None],
        aspect="auto",
        cmap=colours,
        vmin=-0.5,
        vmax=count - 0.5,
        extent=(*edges, 0, 1),
        interpolation="nearest",
    )
    axis.grid(False)
    axis.set_yticks([0.5], [name])


def _fields(beyond: Sequence[Difference], sides: tuple[str, str]) -> list[Section]:
    """A chart of each of the fields that differ most."""
    chosen: list[Difference] = []
    for one in sorted(beyond, key=lambda one: one.name.endswith(INNER)):
        of_its_kind = sum(other.quantity == one.quantity for other in chosen)
        if one.ours.dtype.kind == "f" and of_its_kind < PER_QUANTITY and len(one.time) > 1:
            chosen.append(one)
    return [
        Section(
            one.name,
            f"Beyond its tolerance of {one.tolerance:.2g} from {one.since:.3f} s on, at most {_share(one.largest)} of "
            f"full scale, at {one.at:.3f} s; {int(one.beyond.sum())} of {one.count} records.",
            _field(one, sides),
        )
        for one in chosen[:CHARTS]
    ]


def _field(one: Difference, sides: tuple[str, str]) -> str:
    """Both sides over time, and below how far they are apart."""
    with charts.figure(2.7, rows=2, sharex=True, height_ratios=(2, 1)) as (made, (values, gaps)):
        for side, name, colour, width in (
            (one.theirs, sides[1], charts.SAND, 2.6),
            (one.ours, sides[0], charts.SEA, 1.2),
        ):
            charts.line(values, one.time, np.where(np.isfinite(side), side, np.nan), colour, name, linewidth=width)
        charts.legend(values)
        charts.line(gaps, one.time, np.clip(one.gap, FAINTEST, 1e3), charts.CORAL)
        gaps.axhline(max(one.tolerance, FAINTEST), color=charts.MUTED, linewidth=1, linestyle="--")
        gaps.set(yscale="log", ylabel="difference", xlabel="time [s]", xlim=(one.time[0], one.time[-1]))
        return charts.svg(made)


def _table(differences: Sequence[Difference]) -> Section:
    """Every field that is not bit-equal."""
    head = ("field", "compared", "bit-equal", "largest", "at [s]", "tolerance", "beyond", "since [s]")
    rows = [
        (
            one.name,
            str(one.count),
            str(one.equal),
            _share(one.largest),
            f"{one.at:.3f}",
            f"{one.tolerance:.2g}",
            str(int(one.beyond.sum())),
            NONE if one.since is None else f"{one.since:.3f}",
        )
        for one in _worst_first([one for one in differences if one.at is not None])
    ]
    note = "All that is not bit-equal, the farthest beyond its tolerance first; differences are shares of full scale."
    return Section("Fields", note, table(head, rows) if rows else "<p>Every field is bit-equal.</p>")


def _worst_first(differences: Sequence[Difference]) -> list[Difference]:
    return sorted(differences, key=lambda one: -one.largest / max(one.tolerance, 1e-15))


def _share(value: float) -> str:
    return "on one side alone" if math.isinf(value) else f"{value:.2g}"
