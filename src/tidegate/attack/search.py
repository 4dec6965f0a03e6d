# SPDX-License-Identifier: Apache-2.0
"""A search for the command profile that does most harm: CMA-ES (Hansen & Ostermeier 2001) over ``Profile.plan``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np

from tidegate.attack.adversary import Profile
from tidegate.attack.campaign import run_attack
from tidegate.attack.episode import Episode
from tidegate.attack.outcome import Outcome
from tidegate.errors import DependencyError

POPULATION = 12
"""Episodes in a round."""
FROM_SPEED, LONGEST_S = 6.0, 20.0
"""The profile begins at this speed [m/s]; an episode is no longer than this [s]."""
WIDTH = 0.5
"""Standard deviation of the first plans around zero; they lie in [−1, 1]."""


class Planned(Protocol):
    """A dataclass of what to drive, with a ``plan`` that can be replaced."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def seed(self) -> int:
        """Of the search too."""


E = TypeVar("E", bound=Planned)
R = TypeVar("R")


def search_starts(episodes: Sequence[Episode]) -> list[Episode]:
    """Where to search: one start for each scene and seed of ``episodes``, without a camera and without a fault, which
    would end the drive."""
    starts = {}
    for one in episodes:
        sensors = "wrong" if one.sensors == "failing" else one.sensors
        seconds = min(one.longest_s, LONGEST_S)
        starts[one.scene, one.seed] = replace(
            one, adversary="profile", sensors=sensors, longest_s=seconds, from_speed=FROM_SPEED, camera=False
        )
    return list(starts.values())


def search(
    starts: Sequence[Episode],
    rounds: int,
    folder: Path,
    processes: int = 2,
    heard: Callable[[Outcome], None] = lambda one: None,
) -> list[Outcome]:
    """Minimise ``Outcome.margin`` from each of the ``starts``, as ``minimise``, in a campaign in ``folder``.

    Raises:
        DependencyError: ``cma`` is absent; SettingsError: as ``run_attack``.
    """

    def drive(batch: list[Episode]) -> list[Outcome]:
        return run_attack(batch, folder, processes, heard)

    return minimise(starts, rounds, 2 * Profile.SEGMENTS, drive, lambda index, outcome: outcome.margin)


def minimise(
    starts: Sequence[E],
    rounds: int,
    size: int,
    drive: Callable[[list[E]], list[R]],
    margin: Callable[[int, R], float],
) -> list[R]:
    """Search for the plan of ``size`` numbers with the least ``margin``, from each of the ``starts``, all at once.

    Each round is a batch of ordinary episodes, so a search goes on where its campaign stopped.

    Args:
        drive: what comes of a batch, in its order.
        margin: of a result, by the number of its start.

    Returns:
        of every episode that was driven.

    Raises:
        DependencyError: ``cma`` is absent.
    """
    strategies = [_strategy(start.seed, size) for start in starts]
    driven: list[R] = []
    for _ in range(rounds):
        asked = [strategy.ask() for strategy in strategies]
        batch = [
            replace(start, plan=tuple(np.round(plan, 3).tolist()))
            for start, plans in zip(starts, asked, strict=True)
            for plan in plans
        ]
        outcomes = iter(drive(batch))
        for index, (strategy, plans) in enumerate(zip(strategies, asked, strict=True)):
            mine = [next(outcomes) for _ in plans]
            strategy.tell(plans, [margin(index, outcome) for outcome in mine])
            driven += mine
    return driven


def _strategy(seed: int, size: int) -> Any:
    try:
        import cma
    except ImportError as error:
        raise DependencyError("a search needs CMA-ES; type: pip install 'tidegate[attack]'") from error
    rng = np.random.default_rng(seed)  # its own: cma would seed and use NumPy's global one
    options = {
        "bounds": [-1.0, 1.0],
        "seed": math.nan,
        "popsize": POPULATION,
        "randn": lambda *shape: rng.standard_normal(shape),
        "verbose": -9,
    }
    return cma.CMAEvolutionStrategy(np.zeros(size), WIDTH, options)
