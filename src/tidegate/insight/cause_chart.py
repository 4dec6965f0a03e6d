# SPDX-License-Identifier: Apache-2.0
"""The chart of what moves the wheel: plain values in, one inline SVG out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tidegate.insight.charts import FOAM, INK, figure, svg


def cause_bars(ways: Sequence[dict[str, Any]]) -> str:
    """Mean change of curvature and force by each way, with its 95 % interval; ``ways`` as ``cause.findings`` gives."""
    with figure(0.27 * len(ways) + 0.8, columns=2, sharey=True) as (made, both):
        for axes, name in zip(both, ("curvature", "force"), strict=True):
            means = [row[name][0] for row in ways]
            spread = [[row[name][0] - row[name][1] for row in ways], [row[name][2] - row[name][0] for row in ways]]
            places = range(len(ways))
            axes.barh(places, means, xerr=spread, color=FOAM, ecolor=INK, height=0.7, error_kw={"linewidth": 0.9})
            axes.set(xlabel=f"change of the {name} [% of full scale]", xlim=(0, None))
            axes.grid(axis="y", visible=False)
        both[0].set_yticks(range(len(ways)), [row["way"] for row in ways], color=INK)
        both[0].invert_yaxis()
        return svg(made)
