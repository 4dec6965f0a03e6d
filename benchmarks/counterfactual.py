# SPDX-License-Identifier: Apache-2.0
"""How many interventions of the filter are explained: without the row that acted, or it and those that act in its
place, the limit that it stands for is broken, in the episode or in a world that the row counts with.

Hostile episodes without a camera: every scene of ``tidegate attack`` with every adversary, each with a seed of its own;
sensors and the speed from which the adversary asks take turns. What is counted: docs/insight.md, "Is it that row?".
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from common import FIGURES, MODEL, SETTINGS, save, table
from rich.progress import Progress

from tidegate.attack.adversary import ADVERSARIES
from tidegate.attack.episode import SENSORS, Episode
from tidegate.cli.attack import SCENES
from tidegate.insight.moments import clustered
from tidegate.insight.removal import Removal, in_worlds, removals
from tidegate.insight.together import (
    BACKED,
    CAUSED,
    HORIZON_S,
    NO_HELP,
    NOT_NEEDED,
    SHORT_S,
    VERDICTS,
    WORSE_OFF,
    Finding,
    explained,
)
from tidegate.insight.worlds import BOTH, BOUND, WISH
from tidegate.workers import as_they_end

FROM_SPEEDS = (0.0, 5.0, 10.0)
"""As ``tidegate attack`` [m/s]."""
LASTING_S, MOMENTARY_S = 0.5, 0.1
STEP = 37
"""Of the list of episodes every so many-th is driven in turn, so that the first ones are of all kinds."""
NOT_FOUND = "kept by other rows, not found"
Pair = tuple[str, Removal]
"""The name of an episode and an intervention in it."""
MEASURES: dict[str, Callable[[Removal], bool]] = {
    "row_5_s": lambda one: one.found.short == CAUSED,
    "row_10_s": lambda one: one.found.verdict == CAUSED,
    "set_5_s": lambda one: one.found.short == CAUSED or (one.found.together_s or math.inf) <= SHORT_S,
    "set_10_s": lambda one: explained(one.found),
    "cause_10_s": lambda one: one.found.verdict == CAUSED or one.found.by_itself is True,
    "bound_10_s": lambda one: explained(one.found) or in_one_of(one, BOUND),
    "asked_10_s": lambda one: explained(one.found) or in_one_of(one, BOUND, WISH, BOTH),
}
"""What counts as explained: by the row alone, by a set of rows, by a set in which the row is needed; by a set, or in a
world where an assumption is at its bound; or in one where besides the policy goes on asking."""


def in_one_of(one: Removal, *kinds: str) -> bool:
    """Whether its limit is kept by rows in a world of one of these ``kinds``."""
    return any(explained(one.worlds[kind]) for kind in kinds if kind in one.worlds)


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
    ones, names = [one for _, one in told], [name for name, _ in told]
    found = [one.found for one in ones]
    shares = {
        measure: dict(zip(("share", "low", "high"), clustered(np.array([*map(met, ones)], float), names), strict=True))
        for measure, met in MEASURES.items()
    }
    return {
        "count": len(told),
        **shares,
        "verdicts_5_s": Counter(one.short for one in found),
        "verdicts_10_s": Counter(one.verdict for one in found),
        "sizes": Counter(str(len(one.together)) for one in found if one.together),
        "another_limit": sum(bool(one.also) for one in found if not explained(one)),
        "worlds": {kind: in_world(ones, kind) for kind in (BOUND, WISH, BOTH)},
    }


def in_world(found: Sequence[Removal], kind: str) -> dict[str, int]:
    """How many of those that are kept without any row are driven again in a world of a ``kind``, and their verdicts
    there, ``BACKED`` only where a set of rows was found."""
    there = [one.worlds[kind] for one in found if kind in one.worlds]
    told = Counter(one.verdict if explained(one) or one.verdict != BACKED else NOT_FOUND for one in there)
    return {"driven": len(there), **told}


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
        "bound_10_s": "by a set, or with an assumption at its bound",
        "asked_10_s": "or with a policy that goes on asking",
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
    spare = [
        (name, kind, there["driven"], *(there.get(verdict, 0) for verdict in (*VERDICTS, NOT_FOUND)))
        for name, one in found.items()
        for kind, there in one["worlds"].items()
        if there["driven"]
    ]
    head = ("interventions", *heads, "not explained, another limit broken")
    return (
        f"## Explained interventions\n\n{figures['driven']} of {figures['asked']} hostile episodes, of each one "
        f"intervention in {figures['every']} ({figures['interventions_in']} have some); intervals of 95 % over "
        "episodes.\n\n"
        f"{table(('interventions', 'how many', *words.values()), shares)}\n\n"
        f"Within {HORIZON_S:g} s:\n\n{table(head, verdicts)}\n\nThose that are kept without any row, driven again in "
        "worlds that the row counts with, one after the other until rows are found that keep the limit there:\n\n"
        f"{table(('interventions', 'world', 'driven again', *VERDICTS, NOT_FOUND), spare)}"
    )


def _share(one: dict[str, float]) -> str:
    return f"{100 * one['share']:.1f} % ({100 * one['low']:.1f} to {100 * one['high']:.1f})"


def looked_into(episode: Episode, every: int) -> list[Removal]:
    """What was found of an episode, in worlds that its rows count with too."""
    return in_worlds(episode, removals(episode, every))


def kept(options: Mapping[str, Any]) -> tuple[list[str], list[Pair]]:
    """Episodes that have been driven with the same options, and what was found in them."""
    path = FIGURES / "counterfactual.json"
    figures = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if any(figures.get(name) != options[name] for name in ("first_seed", "seconds", "every")):
        return [], []
    told = [(one.pop("episode"), removal_of(one)) for one in figures["interventions"]]
    return figures["episodes"], told


def removal_of(facts: dict[str, Any]) -> Removal:
    """The inverse of ``asdict``, by way of JSON."""
    found, worlds = _finding(facts["found"]), {name: _finding(one) for name, one in facts["worlds"].items()}
    return Removal(**facts | {"found": found, "worlds": worlds})


def _finding(facts: dict[str, Any]) -> Finding:
    return Finding(**{name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()})


def main(arguments: list[str] | None = None) -> None:
    """Drive the episodes, print the tables and keep every intervention; what is done so far is kept after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first-seed", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=10.0, help="interventions that begin in so much of an episode")
    parser.add_argument("--every", type=int, default=3, help="of an episode's interventions every so many-th counts")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--resume", action="store_true", help="go on from what the same options and code have kept")
    chosen = parser.parse_args(arguments)
    asked, work = episodes(chosen.first_seed, chosen.seconds), partial(looked_into, every=chosen.every)
    done, told = kept(vars(chosen)) if chosen.resume else ([], [])
    left = [episode for episode in asked if episode.key not in done]
    with Progress() as progress:
        bar = progress.add_task("episodes", total=len(left))
        for episode, found in as_they_end(work, left, chosen.processes):
            done, told = [*done, episode.key], told + [(episode.key, one) for one in found]
            save("counterfactual", figures_of(vars(chosen), len(asked), done, told))
            progress.advance(bar)
    print(tell(figures_of(vars(chosen), len(asked), done, told)))


def figures_of(options: Mapping[str, Any], asked: int, done: Sequence[str], told: Sequence[Pair]) -> dict[str, Any]:
    """All that is kept."""
    return {
        **options,
        "asked": asked,
        "driven": len(done),
        "interventions_in": len({name for name, _ in told}),
        "groups": groups(told),
        "episodes": list(done),
        "interventions": [{"episode": name, **asdict(one)} for name, one in told],
    }


if __name__ == "__main__":
    main()
