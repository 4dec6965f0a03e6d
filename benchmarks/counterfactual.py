# SPDX-License-Identifier: Apache-2.0
"""How many interventions of the filter are explained: without the row that acted, its limit is broken.

Hostile episodes without a camera: every scene of ``tidegate attack`` with every adversary, each with a seed of its own;
sensors and the speed from which the adversary asks take turns. What is counted is in docs/insight.md, "Counted".
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from itertools import product
from typing import Any

import numpy as np
from common import MODEL, SETTINGS, save, table
from rich.progress import Progress

from tidegate.attack.adversary import ADVERSARIES
from tidegate.attack.episode import SENSORS, Episode
from tidegate.cli.attack import SCENES
from tidegate.insight.moments import clustered
from tidegate.insight.removal import CAUSED, VERDICTS, Removal, removals
from tidegate.workers import as_they_end

FROM_SPEEDS = (0.0, 5.0, 10.0)
"""As ``tidegate attack`` [m/s]."""
LASTING_S = 0.5


def episodes(first_seed: int, seconds: float) -> list[Episode]:
    """One of each scene and adversary."""
    return [
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
        for place, (scene, adversary) in enumerate(product(SCENES.split(","), ADVERSARIES))
    ]


def counted(told: Sequence[tuple[str, Removal]]) -> dict[str, Any]:
    """How many interventions got each verdict, and the share that is explained, with its 95 % interval: bootstrap over
    whole episodes, whose names stand before each."""
    explained = np.array([one.verdict == CAUSED for _, one in told], float)
    share, low, high = clustered(explained, [name for name, _ in told])
    verdicts = Counter(one.verdict for _, one in told)
    return {"count": len(told), "share": share, "low": low, "high": high, **{name: verdicts[name] for name in VERDICTS}}


def groups(told: Sequence[tuple[str, Removal]]) -> dict[str, dict[str, Any]]:
    """What is counted of all, of those that lasted, and of each row."""
    chosen = {
        "all": list(told),
        f"of {LASTING_S:g} s and more": [pair for pair in told if pair[1].lasted_s >= LASTING_S],
    }
    for row in sorted({one.row for _, one in told}):
        chosen[row] = [pair for pair in told if pair[1].row == row]
    return {name: counted(pairs) for name, pairs in chosen.items() if pairs}


def tell(found: dict[str, dict[str, Any]]) -> str:
    """The table of docs/insight.md."""
    rows = [
        (
            name,
            one["count"],
            f"{100 * one['share']:.1f} % ({100 * one['low']:.1f} to {100 * one['high']:.1f})",
            *(one[verdict] for verdict in VERDICTS),
        )
        for name, one in found.items()
    ]
    return table(("row", "interventions", "explained", *VERDICTS), rows)


def main(arguments: list[str] | None = None) -> None:
    """Drive the episodes, print the table and keep every intervention."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first-seed", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=10.0, help="interventions that begin in so much of an episode")
    parser.add_argument("--processes", type=int, default=1)
    chosen = parser.parse_args(arguments)
    asked, told = episodes(chosen.first_seed, chosen.seconds), []
    with Progress() as progress:
        bar = progress.add_task("episodes", total=len(asked))
        for episode, found in as_they_end(removals, asked, chosen.processes):
            told += [(episode.key, one) for one in found]
            progress.advance(bar)
    found = groups(told)
    print(tell(found))
    interventions = [{"episode": name, **asdict(one)} for name, one in told]
    print(save("counterfactual", {**vars(chosen), "groups": found, "interventions": interventions}))


if __name__ == "__main__":
    main()
