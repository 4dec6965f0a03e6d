# SPDX-License-Identifier: Apache-2.0
"""``tidegate train``: from bags, or from nothing, to a model bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining

from tidegate.bag import remappings
from tidegate.cli.common import Remap
from tidegate.errors import SettingsError
from tidegate.learning.recipe import load_recipe
from tidegate.share import share_path


def train(
    bags: Annotated[list[Path] | None, typer.Option(help="bag, or folder of bags; may be given more than once")] = None,
    plan: Annotated[
        Path | None, typer.Option(help="plan of tidegate curate: its windows alone, of bags that have not changed")
    ] = None,
    from_scratch: Annotated[bool, typer.Option(help="record the bags too, and let the network drive for more")] = False,
    out: Annotated[Path, typer.Option(help="bundle to write")] = Path("models/car-ltc19"),
    work: Annotated[Path, typer.Option(help="folder for bags, cache, checkpoints; continues what it finds")] = Path(
        "out/train"
    ),
    recipe: Annotated[Path | None, typer.Option(help="YAML that changes the recipe")] = None,
    config: Annotated[Path | None, typer.Option(help="robot's settings")] = None,
    remap: Remap = None,
) -> None:
    """Train the stack: camera, nineteen liquid neurons, command."""
    if bool(bags) + bool(plan) + from_scratch != 1:
        raise SettingsError("give one of --bags, --plan and --from-scratch")
    if plan and remap:
        raise SettingsError("--remap: a plan has the names of topics that it was made with")
    named = remappings(remap or ())
    from tidegate.learning.pipeline import Listener, Pipeline  # torch takes seconds to import

    console = Console()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        Remaining(),
        TextColumn("{task.fields[text]}"),
        console=console,
    ) as progress:
        shown: list[TaskID] = []

        def begin(stage: str, total: int) -> None:
            shown.append(progress.add_task(stage, total=total, text=""))
            if not console.is_terminal:  # there the bars appear at the end only
                console.print(f"{stage} ({total})", highlight=False)

        listener = Listener(
            begin=begin,
            advance=lambda text: progress.update(shown[-1], advance=1, text=text),
            note=lambda text: progress.console.print(text, highlight=False, soft_wrap=True),
        )
        path = (config or share_path("config/car.yaml")).resolve()
        pipeline = Pipeline(path, work, load_recipe(recipe), out.name, listener, remap=named)
        if plan:
            bundle = pipeline.from_plan(plan, out)
        else:
            bundle = pipeline.from_scratch(out) if from_scratch else pipeline.from_bags(bags or [], out)
    errors = bundle.training["metrics"]["calibration"]
    lane = "no held-out bag tells of the lane: its bounds are unknown"
    if errors:
        lane = (
            f"lane error on roads not trained on: {errors['rms'][0]:.3f} m rms, {errors['p99'][0]:.3f} m in 99 % of "
            "the frames"
        )
    console.print(f"{lane}; {bundle.training['durations_s']['total'] / 60:.1f} min in all", soft_wrap=True)
    console.print(f"bundle: {out}", soft_wrap=True)
