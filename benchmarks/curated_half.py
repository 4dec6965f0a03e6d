# SPDX-License-Identifier: Apache-2.0
"""What curation buys: policies that learnt from all of a redundant data set, from the half that `tidegate curate` keeps
and from random halves of the same size, on roads that nobody trained on, without the filter.

Each training and its drives are one line of out/bench/curated_half.jsonl; what is there already is not done again.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import FIGURES, MODEL, SETTINGS, machine, save, table

from tidegate.bag import Drive
from tidegate.bundle import Bundle
from tidegate.curation.curate import Seen, curate
from tidegate.curation.plan import Plan, verdict_of
from tidegate.curation.rules import Rules
from tidegate.evaluation.campaign import parse_seeds
from tidegate.evaluation.rollout import Task, drive
from tidegate.learning.collect import Plan as ToRecord
from tidegate.learning.collect import collect
from tidegate.learning.dataset import Windows, load_drive
from tidegate.learning.recipe import Recipe, load_recipe
from tidegate.learning.train import Trainer
from tidegate.robot import Car
from tidegate.settings import Settings, load_settings
from tidegate.stack import Stack

WORK = FIGURES / "curated_half"
LINES = FIGURES / "curated_half.jsonl"
FIRST_ROAD = 3200
TIMES = (8, 6, 4, 3, 2, 2, 1, 1, 1, 1, 1)
"""How often each road is driven: some are driven daily, some once."""
STEADY = {"push_lateral": 0.15, "push_force": 0.2, "shift_offset": 0.04, "shift_yaw": 0.005}
"""Disturbances of a driver who drives the same road once more and holds his lane."""
REPEATS = ("steady", "disturbed")
SETS = ("all", "curated", "random")
UNLEARNABLE = ("held", "gapped", "short", "unlabelled")


def recorded(recipe: Recipe, repeats: str, processes: int) -> list[Path]:
    """Drives of the expert; those on one road begin at the same place. The first is disturbed as in every training, the
    others are ``steady``, nearly the same drive, or ``disturbed`` each in its own way."""
    plans = []
    for road, times in enumerate(TIMES, FIRST_ROAD):
        for again in range(times):
            alike = again and repeats == "steady"
            collected = dataclasses.replace(recipe.collect, **STEADY) if alike else recipe.collect
            name = f"{'steady' if alike else 'road'}-{road}-{again}"
            plans.append(ToRecord(SETTINGS, str(WORK / "bags" / name), "road", road, collected, again=again))
    return collect(plans, processes, lambda path: print(f"recorded {path.name}", flush=True))


def planned(bags: list[Path], settings: Settings) -> Plan:
    """Half of the data, as the command keeps it; no bag is held out, the roads measure."""
    seen = Seen(bags, settings, Rules(), WORK / "seen")
    table = seen.table()
    whole = [not why.startswith(UNLEARNABLE) for why in table.ruled_out]
    plan = curate(seen, Rules(), float(table.lasts[whole].sum()) / 2, held_share=0.0)
    plan.save(WORK / "plan.yaml")
    return plan


def chosen_windows(kind: str, seed: int, plan: Plan) -> list[list[int]]:
    """First frames of the windows to learn from, for each bag; a seed draws its own random half."""
    if kind == "curated":
        return [bag.kept() for bag in plan.bags]
    every = [
        (index, frame)
        for index, bag in enumerate(plan.bags)
        for frame, why in bag.windows.items()
        if verdict_of(why) not in UNLEARNABLE
    ]
    if kind == "random":
        size = sum(len(bag.kept()) for bag in plan.bags)
        drawn = np.random.default_rng([seed, 23]).choice(len(every), size, replace=False)
        every = [every[place] for place in sorted(drawn)]
    return [[frame for index, frame in every if index == bag] for bag in range(len(plan.bags))]


def trained(drives: list[Drive], windows: list[list[int]], recipe: Recipe, settings: Settings, mass: float) -> Stack:
    """A policy learnt from nothing behind the shipped network's frozen convolutions, which never saw these roads."""
    stack = Stack.from_settings(settings, recipe.seed)
    known = Stack.from_bundle(Bundle.load(MODEL)).backbone
    for name in ("convs", "hidden", "lane"):
        getattr(stack.backbone, name).load_state_dict(getattr(known, name).state_dict())
    used = [index for index, frames in enumerate(windows) if frames]
    lessons = Windows(
        [drives[index] for index in used],
        recipe.train,
        mass,
        1 / settings.camera.rate_hz,
        [windows[index] for index in used],
    )
    Trainer(stack, recipe, settings).fit(lessons, "policy", recipe.train.policy_steps)
    return stack


def driven(stack: Stack, roads: list[int], settings: Settings, mass: float, name: str) -> list[dict[str, Any]]:
    """Laps on held-out roads, the filter off."""
    bundle = stack.to_bundle(name, settings, mass)
    told = ("completed", "end", "distance_m", "rms_lane_error_m", "max_abs_lane_error_m", "off_lane_s", "wall_s")
    found = []
    for road in roads:
        run = drive(settings, Task(SETTINGS, name, "road", road, filtered=False), bundle).as_dict()
        kept = run["completed"] and run["off_lane_s"] == 0
        found.append({"road": road, "in_lane": kept, **{key: run[key] for key in told}})
    return found


def known_lines(identity: str) -> list[dict[str, Any]]:
    """What was done already with the same data, recipe and roads."""
    lines = [json.loads(line) for line in LINES.read_text("utf-8").splitlines()] if LINES.exists() else []
    return [line for line in lines if line["identity"] == identity]


def summed(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Of each set over its trainings: mean and sd of laps and way, and of the lane errors of the laps completed; who
    stands still has none."""
    rows = {}
    for kind in SETS:
        mine = [line for line in lines if line["set"] == kind]
        figures: dict[str, Any] = {"trainings": len(mine)}
        for key in ("completed", "in_lane", "rms_lane_error_m", "max_abs_lane_error_m", "distance_m"):
            judged = [[run for run in line["runs"] if run["completed"] or "error" not in key] for line in mine]
            means = [statistics.fmean(run[key] for run in runs) for runs in judged if runs]
            if means:
                figures[key] = {"mean": statistics.fmean(means), "sd": statistics.stdev(means) if means[1:] else 0.0}
        rows[kind] = figures | ({"windows": mine[0]["windows"]} if mine else {})
    return rows


def tell(rows: dict[str, Any], roads: int) -> str:
    """A table for people."""
    head = (
        "learnt from",
        "windows",
        "trainings",
        f"laps of {roads}",
        "of them in the lane",
        "way [m]",
        "lane error of these laps, rms [m]",
        "largest [m]",
    )
    made = []
    for kind, figures in rows.items():
        if figures["trainings"]:
            cells = (
                f"{scale * figures[key]['mean']:.{digits}f} ± {scale * figures[key]['sd']:.{digits}f}"
                if key in figures
                else "–"
                for key, scale, digits in (
                    ("completed", roads, 1),
                    ("in_lane", roads, 1),
                    ("distance_m", 1, 0),
                    ("rms_lane_error_m", 1, 3),
                    ("max_abs_lane_error_m", 1, 2),
                )
            )
            made.append((kind, figures["windows"], figures["trainings"], *cells))
    return table(head, made)


def main(arguments: list[str] | None = None) -> None:
    """Record, plan, then train and drive, set by set and seed by seed, so that a break leaves equal numbers of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="trainings of each set")
    parser.add_argument("--repeats", choices=REPEATS, default="steady", help="how a road is driven once more")
    parser.add_argument("--roads", default="3300:3306", help="held out; each is driven by every policy")
    parser.add_argument("--steps", type=int, default=2000, help="of each training")
    parser.add_argument("--processes", type=int, default=1, help="threads of a training, processes of the recording")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin nothing more after that")
    chosen = parser.parse_args(arguments)
    began, settings, base = time.monotonic(), load_settings(SETTINGS), load_recipe()
    recipe = dataclasses.replace(
        base, threads=chosen.processes, train=dataclasses.replace(base.train, policy_steps=chosen.steps)
    )
    mass, roads = Car.from_settings(settings).effective_mass, parse_seeds(chosen.roads)
    plan = planned(recorded(recipe, chosen.repeats, chosen.processes), settings)
    print(plan.counts(), flush=True)
    drives = [load_drive(bag.path, settings.perception)[0] for bag in plan.bags]
    made_by = [dataclasses.asdict(recipe), [bag.sha256 for bag in plan.bags], plan.counts(), roads]
    identity = hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()[:16]
    lines = known_lines(identity)
    for seed in range(chosen.seeds):
        for kind in SETS:
            if any((line["set"], line["seed"]) == (kind, seed) for line in lines):
                continue
            if time.monotonic() - began > 60 * chosen.minutes:
                break
            windows, start = chosen_windows(kind, seed, plan), time.monotonic()
            stack = trained(drives, windows, dataclasses.replace(recipe, seed=seed), settings, mass)
            train_s = time.monotonic() - start
            line = {
                "identity": identity,
                "set": kind,
                "seed": seed,
                "windows": sum(map(len, windows)),
                "train_s": round(train_s, 1),
                "load": machine()["load_1min"],
                "runs": driven(stack, roads, settings, mass, f"{kind}-{seed}"),
            }
            with LINES.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
            lines.append(line)
            laps = sum(run["completed"] for run in line["runs"])
            print(f"{kind} {seed}: {laps}/{len(roads)} laps; trained for {train_s:.0f} s", flush=True)
    rows = summed(lines)
    figures = {"roads": chosen.roads, "steps": chosen.steps, "counts": plan.counts(), "sets": rows}
    print(save(f"curated_half_{chosen.repeats}", figures))
    print(tell(rows, len(roads)))


if __name__ == "__main__":
    main()
