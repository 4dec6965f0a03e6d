# SPDX-License-Identifier: Apache-2.0
"""How little data is enough: bundles from ever fewer minutes of driving, each on roads that nobody trained on.

Three ways to come by the same number of lessons: `random`, drives of the expert on roads as they come; `curated`, the
windows that `tidegate curate` keeps of twice as many drives; `dagger`, the network at the wheel in four drives of nine.
Bags, checkpoints and bundles lie in out/bench/data_economy, each drive is one line of out/bench/data_economy.jsonl;
what is there already is not done again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import FIGURES, SETTINGS, save, table

from tidegate.bag import BagReader
from tidegate.bundle import Bundle, bundle_identity
from tidegate.curation.curate import Seen, curate
from tidegate.curation.rules import Rules
from tidegate.evaluation.campaign import parse_seeds, run_campaign
from tidegate.evaluation.metrics import Run
from tidegate.evaluation.rollout import Task
from tidegate.learning.collect import collect, plan_drives
from tidegate.learning.pipeline import Listener, Pipeline
from tidegate.learning.recipe import Recipe, load_recipe
from tidegate.settings import load_settings

WORK = FIGURES / "data_economy"
LINES = FIGURES / "data_economy.jsonl"
KINDS = ("dagger", "random", "curated")
FILTER = {"off": (False,), "on": (True,), "both": (False, True)}
DRIVE_S = 2.0
"""A tenth of the shipped recipe's, hardly longer than a window: as many frames show ten times as many roads, lights and
looks."""
SHARES = {"traffic_share": 0.15, "truck_share": 0.0, "white_share": 0.0, "close_share": 0.0}
"""Scenes: what is judged is the empty road. In traffic drives begin at a standstill."""
ROUNDS, EFFORT = 2, 0.3
CALIBRATED, CALIBRATED_S = 20, 5.0
"""Drives [s each] that set the error bounds; with fewer than nine there is no bound for one drive in ten."""
GAINS_S = 10.0
STEPS = {"lane_steps": 2500, "policy_steps": 1500, "all_steps": 60}
LANE_FRAMES = 96
"""Half of the shipped recipe's: for the same work twice as many steps."""


def recipe_of(kind: str, drives: int, threads: int = 1) -> Recipe:
    """``drives`` to learn from, of ``DRIVE_S`` each; who has no rounds takes the steps of the rounds at once."""
    base = load_recipe()
    rounds, shown = (ROUNDS, 2 * drives // 9) if kind == "dagger" else (0, 0)
    again = {"policy_steps": 1.0, "lane_steps": EFFORT, "all_steps": EFFORT}
    more = {key: round(steps * (1 + (ROUNDS - rounds) * again[key])) for key, steps in STEPS.items()}
    return dataclasses.replace(
        base,
        threads=threads,
        collect=dataclasses.replace(base.collect, drives=drives - rounds * shown, duration_s=DRIVE_S, **SHARES),
        train=dataclasses.replace(base.train, lane_frames=LANE_FRAMES, **more),  # type: ignore[arg-type]
        dagger=dataclasses.replace(base.dagger, rounds=rounds, drives=max(shown, 1), effort=EFFORT),
        calibrate=dataclasses.replace(base.calibrate, drives=CALIBRATED, duration_s=CALIBRATED_S),
        gains=dataclasses.replace(base.gains, duration_s=GAINS_S),
    ).check()


def made(kind: str, drives: int, threads: int) -> Path:
    """The bundle, trained unless it is there; all kinds share the expert's drives."""
    recipe, folder, config = recipe_of(kind, drives, threads), WORK / f"{kind}-{drives}", Path(SETTINGS).resolve()
    out, shared = folder / "bundle", (WORK / "expert").resolve()
    if out.exists() and Bundle.load(out).training["recipe"] == dataclasses.asdict(recipe):
        return out
    shared.mkdir(parents=True, exist_ok=True)
    (folder / "bags").mkdir(parents=True, exist_ok=True)
    expert = folder / "bags" / "expert"
    if not expert.exists():
        expert.symlink_to(shared)
    listener = Listener(
        begin=lambda stage, total: print(f"{folder.name}: {stage} ({total})", flush=True),
        note=lambda text: print(f"{folder.name}: {text}", flush=True),
    )
    pipeline = Pipeline(config, folder, recipe, folder.name, listener)
    if kind == "curated":
        count = 2 * drives + CALIBRATED
        bags = collect(plan_drives(config, expert, recipe.collect.first_seed, count, recipe.collect), threads)
        seen = Seen(bags, load_settings(config), Rules(), WORK / "seen")
        plan = curate(seen, Rules(), drives * DRIVE_S, recipe.seed, CALIBRATED / count)
        plan.save(folder / "plan.yaml")
        print(plan.counts(), flush=True)
        pipeline.from_plan(folder / "plan.yaml", out)
    else:
        pipeline.from_scratch(out)
    return out


def driven_minutes(bundle: Path) -> dict[str, float]:
    """What a bundle cost: ``learnt`` from; ``recorded``, with what measured the training and set the bounds, and what
    was left out of these bags (bags of which a plan chose nothing are not counted); ``all``, with the drives that set
    the gains, of which no bag is kept."""
    record, per_minute = Bundle.load(bundle).training, 60 * load_settings(SETTINGS).camera.rate_hz
    recorded = sum(
        sum(1 for _ in BagReader(bundle.parent / "bags" / name).raw(["/expert/nominal"]))
        for name in record["data_sha256"]
    )
    learnt, gains = record["frames"], record["recipe"]["gains"]
    if "plan" in record:
        learnt = record["plan"]["windows"] * record["recipe"]["train"]["window"]
    for_gains = gains["drives"] * gains["duration_s"] / 60 if "gains" in record["metrics"] else 0.0
    return {
        "learnt": learnt / per_minute,
        "recorded": recorded / per_minute,
        "all": recorded / per_minute + for_gains,
    }


def driven(bundle: Path, seeds: Sequence[int], filtered: bool, processes: int) -> list[dict[str, Any]]:
    """A lap of `road` on each seed, in their order."""
    mine = {"bundle": bundle_identity(bundle)[1], "filter": "on" if filtered else "off"}
    lines = [json.loads(line) for line in LINES.read_text("utf-8").splitlines()] if LINES.exists() else []
    runs = {line["run"]["seed"]: line["run"] for line in lines if mine.items() <= line.items()}
    tasks = [Task(SETTINGS, str(bundle), "road", seed, filtered=filtered) for seed in seeds if seed not in runs]

    def heard(run: Run) -> None:
        runs[run.seed] = run.as_dict()
        with LINES.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({**mine, "name": bundle.parent.name, "run": run.as_dict()}) + "\n")
        print(f"{bundle.parent.name}, filter {mine['filter']}, road {run.seed}: {run.end}", flush=True)

    run_campaign(tasks, processes, heard)
    return [runs[seed] for seed in seeds]


def summed(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of the laps: how many counted, what went wrong, and lane errors of those that counted."""
    laps = [run for run in runs if run["completed"]]
    return {
        "driven": len(runs),
        "completed": len(laps),
        "failed": {run["seed"]: run["end"] for run in runs if not run["completed"]},
        "collisions": sum(run["collisions"] for run in runs),
        "limit_violations": sum(run["limit_violations"] for run in runs),
        "left_the_lane": sum(run["off_lane_s"] > 0 for run in runs),
        "rms_lane_error_m": statistics.fmean(run["rms_lane_error_m"] for run in laps) if laps else None,
        "max_abs_lane_error_m": max((run["max_abs_lane_error_m"] for run in laps), default=None),
    }


def tell(cells: Sequence[dict[str, Any]]) -> str:
    """A table for people."""
    head = ("drives", "how", "minutes learnt from", "driven in all", "filter", "laps", "left the lane", "lane error")
    rows = []
    for cell in cells:
        for name in ("off", "on"):
            if name in cell:
                found = cell[name]
                errors = (found["rms_lane_error_m"], found["max_abs_lane_error_m"])
                told = "–" if None in errors else "{:.2f} m rms, {:.2f} m at most".format(*errors)
                minutes = f"{cell['minutes']['learnt']:.1f}", f"{cell['minutes']['all']:.1f}"
                laps = f"{found['completed']}/{found['driven']}"
                rows.append((cell["drives"], cell["kind"], *minutes, name, laps, found["left_the_lane"], told))
    return table(head, rows)


def main(arguments: list[str] | None = None) -> None:
    """Train and drive cell by cell, the most data first; figures are kept after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drives", default="230,115,57", help="to learn from, of 2 s each; by comma")
    parser.add_argument("--kinds", default=",".join(KINDS), help="by comma")
    parser.add_argument("--seeds", default="1000:1020", help="roads to drive; 900:908 to choose by")
    parser.add_argument("--filter", choices=FILTER, default="both")
    parser.add_argument("--processes", type=int, default=1, help="threads of a training, drives at a time")
    chosen = parser.parse_args(arguments)
    kinds, sizes = chosen.kinds.split(","), [int(size) for size in chosen.drives.split(",")]
    if unknown := sorted(set(kinds) - set(KINDS)):
        parser.error(f"--kinds: '{unknown[0]}' is none of {', '.join(KINDS)}")
    if min(sizes) < 5:
        parser.error(f"--drives: {min(sizes)} leave no drive for a round; at least 5")
    seeds, cells = parse_seeds(chosen.seeds), []
    for drives in sizes:
        for kind in kinds:
            bundle = made(kind, drives, chosen.processes)
            cell = {"kind": kind, "drives": drives, "minutes": driven_minutes(bundle)}
            for filtered in FILTER[chosen.filter]:
                name = "on" if filtered else "off"
                cell[name] = summed(driven(bundle, seeds, filtered, chosen.processes))
            cells.append(cell)
            print(save("data_economy", {"seeds": chosen.seeds, "steps": STEPS, "cells": cells}), flush=True)
    print(tell(cells))


if __name__ == "__main__":
    main()
