# SPDX-License-Identifier: Apache-2.0
"""``tidegate replay``: the same objects, offline, on a recorded drive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from tidegate.bag import BagReader
from tidegate.bundle import Bundle
from tidegate.cli.common import names
from tidegate.evaluation.replay import agreement
from tidegate.evaluation.replay import replay as replay_bag
from tidegate.robot.contract import contract_of, differences
from tidegate.settings import load_settings
from tidegate.share import share_path

DIFFERENT = 1
"""Exit code of a replay that is further from the record than the tolerance."""


def replay(
    bag: Annotated[Path, typer.Argument(help="folder or file of the recording")],
    bundle: Annotated[Path | None, typer.Option(help="model to run; default models/car-ltc19")] = None,
    config: Annotated[Path | None, typer.Option(help="robot's settings")] = None,
    disable: Annotated[str, typer.Option(help="parts that were switched off in the recording, by comma")] = "",
    asked: Annotated[
        bool, typer.Option(help="take nominal commands from the bag: another than the policy asked for them")
    ] = False,
    tolerance: Annotated[float, typer.Option(min=0, help="difference accepted, as a share of full scale")] = 1e-6,
) -> None:
    """Run perception, policy and safety filter on a bag, frame by frame, and compare with what it recorded."""
    path, folder = config or share_path("config/car.yaml"), bundle or share_path("models/car-ltc19")
    settings = load_settings(path)
    model = Bundle.load(folder, settings.vehicle.name)
    reader = BagReader(bag)
    console = Console()
    if other := differences(reader.contract(), contract_of(path, folder)):
        console.print(f"[yellow]{escape(other)}", soft_wrap=True, highlight=False)
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("replaying")
        found = replay_bag(
            reader,
            model,
            settings,
            disable=frozenset(names(disable)),
            asked=asked,
            told=lambda done, total: progress.update(bar, completed=done, total=total),
        )
    table = Table("quantity", title=f"{bag}: {found.frames} frames, {found.ticks} ticks", title_justify="left")
    for name in ("compared", "bit-equal", "largest difference", "at [s]"):
        table.add_column(name, justify="right")
    for one in found.differences:
        at = "–" if one.at is None else f"{one.at:.3f}"
        table.add_row(one.name, str(one.count), str(one.equal), f"{one.largest:.2g}", at)
    if found.differences:
        console.print(table)
    if reader.interrupted:
        console.print("the recording was interrupted; it was read up to there", soft_wrap=True)
    for problem in reader.problems:
        console.print(f"[yellow]{escape(problem)}", soft_wrap=True, highlight=False)
    for note in found.notes:
        console.print(f"[yellow]{note}", soft_wrap=True)
    console.print(f"[bold]{agreement(found.differences)}", soft_wrap=True)
    if found.largest > tolerance:
        raise typer.Exit(DIFFERENT)
