# SPDX-License-Identifier: Apache-2.0
"""An inspection as tables of text, for the terminal and for the page."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tidegate.curation.inspection import Inspection
from tidegate.curation.plan import VERDICTS

Rows = list[tuple[str, ...]]

TIMING = (
    "bag",
    "frames",
    "s",
    "episodes",
    "Hz",
    "jitter [ms]",
    "gaps",
    "longest [ms]",
    "labelled",
    "repeated",
    "blind",
)
CONTENT = (
    "bag",
    "speed [m/s]",
    "standing",
    "curvature [1/m]",
    "acceleration [m/s²]",
    "light (of 255)",
    "noise [1/m, m/s²]",
)
WINDOWS = ("windows", "count", "what")
KINDS = ("turn, light, speed", "windows", "share")
LEAKS = ("windows of", "are also in", "windows", "share")


def timing(found: Inspection) -> Rows:
    """When frames came, and how many tell something."""
    return [
        (
            name + (" (interrupted or damaged)" if bag.interrupted else ""),
            str(bag.frames),
            f"{bag.lasts_s:.1f}",
            str(len(bag.episodes_s)),
            _number(bag.rate_hz, ".2f"),
            _number(1e3 * bag.jitter_s, ".2f"),
            str(bag.gaps),
            _number(1e3 * bag.longest_s, ".0f"),
            f"{bag.labelled:.0%}",
            f"{bag.repeated:.0%}",
            f"{bag.blind:.0%}",
        )
        for name, bag in found.bags.items()
    ]


def content(found: Inspection) -> Rows:
    """What they show and ask for: 5th, 50th and 95th percentile."""
    return [
        (
            name,
            _three(bag.speed, ".1f"),
            f"{bag.standing:.0%}",
            _three(bag.curvature, "+.4f"),
            _three(bag.acceleration, "+.2f"),
            _three(bag.light, ".0f"),
            f"{_number(bag.noise[0], '.1g')}, {_number(bag.noise[1], '.1g')}",
        )
        for name, bag in found.bags.items()
    ]


def windows(found: Inspection) -> Rows:
    """Windows by what is wrong with them."""
    what = {"usable": "nothing is wrong with them", **VERDICTS}
    return [(name, str(count), what[name]) for name, count in found.verdicts.items()]


def kinds(found: Inspection) -> Rows:
    """Windows by turn, light and speed."""
    every = sum(found.kinds.values())
    return [(name, str(count), f"{count / every:.0%}") for name, count in found.kinds.items()]


def leaking(found: Inspection) -> Rows:
    """The same stretch in two bags."""
    return [
        (leak.one, leak.other, f"{leak.windows} of {leak.of}", f"{leak.windows / leak.of:.0%}") for leak in found.leaks
    ]


def _number(value: float, form: str) -> str:
    return "–" if math.isnan(value) else format(value, form)


def _three(values: Sequence[float], form: str) -> str:
    return "–" if math.isnan(values[0]) else " ".join(format(value, form) for value in values)
