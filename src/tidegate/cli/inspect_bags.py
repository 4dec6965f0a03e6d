# SPDX-License-Identifier: Apache-2.0
"""The half of ``tidegate inspect`` that looks at bags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tidegate.bag import BagReader, frames_at
from tidegate.cli.common import check_file, json_text
from tidegate.cli.curate import look_at
from tidegate.cli.info import WIDTH
from tidegate.curation import tables
from tidegate.curation.curate import Seen
from tidegate.curation.inspection import Inspection, Notes, inspect
from tidegate.curation.rules import Rules
from tidegate.curation.windows import CURVATURE, LIGHT, SPEED
from tidegate.errors import DependencyError
from tidegate.robot import Car
from tidegate.settings import Settings

LISTED = 40
"""Bags, and leaks, that the terminal lists."""


def inspect_bags(
    bags: Sequence[Path], settings: Settings, rules: Rules, work: Path, remap: Mapping[str, str], html: Path | None
) -> None:
    """Print tables, and write the page and its JSON where ``html`` says."""
    if html is not None:
        check_file(html)
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)
    notes = Notes(rules, settings.perception, Car.from_settings(settings).effective_mass)
    seen = look_at(console, bags, settings, rules, work, remap, notes.keep)
    found = inspect(seen, notes, rules)
    for head, rows in (
        (tables.TIMING, tables.timing(found)),
        (tables.CONTENT, tables.content(found)),
        (tables.WINDOWS, tables.windows(found)),
        (tables.KINDS, tables.kinds(found)),
        (tables.LEAKS, tables.leaking(found)),
    ):
        if rows:
            console.print(_table(head, rows))
    if html is not None:
        write_page(html, found, seen, notes, remap)
        console.print(
            f"page: {escape(str(html))}, and {escape(html.with_suffix('.json').name)} beside it", soft_wrap=True
        )


def write_page(html: Path, found: Inspection, seen: Seen, notes: Notes, remap: Mapping[str, str]) -> None:
    """The page, and the same as JSON beside it.

    Raises:
        DependencyError: what draws it is not installed.
    """
    try:
        from tidegate.insight.data_page import data_page
    except ImportError as error:
        raise DependencyError(f"--html needs more: {error}; type: pip install 'tidegate[insight]'") from error
    figures = seen.table().figures.astype(np.float64)
    values = {
        "curvature [1/m]": figures[:, CURVATURE].ravel(),
        "speed [m/s]": figures[:, SPEED].ravel(),
        "brightness (of 255)": figures[:, LIGHT],
    }
    text = data_page(found, values, _pictures(found, seen, notes, remap))
    html.parent.mkdir(parents=True, exist_ok=True)
    html.write_text(text, encoding="utf-8")
    html.with_suffix(".json").write_text(json_text(asdict(found)), encoding="utf-8")


def _pictures(
    found: Inspection, seen: Seen, notes: Notes, remap: Mapping[str, str]
) -> dict[int, tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """First and last picture of the windows that are shown; each of their bags is read once more, undecoded."""
    table = seen.table()
    ends: dict[int, tuple[int, int]] = {}
    for index in {one.index for one in (*found.typical, *found.odd)}:
        stamps = notes.stamps[table.bag[index]]
        first = int(table.frame[index])
        ends[index] = int(stamps[first]), int(stamps[first + int(table.length[index]) - 1])
    shown: dict[int, tuple[NDArray[np.uint8], NDArray[np.uint8]]] = {}
    for bag in sorted({int(table.bag[index]) for index in ends}):
        mine = {index: pair for index, pair in ends.items() if table.bag[index] == bag}
        frames = frames_at(BagReader(seen.bags[bag], remap), {stamp for pair in mine.values() for stamp in pair})
        shown |= {index: (frames[first], frames[last]) for index, (first, last) in mine.items()}
    return shown


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    made = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for number, column in enumerate(head):
        made.add_column(escape(column), justify="left" if number == 0 or column == "what" else "right", no_wrap=True)
    for row in rows[:LISTED]:
        made.add_row(*(escape(cell) for cell in row))
    if len(rows) > LISTED:
        made.add_row(f"and {len(rows) - LISTED} more")
    return made
