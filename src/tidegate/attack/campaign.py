# SPDX-License-Identifier: Apache-2.0
"""Many episodes in parallel processes, and a file that grows by a line each, so that a campaign can go on later."""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from tidegate.attack.drill import Drill, DrillOutcome, run_drill
from tidegate.attack.episode import Episode, run_episode
from tidegate.attack.outcome import Outcome
from tidegate.errors import SettingsError
from tidegate.evaluation.recorder import RUN
from tidegate.security.manifest import MANIFEST, identity
from tidegate.settings.kind import load_robot
from tidegate.workers import as_they_end, claim

OUTCOMES, DRILLS = "attack.jsonl", "drill.jsonl"
SOURCES = {".py", ".c", ".h"}


class Job(Protocol):
    """Something to drive, and what came of it: both go by the same ``key``."""

    @property
    def key(self) -> str:
        """Its name among the jobs of one campaign."""


class Result(Protocol):
    """A dataclass of text and numbers."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def key(self) -> str:
        """The key of its job."""


J = TypeVar("J", bound=Job)
R = TypeVar("R", bound=Result)


def with_camera(episodes: Sequence[Episode], count: int) -> list[Episode]:
    """``count`` of them again, with camera; drawn, for they repeat adversaries and scenes, and every n-th might too."""
    drawn = random.Random(0).sample(range(len(episodes)), min(count, len(episodes)))
    return [replace(episodes[index], camera=True) for index in sorted(drawn)]


def run_attack(
    episodes: Sequence[Episode], folder: Path, processes: int = 2, heard: Callable[[Outcome], None] = lambda one: None
) -> list[Outcome]:
    """Drive the ``episodes``, all of one robot and one bundle, that ``folder`` does not hold yet, as ``run_jobs``."""
    facts = shared_facts(episodes[0].settings, episodes[0].bundle) if episodes else {}
    return run_jobs(episodes, run_episode, Outcome, folder / OUTCOMES, facts, processes, heard)


def record_worst(
    outcomes: Sequence[Outcome], settings: str, bundle: str, count: int, folder: Path, processes: int = 2
) -> list[Path]:
    """Drive again, as bags below ``folder``, all of the ``outcomes`` with a violation and the ``count`` others with the
    least margin, of the robot and the bundle that they are from. Bags that are there are kept.

    Returns:
        the bags, the worst first.
    """
    ranked = sorted(outcomes, key=lambda outcome: outcome.margin)
    harmed = [outcome for outcome in ranked if not outcome.harmless]
    chosen = harmed + [outcome for outcome in ranked if outcome.harmless][:count]
    jobs = [(Episode.of(one.episode, settings, bundle), folder / _slug(one)) for one in chosen]
    for _ in as_they_end(_record, [job for job in jobs if not (job[1] / RUN).exists()], processes):
        pass
    return [path for _, path in jobs]


def _slug(outcome: Outcome) -> str:
    words = outcome.name.replace(",", "").replace(" ", "-")
    return f"{words}-{_digest(outcome.key.encode())[:8]}"


def _record(job: tuple[Episode, Path]) -> None:
    episode, path = job
    shutil.rmtree(path, ignore_errors=True)  # what was left of one that was broken off
    run_episode(episode, path)


def run_drills(
    drills: Sequence[Drill],
    folder: Path,
    processes: int = 2,
    heard: Callable[[DrillOutcome], None] = lambda one: None,
) -> list[DrillOutcome]:
    """Drive the ``drills`` that ``folder`` does not hold yet, as ``run_jobs``."""
    facts = shared_facts(drills[0].settings) if drills else {}
    return run_jobs(drills, run_drill, DrillOutcome, folder / DRILLS, facts, processes, heard)


def run_jobs(
    jobs: Sequence[J],
    run: Callable[[J], R],
    kind: type[R],
    path: Path,
    facts: dict[str, str],
    processes: int,
    heard: Callable[[R], None],
) -> list[R]:
    """``run`` the ``jobs`` that the file at ``path`` does not hold yet; ``heard`` gets each result as it comes.

    ``facts`` are what all jobs of the file share; they are its first line.

    Returns:
        the results of all of them, of ``kind``, in their order.

    Raises:
        SettingsError: no jobs; another run is writing the file; it holds results of other facts, or a line that is
            none.
    """
    if not jobs:
        raise SettingsError("nothing to drive: name at least one scene and one seed")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        claim(file, path)
        done = _read(path, facts, kind)
        waiting = [job for job in jobs if job.key not in done]
        if not file.seek(0, os.SEEK_END):
            file.write(json.dumps(facts) + "\n")
        for _, result in as_they_end(run, waiting, processes):
            done[result.key] = result
            file.write(json.dumps(asdict(result)) + "\n")
            file.flush()
            heard(result)
    return [done[job.key] for job in jobs]


def _read(path: Path, facts: dict[str, str], kind: type[R]) -> dict[str, R]:
    """Results by key; a last line that was broken off is dropped from the file."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        path.write_text("".join(lines := lines[:-1]), encoding="utf-8")
    if lines and (other := _differing(lines[0], facts)):
        raise SettingsError(
            f"{path}: holds results of other {' and other '.join(other)} than now; choose another folder, or remove it"
        )
    results = {}
    for number, line in enumerate(lines[1:], start=2):
        try:
            result = kind(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise SettingsError(f"{path}, line {number}: no {kind.__name__} ({error}); remove the line") from error
        results[result.key] = result
    return results


def _differing(line: str, facts: dict[str, str]) -> list[str]:
    """Names of the ``facts`` that the first line of a file does not share; all of them where it has none."""
    try:
        found = dict(json.loads(line))
    except (ValueError, TypeError):
        found = {}
    return [name for name in sorted(facts | found) if facts.get(name) != found.get(name)]


def shared_facts(settings: str, bundle: str | None = None) -> dict[str, str]:
    """Digests of what every drive depends on: the robot's settings, this package's sources, and the bundle if any."""
    loaded, package = load_robot(settings), Path(__file__).parents[1]
    sources = sorted(path for path in package.rglob("*") if path.suffix in SOURCES)
    code = b"\0".join(part for path in sources for part in (str(path.relative_to(package)).encode(), path.read_bytes()))
    facts = {"settings": _digest(repr(loaded).encode()), "code": _digest(code)}
    if bundle is None:
        return facts
    return facts | {"bundle": identity((Path(bundle) / MANIFEST).read_bytes())}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


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
