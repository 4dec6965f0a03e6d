# SPDX-License-Identifier: Apache-2.0
"""``tidegate train``: from bags, or from nothing, to a model bundle."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Remaining

from tidegate.bag import remappings
from tidegate.cli.common import Remap, check_folder, refuse_for_arm
from tidegate.errors import SettingsError
from tidegate.learning.recipe import load_recipe
from tidegate.settings.kind import robot_kind
from tidegate.share import share_path

if TYPE_CHECKING:
    from tidegate.learning.pipeline import Listener


def train(
    bags: Annotated[list[Path] | None, typer.Option(help="bag, or folder of bags; may be given more than once")] = None,
    plan: Annotated[
        Path | None, typer.Option(help="plan of tidegate curate: its windows alone, of bags that have not changed")
    ] = None,
    from_scratch: Annotated[bool, typer.Option(help="record the bags too, and let the network drive for more")] = False,
    out: Annotated[
        Path | None, typer.Option(help="bundle to write; default models/car-ltc19, of an arm models/arm-ltc19")
    ] = None,
    work: Annotated[Path, typer.Option(help="folder for bags, cache, checkpoints; continues what it finds")] = Path(
        "out/train"
    ),
    recipe: Annotated[Path | None, typer.Option(help="YAML that changes the recipe")] = None,
    rules: Annotated[
        list[str] | None,
        typer.Option("--set", help="value of the recipe, such as train.batch=16; may be repeated; overrides --recipe"),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="robot's settings")] = None,
    remap: Remap = None,
) -> None:
    """Train the stack: camera, nineteen liquid neurons, command."""
    if bool(bags) + bool(plan) + from_scratch != 1:
        raise SettingsError("give one of --bags, --plan and --from-scratch")
    if plan and remap:
        raise SettingsError("--remap: a plan has the names of topics that it was made with")
    named = remappings(remap or ())
    path = (config or share_path("config/car.yaml")).resolve()
    arm = robot_kind(path) == "arm"
    if arm:
        refuse_for_arm(path, {"--bags": bags, "--plan": plan, "--remap": remap})
    out = out or Path("models/arm-ltc19" if arm else "models/car-ltc19")
    for folder in (out, work):
        check_folder(folder)
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
        bars = Bars(progress)
        listener = Listener(begin=bars.begin, done=bars.done, advance=bars.advance, note=bars.note)
        if arm:
            _train_arm(path, work, recipe, rules or (), out, listener)
            return
        pipeline = Pipeline(path, work, load_recipe(recipe, rules or ()), out.name, listener, remap=named)
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
    console.print(f"bundle: {escape(str(out))}", soft_wrap=True)


def _train_arm(
    path: Path, work: Path, recipe: Path | None, rules: Iterable[str], out: Path, listener: Listener
) -> None:
    """The same for an arm: lessons of its scenes are recorded, and what is recorded already is learnt from."""
    from tidegate.learning.arm.pipeline import ArmPipeline
    from tidegate.learning.arm.recipe import ArmRecipe
    from tidegate.learning.recipe import recipe_of

    bundle = ArmPipeline(path, work, recipe_of(ArmRecipe, recipe, rules), out.name, listener).from_scratch(out)
    listener.note(f"{bundle.training['durations_s']['total'] / 60:.1f} min in all\nbundle: {out}")


class Bars:
    """Stages as bars; where nobody watches a terminal, as lines, ten for each stage."""

    def __init__(self, progress: Progress) -> None:
        """``progress`` shows the field ``text``."""
        self._progress, self._lines = progress, not progress.console.is_terminal

    def begin(self, stage: str, total: int) -> None:
        """Another stage."""
        self._progress.add_task(stage, total=total, text="")
        if self._lines:
            self.note(f"{stage} ({total})")

    def done(self, steps: int) -> None:
        """Steps of the stage that were done in an earlier run: they say nothing about the time that is left."""
        if steps:
            task = self._progress.tasks[-1]
            self._progress.reset(task.id, completed=steps)
            self.note(f"{task.description}: goes on after {steps} of {task.total:g}")

    def advance(self, text: str) -> None:
        """One more step."""
        task = self._progress.tasks[-1]
        tenth = task.completed * 10 // (task.total or 1)
        self._progress.update(task.id, advance=1, text=text)
        if self._lines and task.completed * 10 // (task.total or 1) > tenth:
            left = "" if task.time_remaining is None else f", {timedelta(seconds=task.time_remaining)} left"
            self.note(f"{task.description}: {task.completed:g} of {task.total:g}, {text}{left}")

    def note(self, text: str) -> None:
        """A line."""
        self._progress.console.print(text, highlight=False, soft_wrap=True)
