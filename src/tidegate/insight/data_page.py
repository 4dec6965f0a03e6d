# SPDX-License-Identifier: Apache-2.0
"""The page about bags as data to learn from: tables, distributions, and pictures of typical and odd windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from tidegate.curation import tables
from tidegate.curation.examples import Example
from tidegate.curation.inspection import Inspection
from tidegate.insight import charts
from tidegate.insight.page import Section, Tile, gallery, page, picture, table
from tidegate.records import Floats

ROWS = 200
"""Bags, and leaks, that are listed; the JSON beside the page has all."""
WIDEST = 320
"""Pictures are no wider [px]: the page stays below 10 MB whatever the camera."""
Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""First and last picture of a window, (H, W, 3)."""


def data_page(found: Inspection, values: Mapping[str, Floats], pictures: Mapping[int, Pair]) -> str:
    """The page as text.

    Args:
        found: what is told.
        values: what is drawn as distributions, a number or more of each window, by name with unit, such as
            ``speed [m/s]``; NaN = unknown.
        pictures: of the examples, by index of the window.
    """
    every, usable = sum(found.verdicts.values()), found.verdicts.get("usable", 0)
    minutes = sum(bag.lasts_s for bag in found.bags.values()) / 60
    pairs = len({frozenset((leak.one, leak.other)) for leak in found.leaks})
    tiles = [
        Tile(str(len(found.bags)), "bags"),
        Tile(f"{minutes:.1f} min", "recorded"),
        Tile(str(every), "windows"),
        Tile(f"{usable / max(1, every):.0%}", "of them can be used"),
        Tile(str(found.verdicts.get("duplicate", 0)), "near-duplicates"),
        Tile(str(found.verdicts.get("inconsistent", 0)), "contradictions"),
        Tile(str(pairs), "pairs of bags with a stretch in common", not pairs),
    ]
    told = "5th, 50th and 95th percentile of the frames. Label noise: rms against the median of five frames."
    leak = "The same stretch in two bags: where one trains and the other tests, the test knows the answer."
    sections = [
        Section("Bags in time", "By the camera's stamps.", _table(tables.TIMING, tables.timing(found))),
        Section("What they show", told, _table(tables.CONTENT, tables.content(found))),
        Section("Distributions", "Of all windows.", distributions(values)),
        Section("Kinds of driving", "Usable windows.", _table(tables.KINDS, tables.kinds(found))),
        Section("Windows", "Each counts once.", _table(tables.WINDOWS, tables.windows(found))),
        Section("Leaks", leak if found.leaks else "No bag has a stretch of another.", _leaks(found)),
        Section("Typical windows", "First and last picture of each.", _windows(found.typical, pictures)),
        Section("Odd windows", "First and last picture of each.", _windows(found.odd, pictures)),
    ]
    if found.refused:
        rows = list(found.refused.items())
        sections.append(Section("Refused", "In no figure above.", _table(("bag", "why it cannot be used"), rows)))
    return page("tidegate: what is in the data", ", ".join(list(found.bags)[:6]), tiles, sections)


def distributions(values: Mapping[str, Floats]) -> str:
    """One histogram for each, side by side."""
    with charts.figure(2.4, columns=len(values), squeeze=False) as (made, axes):
        for axis, (name, drawn) in zip(axes[0], values.items(), strict=True):
            known = drawn[np.isfinite(drawn)]
            if len(known):
                low, high = (float(value) for value in np.quantile(known, (0.005, 0.995)))
                axis.hist(np.clip(known, low, high), bins=40, color=charts.FOAM, edgecolor="white", linewidth=0.4)
            axis.set_title(name if len(known) else f"{name}: unknown")
            axis.locator_params(axis="x", nbins=5)
        return charts.svg(made)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    left = f"<p>and {len(rows) - ROWS} more</p>" if len(rows) > ROWS else ""
    return table(head, rows[:ROWS]) + left


def _leaks(found: Inspection) -> str:
    return _table(tables.LEAKS, tables.leaking(found)) if found.leaks else ""


def _windows(examples: Sequence[Example], pictures: Mapping[int, Pair]) -> str:
    shown = []
    for one in examples:
        where = f"{one.bag} at {one.at_s:.1f} s"
        images = [picture(_small(image), where) for image in pictures.get(one.index, ())]
        shown.append((images, f"{where}: {one.why}"))
    return gallery(shown)


def _small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    if width <= WIDEST:
        return image
    size = (WIDEST, max(1, round(height * WIDEST / width)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
