# SPDX-License-Identifier: Apache-2.0
"""``tidegate distil``: the policy as an if/else with units, judged by driving with it, as text, Python and C."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from tidegate.bundle import Bundle
from tidegate.cli.common import check_folder
from tidegate.errors import SceneError, SettingsError
from tidegate.evaluation.campaign import parse_seeds
from tidegate.evaluation.rollout import Task, check_task
from tidegate.insight import tree_source
from tidegate.insight.distil import Job, distil_policy, drive_all, judgement
from tidegate.insight.distil_facts import distil_facts, drives_facts
from tidegate.insight.distil_page import distil_page
from tidegate.insight.policy_tree import LEAF_KINDS, MOST_LEAVES
from tidegate.liquid import Wiring
from tidegate.liquid.wiring import neuron_names
from tidegate.settings import load_settings
from tidegate.share import share_path


def distil(
    bundle: Annotated[Path | None, typer.Argument(help="model to distil, default models/car-ltc19")] = None,
    out: Annotated[Path, typer.Option(help="folder for report.html and .json, tree.txt, .py, .c and .json")] = Path(
        "out/distil"
    ),
    scene: Annotated[str, typer.Option(help="where it drives")] = "road",
    seeds: Annotated[str, typer.Option(help="drives to fit to, dealt out over the rounds")] = "3000:3012",
    held_out: Annotated[str, typer.Option(help="drives of the tree that R² is taken on")] = "3100:3104",
    rounds: Annotated[int, typer.Option(min=0, help="how often a tree drives and is fitted anew")] = 3,
    leaves: Annotated[int, typer.Option(min=2, max=64, help="at most, force and curvature together")] = MOST_LEAVES,
    leaf: Annotated[str, typer.Option(help=f"what a leaf holds: {' or '.join(LEAF_KINDS)}")] = LEAF_KINDS[0],
    seconds: Annotated[float, typer.Option(min=1.0, help="longest of these drives [s]")] = 90.0,
    judge: Annotated[str, typer.Option(help="seeds to drive to the end, without and with the filter: 1000:1020")] = "",
    processes: Annotated[int, typer.Option(min=1, help="drives at a time")] = 2,
    config: Annotated[Path | None, typer.Option(help="robot's settings")] = None,
) -> None:
    """Turn a model's policy into a small tree where the tree itself drives, and say how faithful it is."""
    if leaf not in LEAF_KINDS:
        raise SettingsError(f"--leaf is '{leaf}'; it must be {' or '.join(LEAF_KINDS)}")
    fit_seeds, other_seeds, judged = parse_seeds(seeds), parse_seeds(held_out), parse_seeds(judge) if judge else []
    if len(fit_seeds) <= rounds:
        raise SceneError(f"--seeds '{seeds}' are {len(fit_seeds)}; {rounds} rounds need at least {rounds + 1}")
    if shared := sorted(set(fit_seeds) & set(other_seeds + judged)):
        raise SceneError(
            f"seed {shared[0]} is in --seeds and judged too; what a tree is judged by must be other drives"
        )
    path, model = config or share_path("config/car.yaml"), bundle or share_path("models/car-ltc19")
    loaded = Bundle.load(model, load_settings(path).vehicle.name)
    task = Task(str(path), str(model), scene, 0, filtered=False, longest_s=seconds)
    check_task(task)
    check_folder(out)
    console = Console()
    with console.status("distilling"):
        tree, fitted, made = distil_policy(task, fit_seeds, rounds, leaf, leaves, processes, console.print)
        console.print(f"held out: the tree drives {len(other_seeds)} roads")
        jobs = [Job(dataclasses.replace(task, seed=seed), tree) for seed in other_seeds]
        others = drive_all(jobs, processes)
        told, pictures = distil_facts(
            tree, leaf, leaves, fitted, made, others, neuron_names(Wiring.from_dict(loaded.wiring))
        )
        told["scene"] = scene
        for name, filtered in (("without the filter", False), ("behind the filter", True)) if judged else ():
            whole = dataclasses.replace(task, filtered=filtered, longest_s=float("inf"))
            jobs = [Job(dataclasses.replace(whole, seed=seed), tree, judged=True) for seed in judged]
            runs = [one.run for one in drive_all(jobs, processes) if one.run is not None]
            told["drives"][name] = drives_facts(runs)
            console.print(f"{name}: {judgement(runs)}", soft_wrap=True)
    out.mkdir(parents=True, exist_ok=True)
    files = {
        "tree.txt": told["tree"],
        "tree.py": tree_source.python(tree),
        "tree.c": tree_source.c(tree),
        "report.html": distil_page(told, pictures),
        "report.json": json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
    }
    for name, content in files.items():
        (out / name).write_text(content, encoding="utf-8")
    tree.save(out / "tree.json")
    console.print(told["tree"], soft_wrap=True, highlight=False, markup=False)
    faith = told["r2"][leaf]["held_out"]
    console.print(f"held-out states: R² {faith['force']:.3f} of the force, {faith['curvature']:.3f} of the curvature")
    console.print(f"written: {', '.join([*files, 'tree.json'])} in {escape(str(out))}", soft_wrap=True)
