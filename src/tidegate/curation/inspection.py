# SPDX-License-Identifier: Apache-2.0
"""What is in bags as data to learn from: timing, content, repetition, noise of the labels, and leaks between bags."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tidegate.bag import Drive, labelled, measure
from tidegate.bag.align import PAUSE_MAX_S
from tidegate.curation.curate import Seen
from tidegate.curation.distance import nearest
from tidegate.curation.examples import Example, odd, typical
from tidegate.curation.look import PIXELS, SAME, blind, brightness, plain
from tidegate.curation.plan import VERDICTS, verdict_of
from tidegate.curation.rules import Rules
from tidegate.curation.select import duplicates, inconsistent, strata_of
from tidegate.curation.windows import WindowTable
from tidegate.records import NANOSECONDS, Floats
from tidegate.settings.perception import PerceptionSettings

LEVELS = (0.05, 0.5, 0.95)
"""Quantiles that are told."""
STEP = 2
"""Frames between pictures of a bag that a window of another one is looked for among."""
AROUND = 2
"""Frames on either side that a label is compared with the median of."""


@dataclass(frozen=True, slots=True)
class BagFacts:
    """One bag.

    Attributes:
        path, sha256: which.
        frames, lasts_s: how many, and from first to last [s].
        episodes_s: lengths [s] of what lies between pauses.
        rate_hz, jitter_s, gaps, longest_s: of the camera, as ``tidegate info`` tells them.
        interrupted: cut off or damaged.
        labelled, blind, repeated, standing: shares of the frames that have a command, show nothing, are the frame
            before again, and in which the car stands.
        speed, curvature, acceleration, light: quantiles (``LEVELS``) [m/s, 1/m, m/s², of 255]; NaN = unknown.
        noise: rms [1/m, m/s²] of the labels' difference to the median of the five frames around.
        verdicts: windows by what is wrong with them; ``usable`` the rest.
    """

    path: Path
    sha256: str
    frames: int
    lasts_s: float
    episodes_s: tuple[float, ...]
    rate_hz: float
    jitter_s: float
    gaps: int
    longest_s: float
    interrupted: bool
    labelled: float
    blind: float
    repeated: float
    standing: float
    speed: tuple[float, ...]
    curvature: tuple[float, ...]
    acceleration: tuple[float, ...]
    light: tuple[float, ...]
    noise: tuple[float, float]
    verdicts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Leak:
    """``windows`` of bag ``one`` (of ``of`` that can be used) whose first picture is also, nearly, in ``other``."""

    one: str
    other: str
    windows: int
    of: int


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is in bags.

    Attributes:
        bags: by name; ``refused`` those that cannot be used at all, by path, and why.
        verdicts: windows of all bags by what is wrong with them; ``usable`` the rest.
        kinds: usable windows by turn, light and speed.
        leaks: the same stretch in two bags, the worst first.
        typical, odd: examples.
    """

    bags: Mapping[str, BagFacts]
    refused: Mapping[str, str]
    verdicts: Mapping[str, int]
    kinds: Mapping[str, int]
    leaks: tuple[Leak, ...]
    typical: tuple[Example, ...]
    odd: tuple[Example, ...]


class Notes:
    """Takes of each drive what an inspection needs, 40 B a frame; ``Seen`` is given its ``keep``."""

    def __init__(self, rules: Rules, shape: PerceptionSettings, mass_kg: float) -> None:
        self._rules, self._shape, self._mass = rules, shape, mass_kg
        self.facts: list[BagFacts] = []
        self.stamps: list[NDArray[np.int64]] = []
        self.pictures: list[NDArray[np.uint8]] = []
        """(T / STEP, PIXELS) of each bag."""

    def keep(self, drive: Drive) -> None:
        """Take in a drive of ``look``."""
        self.stamps.append(drive.stamp)
        self.pictures.append(drive.images[::STEP, :PIXELS].copy())
        timing, stamp = measure(drive.stamp.tolist()), drive.stamp
        cuts = np.split(stamp, np.flatnonzero(np.diff(stamp) > PAUSE_MAX_S * NANOSECONDS) + 1)
        acceleration = drive.force / self._mass
        speed = np.abs(drive.speed)
        self.facts.append(
            BagFacts(
                path=drive.path,
                sha256="",
                frames=len(stamp),
                lasts_s=float(stamp[-1] - stamp[0]) / NANOSECONDS,
                episodes_s=tuple(float(one[-1] - one[0]) / NANOSECONDS for one in cuts),
                rate_hz=timing.rate_hz,
                jitter_s=timing.jitter_s,
                gaps=timing.gaps,
                longest_s=timing.longest_s,
                interrupted=drive.interrupted,
                labelled=float(labelled(drive).mean()),
                blind=float(blind(drive, self._shape).mean()),
                repeated=float((drive.images[:, SAME] > 0).mean()),
                standing=float((speed <= self._rules.stationary).mean()),
                speed=quantiles(drive.speed),
                curvature=quantiles(drive.curvature),
                acceleration=quantiles(acceleration),
                light=quantiles(brightness(drive)),
                noise=(label_noise(drive.curvature), label_noise(acceleration)),
            )
        )


def inspect(seen: Seen, notes: Notes, rules: Rules) -> Inspection:
    """Put together what was seen of bags, and compare their windows with each other."""
    table, names = seen.table(), seen.names()
    verdicts = list(table.ruled_out)
    usable = table.usable()
    for found in (duplicates(table, usable, rules, names), inconsistent(table, usable, rules, names)):
        for index, why in found.items():
            verdicts[index] = why  # what contradicts counts before what repeats
    told = [verdict_of(one) or "usable" for one in verdicts]
    kinds = strata_of(table, usable, rules) if len(usable) else {}
    bags = {}
    for number, (name, facts, digest) in enumerate(zip(names, notes.facts, seen.hashes, strict=True)):
        mine = [one for one, bag in zip(told, table.bag, strict=True) if bag == number]
        key = name if name not in bags else f"{name} ({number + 1})"
        bags[key] = replace(facts, sha256=digest, verdicts=_counted(mine))
    labels = list(bags)
    return Inspection(
        bags=bags,
        refused={str(path): why for path, why in seen.refused.items()},
        verdicts=_counted(told),
        kinds={name: len(places) for name, places in kinds.items()},
        leaks=leaks(table, notes.pictures, labels, rules),
        typical=typical(table, usable, kinds, labels),
        odd=odd(table, usable, verdicts, labels),
    )


def leaks(
    table: WindowTable,
    pictures: Sequence[NDArray[np.uint8]],
    names: Sequence[str],
    rules: Rules,
    of: Collection[int] | None = None,
) -> tuple[Leak, ...]:
    """The same stretch in two bags: of each window that can be used, is its first picture nearly one of ``pictures``
    (T, PIXELS) of another bag? The worst first. ``of``: numbers of the bags whose windows are looked for; None = all.
    """
    found = []
    usable = table.usable()
    for one, name in enumerate(names):
        if of is not None and one not in of:
            continue
        mine = usable[table.bag[usable] == one]
        if not len(mine):
            continue
        first = table.view[mine, :PIXELS]  # as windows_of scales it, for two pictures
        for other, theirs in enumerate(pictures):
            if other == one:
                continue
            scaled = plain(theirs) / (rules.picture_unit * math.sqrt(2 * PIXELS))
            near = nearest(first, scaled)[1] * math.sqrt(2) <= 1
            if near.any():
                found.append(Leak(name, names[other], int(near.sum()), len(mine)))
    return tuple(sorted(found, key=lambda leak: (-leak.windows / leak.of, leak.one, leak.other)))


def label_noise(values: Floats) -> float:
    """Root mean square of the difference between a label (T,) and the median of the five around it, which steps and
    slopes do not change; NaN = there are not five known in a row."""
    if len(values) <= 2 * AROUND:
        return math.nan
    around = sliding_window_view(values, 2 * AROUND + 1)
    around = around[np.isfinite(around).all(axis=1)]
    if not len(around):
        return math.nan
    return float(np.sqrt(np.square(around[:, AROUND] - np.median(around, axis=1)).mean()))


def quantiles(values: Floats) -> tuple[float, ...]:
    """At ``LEVELS``, of what is known; NaN = nothing is."""
    known = values[np.isfinite(values)]
    return tuple(np.quantile(known, LEVELS).tolist()) if len(known) else (math.nan,) * len(LEVELS)


def _counted(told: Sequence[str]) -> dict[str, int]:
    return {name: count for name in ("usable", *VERDICTS) if (count := told.count(name))}
