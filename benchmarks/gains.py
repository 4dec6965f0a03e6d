# SPDX-License-Identifier: Apache-2.0
"""What learning the barrier gains buys: intervention effort and time against the best fixed gain, on held-out roads."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import FIGURES, MODEL, SETTINGS, save, table
from rich.progress import Progress

from tidegate.bundle import Bundle
from tidegate.evaluation.campaign import parse_seeds
from tidegate.evaluation.pilot import Moment
from tidegate.evaluation.rollout import Task, drive
from tidegate.learning.gains import with_fixed_gains
from tidegate.records import Mode
from tidegate.robot import Car
from tidegate.safety.filter import Filter
from tidegate.settings import load_settings
from tidegate.workers import as_they_end

FIXED = (0.5, 1.0, 2.0, 4.0)
SCENES = ("road", "traffic", "truck_whiteout")
RESAMPLED = 10_000


@dataclass(frozen=True, slots=True)
class Cost:
    """What a drive cost: ``effort`` ∫‖(u − u_wanted)/unit‖² dt [s], ``hardest`` braking let through [m/s²]."""

    gains: str
    scene: str
    seed: int
    completed: bool
    duration_s: float
    effort: float
    hardest: float
    min_gap_m: float | None
    contacts: int
    limit_violations: int


def cost(job: tuple[str, str, str, int]) -> Cost:
    """Drive one closed loop of the bundle at a path: (name of its gains, path, scene, seed)."""
    gains, path, scene, seed = job
    settings = load_settings(SETTINGS)
    car = Car.from_settings(settings)
    unit, period = Filter(settings, car).scale, 1 / settings.safety.rate_hz
    effort, hardest = 0.0, 0.0

    def watch(moment: Moment) -> None:
        nonlocal effort, hardest
        tick = moment.step.tick
        if tick.mode is Mode.NORMAL:
            effort += float(np.square((np.array(tick.allowed) - tick.wanted) / unit).sum()) * period
            hardest = min(hardest, tick.allowed[0] / car.effective_mass)

    run = drive(settings, Task(SETTINGS, path, scene, seed), Bundle.load(path, settings.vehicle.name), watch)
    return Cost(
        gains,
        scene,
        seed,
        run.completed,
        run.duration_s,
        effort,
        -hardest,
        run.min_gap_m,
        run.collisions,
        run.limit_violations,
    )


def costs(bundles: dict[str, Path], scenes: Sequence[str], seeds: Sequence[int], processes: int) -> list[Cost]:
    """All ``bundles`` on the same roads."""
    jobs = [(name, str(path), scene, seed) for scene in scenes for seed in seeds for name, path in bundles.items()]
    with Progress() as progress:
        bar = progress.add_task("closed loops", total=len(jobs))
        found = []
        for _, one in as_they_end(cost, jobs, processes):
            found.append(one)
            progress.advance(bar)
    return sorted(found, key=lambda one: jobs.index((one.gains, str(bundles[one.gains]), one.scene, one.seed)))


def saved(found: Sequence[Cost], by: str, against: str, what: str) -> dict[str, float]:
    """Share of ``what`` that gains ``by`` save against ``against`` on the same roads; its 95 % bootstrap interval."""
    mine, theirs = (np.array([getattr(one, what) for one in found if one.gains == name]) for name in (by, against))
    drawn = np.random.default_rng(0).integers(len(mine), size=(RESAMPLED, len(mine)))
    shares = 1 - mine[drawn].sum(axis=1) / theirs[drawn].sum(axis=1)
    low, high = np.quantile(shares, (0.025, 0.975))
    return {"share": float(1 - mine.sum() / theirs.sum()), "low": float(low), "high": float(high)}


def means(found: Sequence[Cost]) -> list[dict[str, Any]]:
    """Mean figures of each kind of gains."""
    rows = []
    for name in dict.fromkeys(one.gains for one in found):
        mine = [one for one in found if one.gains == name]
        row = {
            what: float(np.mean([getattr(one, what) for one in mine])) for what in ("effort", "duration_s", "hardest")
        }
        least = min((one.min_gap_m for one in mine if one.min_gap_m is not None), default=None)
        harmed = sum(one.contacts + one.limit_violations for one in mine)
        completed = sum(one.completed for one in mine)
        rows.append({"gains": name, "drives": len(mine), "completed": completed, **row, "gap": least, "harmed": harmed})
    return rows


def tell(figures: dict[str, Any]) -> str:
    """Learned barrier gains against fixed ones."""
    head = (
        "gains",
        "drives",
        "completed",
        "effort [s]",
        "time [s]",
        "hardest braking [m/s²]",
        "smallest gap [m]",
        "harm",
    )
    tables = []
    for kind in ("sweep", "held_out"):
        rows = [
            (
                row["gains"],
                row["drives"],
                row["completed"],
                f"{row['effort']:.1f}",
                f"{row['duration_s']:.1f}",
                f"{row['hardest']:.2f}",
                "–" if row["gap"] is None else f"{row['gap']:.1f}",
                row["harmed"],
            )
            for row in figures[kind]
        ]
        tables.append(table(head, rows))
    saved = [
        (
            scene,
            *(f"{100 * one['share']:.1f} ({100 * one['low']:.1f} to {100 * one['high']:.1f})" for one in row.values()),
        )
        for scene, row in figures["saved"].items()
    ]
    return (
        "## Learned gains\n\nEffort is the integral of the squared change of the command, in units of deviation; means "
        f"over drives of {', '.join(figures['scenes'])}. Fixed gains, all at the same value, seeds "
        f"{figures['chosen_on']}:\n\n{tables[0]}\n\n"
        f"The best of them and the learned ones (shipped bundle), seeds {figures['seeds']}:\n\n{tables[1]}\n\n"
        f"Saved by learning, in % with its 95 % bootstrap interval over roads:\n\n"
        f"{table(('scene', 'effort', 'time', 'hardest braking'), saved)}"
    )


def main(arguments: list[str] | None = None) -> None:
    """Choose the best fixed gain on some roads, compare the shipped bundle's learned gains with it on others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chosen-on", default="900:902", help="seeds on which the best fixed gain is chosen")
    parser.add_argument("--seeds", default="1000:1004", help="seeds on which it is compared with the learned ones")
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args(arguments)
    bundle = Bundle.load(MODEL, load_settings(SETTINGS).vehicle.name)
    paths = {"learned": MODEL}
    for gain in FIXED:
        paths[f"{gain:g} 1/s"] = FIGURES / "gains" / f"{gain:g}"
        with_fixed_gains(bundle, gain).save(paths[f"{gain:g} 1/s"])
    fixed = {name: path for name, path in paths.items() if name != "learned"}
    sweep = costs(fixed, SCENES, parse_seeds(chosen.chosen_on), chosen.processes)
    swept = means(sweep)
    best = min((row for row in swept if not row["harmed"]), key=lambda row: row["effort"])["gains"]
    found = costs(
        {name: paths[name] for name in (best, "learned")}, SCENES, parse_seeds(chosen.seeds), chosen.processes
    )
    scenes = {"all": found} | {scene: [one for one in found if one.scene == scene] for scene in SCENES}
    saving = {
        scene: {what: saved(some, "learned", best, what) for what in ("effort", "duration_s", "hardest")}
        for scene, some in scenes.items()
    }
    figures = {
        "chosen_on": chosen.chosen_on,
        "seeds": chosen.seeds,
        "scenes": list(SCENES),
        "sweep": swept,
        "best": best,
        "held_out": means(found),
        "saved": saving,
        "learned": bundle.training["metrics"]["gains"],
        "drives": [asdict(one) for one in (*sweep, *found)],
    }
    print(save("gains", figures))
    print(json.dumps({key: figures[key] for key in ("sweep", "held_out", "saved")}, indent=1))


if __name__ == "__main__":
    main()
