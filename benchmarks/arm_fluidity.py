# SPDX-License-Identifier: Apache-2.0
"""How fluidly the arm follows the moving target of `reach`: the expert, the shipped policy and model predictive
control, each behind the filter, and the last without it too; jerk, spectral arc length, time to the target, error,
computing time."""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault(
    "OPENBLAS_NUM_THREADS", "1"
)  # before NumPy: its threads take longer than a matrix of seven joints

import numpy as np
from common import Aim, add_check, judge, save, table, versions

from tidegate.evaluation.arm_drivers import make_driver
from tidegate.evaluation.comfort import rms
from tidegate.evaluation.smoothness import jerk, spectral_arc_length
from tidegate.records import Floats
from tidegate.safety.arm import ArmGuard
from tidegate.settings.arm import load_arm_settings
from tidegate.simulation.arm import ArmRun, ArmTask, ArmTruth, Expert, drive, make_arm_scene

SETTINGS, BUNDLE = "config/arm.yaml", "models/arm-ltc19"
THERE = 0.01
"""The target is reached where the tool is so near to its place [m]."""
FIGURES = {
    "jerk_rms": "jerk, rms [m/s³]",
    "jerk_peak": "jerk, peak [m/s³]",
    "arc_length": "spectral arc length",
    "reached_s": "reached after [s]",
    "tracking_rms_mm": "tracking error, rms [mm]",
    "tracking_most_mm": "tracking error, most [mm]",
    "step_ms": "a step, median [ms]",
    "step_ms_p99": "a step, 99 % [ms]",
    "changed": "ticks changed by the filter",
}


Asker = Callable[[ArmTask], tuple[Callable[[ArmTruth], Floats], list[float]]]


class Timed:
    """Asks for torques and keeps how long that took, of the processor [ms], but for what was ``beside`` it [s]."""

    def __init__(self, act: Callable[[ArmTruth], Floats]) -> None:
        self._act = act
        self.times: list[float] = []
        self.beside = 0.0

    def __call__(self, truth: ArmTruth) -> Floats:
        """See ``Expert.act``."""
        began, self.beside = time.thread_time(), 0.0
        asked = self._act(truth)
        self.times.append((time.thread_time() - began - self.beside) * 1e3)
        return asked


def expert(scene: ArmTask) -> tuple[Callable[[ArmTruth], Floats], list[float]]:
    """Who asks, and where its times per step gather."""
    timed = Timed(Expert(scene).act)
    return timed, timed.times


def policy(scene: ArmTask) -> tuple[Callable[[ArmTruth], Floats], list[float]]:
    """The same for the shipped policy, which sees pictures; they are drawn beside the time that counts."""
    pictures = scene.image
    timed = Timed(make_driver("bundle", BUNDLE, scene))

    def drawn(*view: Any) -> Any:
        began = time.thread_time()
        made = pictures(*view)
        timed.beside += time.thread_time() - began
        return made

    scene.image = drawn  # type: ignore[assignment, method-assign]
    return timed, timed.times


def predictive(weight: float) -> Asker:
    """The same for model predictive control with such a ``weight`` of jerk; its step is a solution."""

    def made(scene: ArmTask) -> tuple[Callable[[ArmTruth], Floats], list[float]]:
        from arm_mpc import Predictive  # CasADi is asked for only where it is used

        controller = Predictive(scene, weight)
        return controller.act, controller.times

    return made


WHO = {"expert": expert, "policy": policy, "mpc": predictive(1e-6), "calm_mpc": predictive(1e-4)}
RUNS = (("expert", True), ("policy", True), ("mpc", True), ("calm_mpc", True), ("mpc", False))
"""Who, and whether behind the filter."""


def figures_of(scene: ArmTask, run: ArmRun, goals: Floats, times: list[float]) -> dict[str, float]:
    """Of one episode; ``goals`` (K, 3) of each physics step."""
    velocity, score = run.of("tool_velocity"), scene.score()
    off = np.linalg.norm(run.of("tool") - goals, axis=1)
    near = np.flatnonzero(off < THERE)
    late = velocity[round(scene.scored / run.period) :]
    jerks = jerk(velocity, run.period)
    return {
        "jerk_rms": rms(jerk(late, run.period)),
        "jerk_peak": float(jerks.max()),
        "arc_length": spectral_arc_length(np.linalg.norm(velocity, axis=1), run.period),
        "reached_s": float(near[0] + 1) * run.period if len(near) else float("nan"),
        "tracking_rms_mm": 1e3 * score["tracking_rms_m"],
        "tracking_most_mm": 1e3 * score["tracking_most_m"],
        "step_ms": float(np.median(times)),
        "step_ms_p99": float(np.quantile(times, 0.99)),
        "changed": float(np.mean([bool(name) for name in run.intervened])) if run.intervened else 0.0,
    }


def episode(who: str, seed: int, *, guarded: bool) -> tuple[dict[str, float], Counter[str]]:
    """One episode of `reach`: its figures, and the ticks that each barrier changed."""
    scene = make_arm_scene("reach", load_arm_settings(SETTINGS), seed)
    act, times = WHO[who](scene)
    goals: list[Floats] = []

    def noted(truth: ArmTruth) -> Floats:
        goals.append(scene.goal().place)
        return act(truth)

    run = drive(scene, noted, ArmGuard(scene.settings) if guarded else None)
    # the goal of a tick stands for its physics steps: at 0.3 m/s it moves on by 0.6 mm
    return figures_of(scene, run, np.repeat(goals, scene.substeps, axis=0), times), Counter(run.intervened)


def aims(figures: dict[str, Any]) -> Iterator[Aim]:
    """The expert follows, and no less fluidly than the calmer prediction."""
    own = figures["expert, filtered"]
    yield Aim("tracking error of the expert behind the filter, rms [mm]", own["tracking_rms_mm"], most=5.0)
    if "calm_mpc, filtered" in figures:
        peer = figures["calm_mpc, filtered"]
        yield Aim("its jerk, rms, as a share of the calm prediction's", own["jerk_rms"] / peer["jerk_rms"], most=1.0)
        yield Aim("its arc length less the prediction's", own["arc_length"] - peer["arc_length"], least=0.0)


def _spread(values: list[float]) -> str:
    """Mean, least and most."""
    return f"{np.mean(values):.3g} ({min(values):.3g} to {max(values):.3g})"


def main(arguments: list[str] | None = None) -> None:
    """The same targets for everybody; of each figure the mean over the seeds, the least and the most."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--who", nargs="+", choices=sorted(WHO), default=sorted(WHO))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(900, 904)))
    add_check(parser)
    chosen = parser.parse_args(arguments)
    figures: dict[str, Any] = {"seeds": chosen.seeds, "versions": versions("casadi", "do_mpc", "pin")}
    columns: dict[str, list[dict[str, float]]] = {}
    for who, guarded in (run for run in RUNS if run[0] in chosen.who):
        found = [episode(who, seed, guarded=guarded) for seed in chosen.seeds]
        name = f"{who}, {'filtered' if guarded else 'alone'}"
        columns[name] = [one[0] for one in found]
        means = {key: float(np.mean([one[key] for one in columns[name]])) for key in FIGURES}
        changed = dict(sum((one[1] for one in found), Counter()))
        figures[name] = {**means, "changed_by": changed, "by_seed": columns[name]}
        print(name, columns[name], flush=True)
    print(save("arm_fluidity", figures))
    rows = [
        (words, *(_spread([one[key] for one in column]) for column in columns.values()))
        for key, words in FIGURES.items()
    ]
    print(table(("", *columns), rows))
    if "expert" in chosen.who:
        judge(aims(figures), chosen.check)


if __name__ == "__main__":
    main()
