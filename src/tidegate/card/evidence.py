# SPDX-License-Identifier: Apache-2.0
"""What ``tidegate evaluate`` and ``tidegate attack`` found of a bundle, read from their files.

These are read as plain JSON, so that a card can be written where nothing can be simulated.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidegate.errors import BundleError
from tidegate.security.parse import read_bounded

EVALUATION, OUTCOMES = "evaluation.json", "attack.jsonl"
LARGEST = 1 << 28
"""Bytes of a file of results; 100,000 episodes have about half of it."""
NETWORK = "bundle"
"""The driver of ``tidegate evaluate`` that is the network."""
WRONG = (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError)
"""What reading a file that is none of ours may raise."""


@dataclass(frozen=True, slots=True)
class Lap:
    """One drive, the figures of ``tidegate.evaluation.metrics.Run`` that a card tells; ``pace`` of the expert's."""

    scene: str
    seed: int
    completed: bool
    end: str
    distance_m: float
    pace: float | None
    max_abs_lane_error_m: float
    off_road_s: float
    collisions: int
    limit_violations: int

    @property
    def failed(self) -> bool:
        """Whether it was not completed, or touched something, broke a limit, or had a wheel off the road."""
        return not self.completed or self.collisions > 0 or self.limit_violations > 0 or self.off_road_s > 0


@dataclass(frozen=True, slots=True)
class Driven:
    """Closed loops: ``source`` the file, ``how`` they were driven, in words, ``laps`` by scene."""

    source: str
    how: str
    laps: dict[str, list[Lap]]


@dataclass(frozen=True, slots=True)
class Attacked:
    """Hostile episodes: ``source`` the file; how many ``episodes``, and ``searched`` ones of these; ``harm`` counts
    those that broke something, by scene, who asked, what broke, and the stated assumptions that broke before."""

    source: str
    episodes: int
    searched: int
    harm: Counter[tuple[str, str, str, str]]


@dataclass(frozen=True, slots=True)
class Task:
    """One episode of an arm: the figures of ``tidegate.evaluation.arm.ArmResult`` that a card tells."""

    scene: str
    seed: int
    completed: bool
    limit_violations: int
    score: dict[str, float]


@dataclass(frozen=True, slots=True)
class Tasks:
    """An arm's closed loops, as ``Driven``."""

    source: str
    how: str
    tasks: list[Task]


def read_tasks(path: Path, identity: str) -> Tasks:
    """An arm's episodes in a folder of ``tidegate evaluate``, or in its ``evaluation.json``.

    Raises:
        BundleError: no such file, of another bundle than that with ``identity``, or not driven by the network.
    """
    file, told, how = _evaluation(path, identity)
    try:
        tasks = [
            Task(
                scene=str(run["scene"]),
                seed=int(run["seed"]),
                completed=bool(run["completed"]),
                limit_violations=int(run["limit_violations"]),
                score={str(name): math.nan if value is None else float(value) for name, value in run["score"].items()},
            )
            for run in told["runs"]
        ]
    except WRONG as error:
        raise _none(file, error) from error
    return Tasks(file.name, how, tasks)


def read_driven(path: Path, identity: str) -> Driven:
    """The drives in a folder of ``tidegate evaluate``, or in its ``evaluation.json``.

    Raises:
        BundleError: no such file, of another bundle than that with ``identity``, or not driven by the network.
    """
    file, told, how = _evaluation(path, identity)
    try:
        laps: dict[str, list[Lap]] = {}
        for lap in map(_lap, told["runs"]):
            laps.setdefault(lap.scene, []).append(lap)
    except WRONG as error:
        raise _none(file, error) from error
    return Driven(file.name, how, laps)


def read_attacked(path: Path, identity: str) -> Attacked:
    """The episodes in a folder of ``tidegate attack``, or in its ``attack.jsonl``.

    Raises:
        BundleError: no such file, or of another bundle than that with ``identity``.
    """
    file = path / OUTCOMES if path.is_dir() else path
    data = _read(file)
    try:
        first, *lines = data.decode("utf-8").splitlines()
        of = json.loads(first).get("bundle")
        outcomes = [json.loads(line) for line in lines]
        harm = Counter(key for outcome in outcomes for key in _harm(outcome))
        searched = sum(bool(outcome["episode"]["plan"]) for outcome in outcomes)
    except WRONG as error:
        raise _none(file, error) from error
    _check(file, of, identity)
    return Attacked(file.name, len(outcomes), searched, harm)


def _evaluation(path: Path, identity: str) -> tuple[Path, dict[str, Any], str]:
    """The file, what it tells, and how was driven, in words."""
    file = path / EVALUATION if path.is_dir() else path
    data = _read(file)
    try:
        told: dict[str, Any] = json.loads(data)
        driver, of, filtered = str(told["driver"]), told.get("bundle_sha256"), str(told["filter"])
        off = ", ".join(map(str, told["disable"]))
        list(told["runs"])
    except WRONG as error:
        raise _none(file, error) from error
    if driver != NETWORK:
        raise BundleError(f"{file}: '{driver}' drove; a card tells of drives by the network (--driver {NETWORK})")
    _check(file, of, identity)
    return file, told, f"filter {filtered}{f', without {off}' if off else ''}"


def _lap(run: dict[str, Any]) -> Lap:
    expert = run["expert_speed"]
    return Lap(
        scene=str(run["scene"]),
        seed=int(run["seed"]),
        completed=bool(run["completed"]),
        end=str(run["end"]),
        distance_m=float(run["distance_m"]),
        pace=float(run["mean_speed"]) / float(expert) if expert else None,
        max_abs_lane_error_m=float(run["max_abs_lane_error_m"]),
        off_road_s=float(run["off_road_s"]),
        collisions=int(run["collisions"]),
        limit_violations=int(run["limit_violations"]),
    )


def _harm(outcome: dict[str, Any]) -> Sequence[tuple[str, str, str, str]]:
    episode = outcome["episode"]
    who = f"{episode['adversary']}{', searched' * bool(episode['plan'])}{', camera' * bool(episode['camera'])}"
    who += "".join(f", without {part}" for part in episode["disable"])
    return [
        (str(episode["scene"]), who, str(kind), ", ".join(map(str, before)))
        for kind, before in outcome["violations"].items()
    ]


def _read(file: Path) -> bytes:
    try:
        return read_bounded(file, LARGEST)
    except OSError as error:
        raise BundleError(f"{file}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise BundleError(f"{file}: {error}") from error


def _check(file: Path, of: object, identity: str) -> None:
    if of is None:
        raise BundleError(f"{file}: does not say which bundle it is of; a card takes what names {identity[:12]}…")
    if of != identity:
        raise BundleError(f"{file}: is of the bundle {str(of)[:12]}…; this one is {identity[:12]}…")


def _none(file: Path, error: Exception) -> BundleError:
    return BundleError(
        f"{file}: is neither an {EVALUATION} of tidegate evaluate nor an {OUTCOMES} of tidegate attack "
        f"({type(error).__name__}: {error})"
    )
