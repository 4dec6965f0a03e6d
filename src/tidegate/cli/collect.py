# SPDX-License-Identifier: Apache-2.0
"""``tidegate collect``: record training drives in the embedded world."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from tidegate.cli.common import check_folder
from tidegate.learning.recipe import load_recipe
from tidegate.share import share_path


def collect(
    out: Annotated[Path, typer.Option(help="folder for the bags")] = Path("out/train/bags/expert"),
    drives: Annotated[int | None, typer.Option(min=1, help="how many; default: the recipe's")] = None,
    first_seed: Annotated[int | None, typer.Option(min=0, help="road of the first; default: the recipe's")] = None,
    bundle: Annotated[Path | None, typer.Option(help="let this model drive beside the expert (DAgger)")] = None,
    recipe: Annotated[Path | None, typer.Option(help="YAML that changes the recipe")] = None,
    config: Annotated[Path | None, typer.Option(help="robot's settings")] = None,
    processes: Annotated[int, typer.Option(min=1, help="drives at a time")] = 2,
) -> None:
    """Record drives with the expert's labels as bags; drives that are there already are kept."""
    from tidegate.learning.collect import collect as record
    from tidegate.learning.collect import plan_drives

    known = load_recipe(recipe)
    check_folder(out)
    plans = plan_drives(
        (config or share_path("config/car.yaml")).resolve(),
        out,
        known.collect.first_seed if first_seed is None else first_seed,
        drives or known.collect.drives,
        known.collect,
        bundle=None if bundle is None else str(bundle),
        expert_share=known.dagger.expert_share,
    )
    console = Console()
    with Progress(console=console) as progress:
        bar = progress.add_task("recording", total=len(plans))
        record(plans, processes, lambda path: progress.advance(bar))
    console.print(f"bags: {escape(str(out))}", soft_wrap=True)
