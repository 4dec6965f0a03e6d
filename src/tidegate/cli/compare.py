# SPDX-License-Identifier: Apache-2.0
"""``tidegate compare``: what the liquid network buys against others that learnt from the same bags."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tidegate.cli.common import campaign_bar, names
from tidegate.errors import SettingsError
from tidegate.evaluation.campaign import parse_seeds
from tidegate.share import share_path

FILTER = {"off": (False,), "on": (True,), "both": (False, True)}


def compare(
    bags: Annotated[list[Path], typer.Argument(help="bags, or folders of bags, that all learn from; 3 at least")],
    bundle: Annotated[
        Path | None, typer.Option(help="model whose convolutions see for all; default models/car-ltc19")
    ] = None,
    architectures: Annotated[str, typer.Option(help="which, by comma")] = "ltc,cfc,lstm,lstm-small,gru,ctrnn,tcn,cnn",
    trainings: Annotated[int, typer.Option(min=1, help="of each architecture, with seeds 0, 1 and so on")] = 5,
    steps: Annotated[int, typer.Option(min=1, help="of each training")] = 3000,
    rates: Annotated[
        str, typer.Option(help="learning rates that each architecture tries with its first seed, by comma")
    ] = "0.02,0.006,0.002,0.0006",
    conditions: Annotated[
        str, typer.Option(help="to drive under, by comma")
    ] = "clean,noise-0.1,noise-0.2,noise-0.3,dark,dropped-10,dropped-30,jitter",
    scene: Annotated[str, typer.Option(help="where to drive; several by comma")] = "road",
    seeds: Annotated[str, typer.Option(help="roads: 3400:3403 (the end excluded), 7 or 1,5,9")] = "3400:3403",
    safety_filter: Annotated[
        str, typer.Option("--filter", help="off: who drives well; on: how often it acts; both")
    ] = ("both"),
    seconds: Annotated[float, typer.Option(min=1, help="longest drive [s]")] = math.inf,
    out: Annotated[Path, typer.Option(help="folder for all of it; what it holds is not done again")] = Path(
        "out/compare"
    ),
    processes: Annotated[int, typer.Option(min=1, help="trainings or drives at a time")] = 2,
    config: Annotated[Path | None, typer.Option(help="robot's settings")] = None,
) -> None:
    """Train other networks on the same bags behind the same convolutions, let all of them drive, and compare."""
    if safety_filter not in FILTER:
        raise SettingsError(f"--filter is '{safety_filter}'; it must be one of {', '.join(FILTER)}")
    try:
        tried = [float(rate) for rate in names(rates)]
    except ValueError as error:
        raise SettingsError(f"--rates is '{rates}'; it must be like 0.02,0.006") from error
    from tidegate.comparison.compare import TABLE, Comparison, Listener  # torch takes seconds to import

    console = Console()
    with campaign_bar(console) as progress:

        def begin(stage: str, total: int) -> None:
            progress.add_task(stage, total=total)

        listener = Listener(
            begin=begin,
            advance=lambda: progress.advance(progress.task_ids[-1]),
            note=lambda text: progress.console.print(text, markup=False, soft_wrap=True),
        )
        told = Comparison(
            settings=(config or share_path("config/car.yaml")).resolve(),
            bundle=(bundle or share_path("models/car-ltc19")).resolve(),
            bags=bags,
            out=out,
            architectures=names(architectures),
            trainings=trainings,
            steps=steps,
            rates=tried,
            conditions=names(conditions),
            roads=[(one, seed) for seed, one in product(parse_seeds(seeds), names(scene))],
            filtered=FILTER[safety_filter],
            longest_s=seconds,
            processes=processes,
            listener=listener,
        ).run()
    typer.echo((out / TABLE).read_text("utf-8"))
    failed = f"; {len(told.failed)} trainings or drives failed, see there" if told.failed else ""
    console.print(f"table: {out / TABLE}{failed}", soft_wrap=True)
