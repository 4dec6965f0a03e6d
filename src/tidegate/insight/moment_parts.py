# SPDX-License-Identifier: Apache-2.0
"""What several sections of the page about a moment need: numbers, columns, charts with a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from tidegate.insight import charts
from tidegate.insight.drive import stretches
from tidegate.insight.intervention import Facts
from tidegate.insight.page import scrolled
from tidegate.records import Floats

NONE = "–"


def number(value: float | None, digits: int, unit: str = "") -> str:
    """A number as the page shows it; a dash where there is none."""
    if value is None:
        return NONE
    rounded = round(value, digits) or 0.0  # no minus before a zero
    return f"{rounded:,.{digits}f}".replace("-", "−") + (f" {unit}" if unit else "")


def drawn(svg: str, words: str) -> str:
    """A chart with its name, which a narrow screen scrolls."""
    return scrolled(f'<div class="chart" role="img" aria-label="{escape(words)}">{svg}</div>')


def column(values: Sequence[float | None]) -> Floats:
    """Plain values as an array; None is NaN."""
    return np.array([np.nan if value is None else value for value in values], np.float64)


def acting(ticks: Mapping[str, Any], row: str | None = None) -> list[tuple[float, float]]:
    """Stretches [s] in which ``row``, or any, changed the command."""
    names = np.array(ticks["row"], np.str_)
    return stretches(names != "" if row is None else names == row, column(ticks["time_s"]))


def heat(told: Facts) -> str:
    """State of each neuron over the window; empty where the policy was not run."""
    frames = [one for one in told["frames"] if one["neurons"]]
    if len(frames) < 2 or not told["neurons"]:
        return ""
    time = column([one["time_s"] for one in frames])
    values = np.array([one["neurons"] for one in frames], np.float32)
    return drawn(charts.heat(time, values, list(told["neurons"]), told["at_s"]), "state of each neuron over time")
