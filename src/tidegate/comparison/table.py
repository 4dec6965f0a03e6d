# SPDX-License-Identifier: Apache-2.0
"""What a comparison says, as Markdown: means and standard deviations over trainings, and no more than that."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tidegate.comparison.training import Trained
from tidegate.comparison.trial import Driven

LIQUID = ("ltc", "cfc")
NONE = "–"
BASELINES = {"predict zero": "_zero", "repeat last": "_last"}
WAYS = {False: "Without the filter", True: "Behind the filter"}


@dataclass(frozen=True, slots=True)
class Figure:
    """Mean and standard deviation over trainings; NaN where there is none (of one training there is no deviation)."""

    mean: float
    sd: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Figure:
        """Of those that are finite."""
        known = [value for value in values if math.isfinite(value)]
        mean = statistics.fmean(known) if known else math.nan
        return cls(mean, statistics.stdev(known) if len(known) > 1 else math.nan)

    def text(self, digits: int, scale: float = 1.0) -> str:
        """As ``1.2 ± 0.3``."""
        if math.isnan(self.mean):
            return NONE
        spread = "" if math.isnan(self.sd) else f" ± {scale * self.sd:.{digits}f}"
        return f"{scale * self.mean:.{digits}f}{spread}"


Measure = Callable[[Sequence[Driven]], float]
"""One figure of all drives of one training."""


def laps(drives: Sequence[Driven]) -> float:
    """Share of the laps that were completed."""
    return statistics.fmean(one.completed for one in drives)


def crashes(drives: Sequence[Driven]) -> float:
    """Share of the drives that ended in a contact or off the road."""
    return statistics.fmean(one.crashed for one in drives)


def lane_error(drives: Sequence[Driven]) -> float:
    """RMS of the lane error of the laps completed, their mean [m]; who stands has none, and a ditch is no lane."""
    known = [one.rms_lane_error_m for one in drives if one.completed]
    return statistics.fmean(known) if known else math.nan


def interventions(drives: Sequence[Driven]) -> float:
    """Of the filter, per kilometre."""
    way = sum(one.distance_m for one in drives)
    return 1000 * sum(one.interventions for one in drives) / way if way > 1 else math.nan


MEASURES: dict[bool, dict[str, tuple[Measure, int, float]]] = {
    False: {
        "Laps completed [%]": (laps, 0, 100),
        "Crashes [% of the drives]": (crashes, 0, 100),
        "Lane error of the laps completed, rms [m]": (lane_error, 2, 1),
    },
    True: {
        "Laps completed [%]": (laps, 0, 100),
        "Crashes [% of the drives]": (crashes, 0, 100),
        "Interventions [1/km]": (interventions, 1, 1),
    },
}
"""By whether the filter is on: title, measure, digits, factor."""


@dataclass(frozen=True, slots=True)
class Told:
    """The results of a comparison."""

    trained: Sequence[Trained]
    driven: Sequence[Driven]

    @property
    def names(self) -> list[str]:
        """Architectures in their order."""
        return list(dict.fromkeys(one.architecture for one in self.trained))

    @property
    def failed(self) -> list[Trained | Driven]:
        """Trainings and drives that came to nothing."""
        every: list[Trained | Driven] = [*self.trained, *self.driven]
        return [one for one in every if one.error]

    def sound(self, name: str) -> list[Trained]:
        """The trainings of an architecture that worked."""
        return [one for one in self.trained if one.architecture == name and not one.error]

    def title(self, name: str) -> str:
        """What it is called."""
        return next((one.title for one in self.sound(name)), name)

    def figure(self, name: str, condition: str, filtered: bool, measure: Measure) -> Figure:
        """Over the trainings of an architecture, each by all its drives under a condition."""
        mine = [
            one
            for one in self.driven
            if (one.architecture, one.condition, one.filtered) == (name, condition, filtered) and not one.error
        ]
        seeds = sorted({one.seed for one in mine})
        return Figure.of(measure([one for one in mine if one.seed == seed]) for seed in seeds)


def table(told: Told, conditions: Sequence[str]) -> str:
    """The page."""
    parts = [
        "# Comparison of architectures",
        "Mean ± standard deviation over trainings; each counts by the mean over its roads. All have the same frozen "
        "convolutions, lessons, steps and learning rates to choose from.",
        *_networks(told),
    ]
    for filtered, measures in MEASURES.items():
        if any(one.filtered == filtered for one in told.driven):
            parts.append(f"## {WAYS[filtered]}")
            parts += [_by_condition(told, conditions, filtered, name) for name in measures]
    if any(not one.filtered for one in told.driven):
        parts += ["## Where the liquid ones stand", "\n".join(_standing(told, conditions))]
    if told.failed:
        rows = "\n".join(f"- `{one.key}`: {one.error}" for one in told.failed)
        parts += ["## Failed", "These count nowhere above; the next start tries them again.", rows]
    return "\n\n".join(parts) + "\n"


def _networks(told: Told) -> list[str]:
    """What the networks are, and their passive errors."""
    head = (
        "network",
        "trainings",
        "weights of the cell",
        "numbers of state",
        "learning rate",
        "training [s of one core]",
        "step [µs]",
        "passive error, curvature",
        "acceleration",
    )
    rows = []
    for name in told.names:
        mine = told.sound(name)
        if not mine:
            rows.append((name, "0", *[NONE] * (len(head) - 2)))
            continue
        rows.append(
            (
                mine[0].title,
                str(len(mine)),
                Figure.of(one.weights for one in mine).text(0),
                f"{mine[0].neurons}",
                f"{mine[0].rate:g}",
                Figure.of(one.train_s for one in mine).text(1),
                Figure.of(one.step_us for one in mine).text(0),
                Figure.of(one.curvature for one in mine).text(3),
                Figure.of(one.acceleration for one in mine).text(3),
            )
        )
    known = [one for name in told.names for one in told.sound(name)]
    for who, ending in BASELINES.items():
        losses = [f"{getattr(one, key + ending):.3f}" for one in known[:1] for key in ("curvature", "acceleration")]
        rows.append((who, *[NONE] * (len(head) - 3), *(losses or (NONE, NONE))))
    note = (
        "Weights of the cell: parameters between features and read-out that have an effect of their own. A step is one "
        "call in torch on one core, beside whatever else ran; on the robot liquid cells run in C. Passive error: the "
        "loss of the commands on held-out bags, as trained."
    )
    return ["## Networks", _grid(head, rows), note]


def _by_condition(told: Told, conditions: Sequence[str], filtered: bool, name: str) -> str:
    measure, digits, scale = MEASURES[filtered][name]
    rows = [
        (told.title(one), *(told.figure(one, each, filtered, measure).text(digits, scale) for each in conditions))
        for one in told.names
    ]
    return f"{name}\n\n{_grid(('network', *conditions), rows)}"


def _standing(told: Told, conditions: Sequence[str]) -> list[str]:
    """For each condition who completes most laps without the filter, and how far from it the better liquid one is."""
    lines = []
    for condition in conditions:
        found = {name: told.figure(name, condition, False, laps) for name in told.names}
        found = {name: one for name, one in found.items() if not math.isnan(one.mean)}
        liquid = [name for name in found if name in LIQUID]
        if not liquid or len(liquid) == len(found):
            continue
        if not any(one.mean for one in found.values()):
            lines.append(f"- {condition}: nobody completed a lap")
            continue
        best, own = (max(names, key=lambda name: found[name].mean) for names in (found, liquid))
        near = found[own].mean >= found[best].mean - (0.0 if math.isnan(found[best].sd) else found[best].sd)
        said = "is among the best" if found[own].mean == found[best].mean else "is within" if near else "is not within"
        rest = "" if said.endswith("best") else " one standard deviation of it"
        lines.append(
            f"- {condition}: most laps {told.title(best)}, {found[best].text(0, 100)} %; of the liquid ones "
            f"{told.title(own)}, {found[own].text(0, 100)} %, {said}{rest}"
        )
    return lines


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))
