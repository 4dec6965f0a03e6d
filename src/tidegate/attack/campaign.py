# SPDX-License-Identifier: Apache-2.0
"""Many episodes in parallel processes, and a file that grows by a line each, so that a campaign can go on later."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict
from pathlib import Path

from tidegate.attack.episode import Episode, Outcome, run_episode
from tidegate.errors import SettingsError
from tidegate.settings import load_settings
from tidegate.workers import worker_pool

OUTCOMES = "attack.jsonl"


def run_attack(
    episodes: Sequence[Episode], folder: Path, processes: int = 2, heard: Callable[[Outcome], None] = lambda one: None
) -> list[Outcome]:
    """Drive the ``episodes`` that ``folder`` does not hold yet; ``heard`` gets each as it ends.

    Returns:
        the outcomes of all of them, in their order.

    Raises:
        SettingsError: the folder holds episodes of other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / OUTCOMES
    settings = repr(load_settings(episodes[0].settings))
    facts = json.dumps({"settings": hashlib.sha256(settings.encode()).hexdigest()})
    done = _read(path, facts)
    waiting = [episode for episode in episodes if episode.key not in done]
    with path.open("a", encoding="utf-8") as file:
        if not file.tell():
            file.write(facts + "\n")
        if waiting:
            with worker_pool(min(processes, len(waiting))) as pool:
                for future in as_completed([pool.submit(run_episode, episode) for episode in waiting]):
                    outcome = future.result()
                    done[outcome.key] = outcome
                    file.write(json.dumps(asdict(outcome)) + "\n")
                    file.flush()
                    heard(outcome)
    return [done[episode.key] for episode in episodes]


def _read(path: Path, facts: str) -> dict[str, Outcome]:
    """Outcomes by key; a last line that was broken off is dropped from the file."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        path.write_text("".join(lines := lines[:-1]), encoding="utf-8")
    if lines and lines[0].rstrip() != facts:
        raise SettingsError(f"{path}: holds episodes of other settings; choose another folder, or remove it")
    outcomes = [Outcome(**json.loads(line)) for line in lines[1:]]
    return {outcome.key: outcome for outcome in outcomes}


def rate_bound(failures: int, episodes: int, confidence: float = 0.95) -> float:
    """Upper bound on the failure rate that ``failures`` among ``episodes`` support (Clopper & Pearson 1934, one-sided).

    Raises:
        ValueError: more failures than episodes.
    """
    if failures > episodes:
        raise ValueError(f"{failures} failures among {episodes} episodes")
    if failures == episodes:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(60):
        rate = (low + high) / 2
        seen = sum(math.exp(_log_binomial(k, episodes, rate)) for k in range(failures + 1))
        low, high = (rate, high) if seen > 1 - confidence else (low, rate)
    return high


def _log_binomial(k: int, count: int, rate: float) -> float:
    ways = math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
    return ways + k * math.log(rate) + (count - k) * math.log1p(-rate)
