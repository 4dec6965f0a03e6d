# SPDX-License-Identifier: Apache-2.0
"""How many interventions of the filter are explained: without the row that acted, or it and those that act in its
place, the limit that it stands for is broken.

Hostile episodes without a camera: every scene of ``tidegate attack`` with every adversary, each with a seed of its own;
sensors and the speed from which the adversary asks take turns. What is counted: docs/insight.md, "Is it that row?".
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from common import MODEL, SETTINGS, save, table
from rich.progress import Progress

from tidegate.attack.adversary import ADVERSARIES
from tidegate.attack.episode import SENSORS, Episode
from tidegate.cli.attack import SCENES
from tidegate.insight.moments import clustered
from tidegate.insight.removal import Removal, removals
from tidegate.insight.together import BACKED, CAUSED, HORIZON_S, NO_HELP, NOT_NEEDED, SHORT_S, WORSE_OFF, Finding
from tidegate.workers import as_they_end

FROM_SPEEDS = (0.0, 5.0, 10.0)
"""As ``tidegate attack`` [m/s]."""
LASTING_S, MOMENTARY_S = 0.5, 0.1
STEP = 37
"""Of the list of episodes every so many-th is driven in turn, so that the first ones are of all kinds."""
Pair = tuple[str, Removal]
"""The name of an episode and an intervention in it."""
MEASURES: dict[str, Callable[[Finding], bool]] = {
    "row_5_s": lambda one: one.short == CAUSED,
    "row_10_s": lambda one: one.verdict == CAUSED,
    "set_5_s": lambda one: one.short == CAUSED or (one.together_s is not None and one.together_s <= SHORT_S),
    "set_10_s": lambda one: one.verdict == CAUSED or one.together_s is not None,
    "cause_10_s": lambda one: one.verdict == CAUSED or one.by_itself is True,
}
"""What counts as explained: by the row alone, by a set of rows, by a set in which the row is needed."""


def episodes(first_seed: int, seconds: float) -> list[Episode]:
    """One of each scene and adversary."""
    kinds = list(product(SCENES.split(","), ADVERSARIES))
    made = [
        Episode(
            SETTINGS,
            str(MODEL),
            scene,
            first_seed + place,
            adversary,
            SENSORS[place % len(SENSORS)],
            seconds,
            FROM_SPEEDS[place // len(SENSORS) % len(FROM_SPEEDS)],
        )
        for place, (scene, adversary) in enumerate(kinds)
    ]
    return [made[place * STEP % len(made)] for place in range(len(made))]


def counted(told: Sequence[Pair]) -> dict[str, Any]:
    """How many interventions there are, the share of each of ``MEASURES`` with its 95 % interval (bootstrap over whole
    episodes), and how many got each verdict, needed each number of rows, or broke another row's limit instead."""
    found, names = [one.found for _, one in told], [name for name, _ in told]
    shares = {
        measure: dict(zip(("share", "low", "high"), clustered(np.array([*map(met, found)], float), names), strict=True))
        for measure, met in MEASURES.items()
    }
    explained = MEASURES["set_10_s"]
    return {
        "count": len(told),
        **shares,
        "verdicts_5_s": Counter(one.short for one in found),
        "verdicts_10_s": Counter(one.verdict for one in found),
        "sizes": Counter(str(len(one.together)) for one in found if one.together),
        "another_limit": sum(bool(one.also) for one in found if not explained(one)),
    }


def groups(told: Sequence[Pair]) -> dict[str, dict[str, Any]]:
    """What is counted of all, of those that lasted, of those that did not, and of each row."""
    chosen = {
        "all": list(told),
        f"of {LASTING_S:g} s and more": [pair for pair in told if pair[1].lasted_s >= LASTING_S],
        f"below {MOMENTARY_S:g} s": [pair for pair in told if pair[1].lasted_s < MOMENTARY_S],
    }
    for row in sorted({one.row for _, one in told}):
        chosen[row] = [pair for pair in told if pair[1].row == row]
    return {name: counted(pairs) for name, pairs in chosen.items() if pairs}


def tell(figures: dict[str, Any]) -> str:
    """The tables of docs/results.md and docs/insight.md."""
    found = figures["groups"]
    words = {
        "row_5_s": f"by the row alone, {SHORT_S:g} s",
        "row_10_s": f"by the row alone, {HORIZON_S:g} s",
        "set_5_s": f"by a set, {SHORT_S:g} s",
        "set_10_s": f"by a set, {HORIZON_S:g} s",
        "cause_10_s": "and the row is needed",
    }
    shares = [(name, one["count"], *(_share(one[measure]) for measure in words)) for name, one in found.items()]
    verdicts = [
        (
            name,
            *(one["verdicts_10_s"].get(verdict, 0) for verdict in (CAUSED, BACKED)),
            ", ".join(f"{one['sizes'][size]} of {size}" for size in sorted(one["sizes"])) or "–",
            *(one["verdicts_10_s"].get(verdict, 0) for verdict in (NOT_NEEDED, WORSE_OFF, NO_HELP)),
            one["another_limit"],
        )
        for name, one in found.items()
    ]
    heads = CAUSED, BACKED, "sets: how many of how many rows", NOT_NEEDED, WORSE_OFF, NO_HELP
    head = ("interventions", *heads, "not explained, another limit broken")
    return (
        f"## Explained interventions\n\n{figures['driven']} of {figures['asked']} hostile episodes, of each one "
        f"intervention in {figures['every']} ({figures['interventions_in']} have some); intervals of 95 % over "
        "episodes.\n\n"
        f"{table(('interventions', 'how many', *words.values()), shares)}\n\n"
        f"Within {HORIZON_S:g} s:\n\n{table(head, verdicts)}"
    )


def _share(one: dict[str, float]) -> str:
    return f"{100 * one['share']:.1f} % ({100 * one['low']:.1f} to {100 * one['high']:.1f})"


def main(arguments: list[str] | None = None) -> None:
    """Drive the episodes, print the tables and keep every intervention; what is done so far is kept after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first-seed", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=10.0, help="interventions that begin in so much of an episode")
    parser.add_argument("--every", type=int, default=3, help="of an episode's interventions every so many-th counts")
    parser.add_argument("--processes", type=int, default=1)
    chosen = parser.parse_args(arguments)
    asked, work = episodes(chosen.first_seed, chosen.seconds), partial(removals, every=chosen.every)
    told: list[Pair] = []
    figures: dict[str, Any] = {}
    with Progress() as progress:
        bar = progress.add_task("episodes", total=len(asked))
        for driven, (episode, found) in enumerate(as_they_end(work, asked, chosen.processes), 1):
            told += [(episode.key, one) for one in found]
            figures = {
                **vars(chosen),
                "asked": len(asked),
                "driven": driven,
                "interventions_in": len({name for name, _ in told}),
                "groups": groups(told),
                "interventions": [{"episode": name, **asdict(one)} for name, one in told],
            }
            save("counterfactual", figures)
            progress.advance(bar)
    print(tell(figures))


if __name__ == "__main__":
    main()
