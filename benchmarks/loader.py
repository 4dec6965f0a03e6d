# SPDX-License-Identifier: Apache-2.0
"""What it costs to train from bags that are decoded into memory alone, against the same tensors already there; in
processor time: other load does not count."""

from __future__ import annotations

import argparse
import itertools
import resource
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import FIGURES, SETTINGS, Aim, add_check, judge, save

from tidegate.bag import bags_in
from tidegate.learning.collect import collect, plan_drives
from tidegate.learning.dataset import Windows, read_bags
from tidegate.learning.loss import Stage
from tidegate.learning.recipe import Recipe, load_recipe
from tidegate.learning.train import Trainer
from tidegate.robot import Car
from tidegate.settings import Settings, load_settings
from tidegate.stack import Stack

SEED = 3200
"""Of the first drive; no test and no shipped training knows these roads."""
STAGES: tuple[Stage, ...] = ("lane", "policy", "all")


def bags(given: list[Path], drives: int, recipe: Recipe) -> list[Path]:
    """Those given, or drives of the expert."""
    if given:
        return bags_in(given)
    return collect(
        plan_drives(Path(SETTINGS), FIGURES / "loader", SEED, drives, recipe.collect), processes=recipe.threads
    )


def steps_s(stage: Stage, windows: Windows, recipe: Recipe, settings: Settings, steps: int) -> tuple[float, float]:
    """Processor time [s] before the first step, where codes are made, and of each step."""
    trainer = Trainer(Stack.from_settings(settings, 0), recipe, settings)
    at: list[float] = []
    begun = time.process_time()
    trainer.fit(windows, stage, steps, heard=lambda step, found: at.append(time.process_time()))
    each = statistics.median(after - before for before, after in itertools.pairwise(at))
    return at[0] - begun - each, each


def aims(figures: dict[str, Any]) -> Iterator[Aim]:
    """The wish: nine tenths of the speed of tensors in memory."""
    yield Aim("speed of the shipped recipe from bags, share of that from memory", figures["share"], least=0.9)


def main(arguments: list[str] | None = None) -> None:
    """Read the bags, time steps of each stage on what was read, and add up for all steps of the recipe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bags", type=Path, action="append", help="bag or folder of bags; else drives are recorded")
    parser.add_argument("--drives", type=int, default=24, help="that are recorded, 20 s each")
    parser.add_argument("--steps", type=int, default=20, help="of each stage that are timed")
    add_check(parser)
    chosen = parser.parse_args(arguments)
    settings, recipe = load_settings(SETTINGS), load_recipe()
    jobs = [(number, path, None) for number, path in enumerate(bags(chosen.bags or [], chosen.drives, recipe))]
    begun = time.process_time()
    drives = [drive for _, (drive, _) in read_bags(jobs, settings.perception)]
    reading = time.process_time() - begun
    frames = sum(len(drive.stamp) for drive in drives)
    windows = Windows(drives, recipe.train, Car.from_settings(settings).effective_mass, 1 / settings.camera.rate_hz)
    found = {stage: steps_s(stage, windows, recipe, settings, chosen.steps) for stage in STAGES}
    training = sum(before + each * getattr(recipe.train, f"{stage}_steps") for stage, (before, each) in found.items())
    figures = {
        "bags": len(jobs),
        "frames": frames,
        "bag_mib": sum(file.stat().st_size for _, path, _ in jobs for file in path.glob("*.mcap")) / 2**20,
        "arrays_mib": sum(drive.images.nbytes for drive in drives) / 2**20,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "read_s": reading,
        "read_us_per_frame": reading / frames * 1e6,
        "before_s": {stage: before for stage, (before, _) in found.items()},
        "step_ms": {stage: 1e3 * each for stage, (_, each) in found.items()},
        "training_s": training,
        "share": training / (training + reading),
    }
    print(save("loader", figures))
    print(*(f"{name}: {value}" for name, value in figures.items()), sep="\n")
    judge(aims(figures), chosen.check)


if __name__ == "__main__":
    main()
