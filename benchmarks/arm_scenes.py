# SPDX-License-Identifier: Apache-2.0
"""The expert in the arm's scenes behind the filter: how well each is done, and the worst excess over each limit."""

from __future__ import annotations

import argparse
import math
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

os.environ.setdefault(
    "OPENBLAS_NUM_THREADS", "1"
)  # before NumPy: its threads take longer than a matrix of seven joints

import numpy as np
from arm import QUANTITIES, SETTINGS, Worst
from common import Aim, add_check, judge, save, table

from tidegate.safety.arm import ArmGuard
from tidegate.settings.arm import load_arm_settings
from tidegate.simulation.arm import ARM_SCENES, Expert, drive, make_arm_scene


def episode(name: str, seed: int) -> tuple[dict[str, float], dict[str, float], Counter[str]]:
    """Score, worst excesses, and the ticks that each barrier changed."""
    scene = make_arm_scene(name, load_arm_settings(SETTINGS), seed)
    guard = ArmGuard(scene.settings)
    worst = Worst(guard)
    run = drive(scene, Expert(scene).act, guard)
    last = run.torque[0]
    for torque in run.torque[:: scene.substeps]:
        worst.tick(torque, last)
        last = torque
    for torque, truth in zip(run.torque, run.truth, strict=True):
        worst.step(torque, truth)
    return scene.score(), worst.found, Counter(run.intervened)


def aims(figures: dict[str, Any]) -> Iterator[Aim]:
    """Each scene is done, and no limit is exceeded."""
    for scene, scores in figures["scenes"].items():
        for name, least, most in ARM_SCENES[scene].passing:
            if math.isfinite(least):
                yield Aim(f"{scene}: {name}", scores[name]["least"], least=least)
            if math.isfinite(most):
                yield Aim(f"{scene}: {name}", scores[name]["most"], most=most)
    for name, unit in QUANTITIES.items():
        yield Aim(f"worst excess of {name} [{unit}]", figures["excess"][name], most=1e-6)


def main(arguments: list[str] | None = None) -> None:
    """All scenes, each with the same seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", nargs="+", choices=tuple(ARM_SCENES), default=list(ARM_SCENES))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(900, 908)))
    add_check(parser)
    chosen = parser.parse_args(arguments)
    excess = dict.fromkeys(QUANTITIES, -math.inf)
    scenes: dict[str, dict[str, Any]] = {}
    for name in chosen.scenes:
        found = [episode(name, seed) for seed in chosen.seeds]
        excess = {key: max(value, *(one[1][key] for one in found)) for key, value in excess.items()}
        scenes[name] = {
            key: {"mean": float(np.mean(values)), "least": min(values), "most": max(values)}
            for key in found[0][0]
            for values in [[one[0][key] for one in found]]
        }
        changed: Counter[str] = sum((one[2] for one in found), Counter())
        scenes[name]["changed"] = {"ticks": changed.total(), "by": {key: n for key, n in changed.items() if key}}
    figures = {"seeds": chosen.seeds, "scenes": scenes, "excess": excess}
    print(save("arm_scenes", figures))
    rows = [
        (name, key, *(f"{value[part]:.4g}" for part in ("mean", "least", "most")))
        for name, scores in scenes.items()
        for key, value in scores.items()
        if key != "changed"
    ]
    print(table(("scene", "score", "mean", "least", "most"), rows))
    print(excess, *((name, scores["changed"]) for name, scores in scenes.items()), sep="\n")
    if set(chosen.scenes) == set(ARM_SCENES):
        judge(aims(figures), chosen.check)


if __name__ == "__main__":
    main()
