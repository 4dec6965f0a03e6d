# SPDX-License-Identifier: Apache-2.0
"""Closed loops of an arm in its scenes: one episode in figures, many in processes, and ``evaluation.json``."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.bundle import bundle_identity
from tidegate.errors import SettingsError
from tidegate.evaluation.arm_drivers import DRIVERS, make_driver
from tidegate.evaluation.arm_excess import ROUNDING, limit_excess
from tidegate.evaluation.campaign import EVALUATION
from tidegate.evaluation.metrics import rises
from tidegate.safety.arm import ArmGuard, arm_barriers
from tidegate.settings.arm import load_arm_settings
from tidegate.simulation.arm import ArmRun, ArmTask, drive, make_arm_scene
from tidegate.workers import as_they_end


@dataclass(frozen=True, slots=True)
class ArmEpisode:
    """What to do, for ``longest_s`` [s] at most; the settings' path is text so that it travels to another process.
    ``driver`` is one of ``arm_drivers.DRIVERS``, ``bundle`` the path of the first; ``disable`` names barriers."""

    settings: str
    scene: str
    seed: int
    driver: str = "expert"
    filtered: bool = True
    disable: tuple[str, ...] = ()
    longest_s: float = math.inf
    bundle: str = ""


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One episode in figures; the rows of ``evaluation.json``. Times [s].

    Attributes:
        completed: whether the scene was done (``ArmTask.passing``).
        score: the scene's figures, by name with unit.
        limit_violations: physics steps and changes of torque that exceeded a limit, each limit by itself.
        worst_limit: the one that was exceeded most, as a share of it ('' = none).
        left: of each limit, the least share that was left at any moment; negative = it was exceeded.
        interventions: stretches in which one barrier changed the torques; ``intervened_s`` how long in all.
    """

    seed: int
    scene: str
    completed: bool
    score: dict[str, float]
    duration_s: float
    limit_violations: int
    worst_limit: str
    left: dict[str, float]
    interventions: int
    intervened_s: float
    interventions_by_row: dict[str, int]
    state_hash: str
    wall_s: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, which has neither NaN nor infinity: None in their place."""
        score = {name: value if math.isfinite(value) else None for name, value in self.score.items()}
        return {**asdict(self), "score": score}


def check_episode(episode: ArmEpisode) -> None:
    """Refuse an episode that cannot be done, before processes start.

    Raises:
        SettingsError: unknown driver or barrier; SceneError: unknown scene; BundleError: it is unusable.
    """
    if episode.driver not in DRIVERS:
        raise SettingsError(f"driver is '{episode.driver}'; it must be {' or '.join(DRIVERS)}")
    unknown = sorted(set(episode.disable) - set(arm_barriers))
    if unknown:
        raise SettingsError(f"cannot disable '{unknown[0]}'; an arm's parts are {', '.join(arm_barriers)}")
    make_driver(
        episode.driver,
        episode.bundle,
        make_arm_scene(episode.scene, load_arm_settings(episode.settings), episode.seed),
    )


def run_episode(episode: ArmEpisode) -> ArmResult:
    """Do an episode and judge it; the function that campaigns call in their processes.

    Raises:
        TidegateError: the settings or the scene are refused.
    """
    began = time.perf_counter()
    scene = make_arm_scene(episode.scene, load_arm_settings(episode.settings), episode.seed)
    guard = ArmGuard(scene.settings, disable=frozenset(episode.disable)) if episode.filtered else None
    act = make_driver(episode.driver, episode.bundle, scene)
    run = drive(scene, act, guard, min(scene.seconds, episode.longest_s))
    scene.close()
    return judge(scene, run, time.perf_counter() - began)


def judge(scene: ArmTask, run: ArmRun, wall_s: float) -> ArmResult:
    """Figures of an episode that ``scene`` has just been driven through."""
    excess = limit_excess(run, scene.arm)
    worst = max(excess, key=lambda name: float(excess[name].max()))
    rows, period = np.array(run.intervened), 1 / scene.settings.safety.rate_hz
    last = run.truth[-1]
    return ArmResult(
        seed=scene.seed,
        scene=scene.name,
        completed=scene.done(),
        score=scene.score(),
        duration_s=len(run.truth) * run.period,
        limit_violations=sum(int((one > ROUNDING).sum()) for one in excess.values()),
        worst_limit=worst if excess[worst].max() > ROUNDING else "",
        left={name: -float(one.max()) for name, one in excess.items()},
        interventions=rises(rows != ""),
        intervened_s=float((rows != "").sum() * period),
        interventions_by_row={row: rises(rows == row) for row in sorted(set(run.intervened) - {""})},
        state_hash=hashlib.sha256(np.concatenate((last.position, last.velocity)).tobytes()).hexdigest(),
        wall_s=wall_s,
    )


def run_episodes(
    episodes: list[ArmEpisode], processes: int = 2, heard: Callable[[ArmResult], None] = lambda result: None
) -> list[ArmResult]:
    """Do all; ``heard`` gets each result as it ends. They come back in the order of ``episodes``."""
    found: dict[ArmEpisode, ArmResult] = {}
    alone = processes == 1 or len(episodes) == 1
    done = ((one, run_episode(one)) for one in episodes) if alone else as_they_end(run_episode, episodes, processes)
    for episode, result in done:
        found[episode] = result
        heard(result)
    return [found[episode] for episode in episodes]


def summary(results: list[ArmResult]) -> dict[str, Any]:
    """Totals; ``score`` has the mean, the least and the most of each figure, ``left`` the least of each limit."""
    computed = sum(result.wall_s for result in results)
    scores = {name: np.array([result.score[name] for result in results]) for name in results[0].score}
    rows: Counter[str] = Counter()
    for result in results:
        rows.update(result.interventions_by_row)
    return {
        "completed": sum(result.completed for result in results),
        "total": len(results),
        "limit_violations": sum(result.limit_violations for result in results),
        "runs_beyond_a_limit": sum(result.limit_violations > 0 for result in results),
        "score": {
            name: {
                key: float(value) if math.isfinite(value) else None
                for key, value in (("mean", values.mean()), ("least", values.min()), ("most", values.max()))
            }
            for name, values in scores.items()
        },
        "left": {name: min(result.left[name] for result in results) for name in results[0].left},
        "interventions": sum(result.interventions for result in results),
        "interventions_by_row": dict(sorted(rows.items())),
        "real_time_factor": sum(result.duration_s for result in results) / computed if computed else 0.0,
    }


def write_arm_evaluation(folder: Path, episode: ArmEpisode, results: list[ArmResult], totals: dict[str, Any]) -> Path:
    """Write ``evaluation.json`` as for a car: what all episodes share (``episode`` is any), ``runs``, ``summary``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / EVALUATION
    facts = {
        "robot": "arm",
        "driver": episode.driver,
        **({"bundle_sha256": bundle_identity(Path(episode.bundle))[1]} if episode.driver == "bundle" else {}),
        "filter": "on" if episode.filtered else "off",
        "disable": list(episode.disable),
    }
    document = {**facts, "runs": [result.as_dict() for result in results], "summary": totals}
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    return path
