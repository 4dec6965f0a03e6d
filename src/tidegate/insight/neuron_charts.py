# SPDX-License-Identifier: Apache-2.0
"""Charts of the neurons: each takes plain arrays and returns one inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tidegate.insight.charts import CORAL, FOAM, INK, SEA, figure, legend, svg


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
