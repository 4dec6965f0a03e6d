# SPDX-License-Identifier: Apache-2.0
"""``tidegate saliency``: what the network looks at, with figures of how far to believe the maps."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tidegate.bundle import Bundle
from tidegate.cli.cause import SCENES, each_world
from tidegate.cli.common import check_folder, json_text, names
from tidegate.evaluation.campaign import parse_seeds
from tidegate.insight.moments import jobs
from tidegate.insight.saliency import METHODS, judge_world
from tidegate.insight.saliency_facts import chart, findings, pictures
from tidegate.insight.sheet import write_png
from tidegate.settings import load_settings
from tidegate.share import share_path

SHOWN = 6
"""Moments on the sheet of pictures, each of another world."""


def saliency(
    bundle: Annotated[Path | None, typer.Argument(help="model to ask; default models/car-ltc19")] = None,
    scene: Annotated[str, typer.Option(help="where; several by comma, the seeds take turns")] = SCENES,
    seeds: Annotated[str, typer.Option(help="worlds: 3000:3020 (the end excluded), 7 or 1,5,9")] = "3000:3020",
    moments: Annotated[int, typer.Option(min=2, help="moments in each world")] = 5,
    out: Annotated[Path, typer.Option(help="folder for table, figures and pictures")] = Path("out/saliency"),
    processes: Annotated[int, typer.Option(min=1, help="worlds at a time")] = 2,
    config: Annotated[Path | None, typer.Option(help="robot's settings")] = None,
) -> None:
    """Where the network looks, by three methods, and whether the command really depends on it."""
    path, model = str(config or share_path("config/car.yaml")), str(bundle or share_path("models/car-ltc19"))
    check_folder(out)
    loaded = Bundle.load(model, load_settings(path).vehicle.name)
    todo = jobs(path, model, names(scene), parse_seeds(seeds), moments)
    console = Console()
    worlds = each_world(judge_world, todo, names(scene), processes, console)
    judged = [one for job in todo for one in worlds[job]]
    told = findings(judged)
    out.mkdir(parents=True, exist_ok=True)
    facts = {"bundle": loaded.name, "scenes": names(scene), "seeds": [job.seed for job in todo]}
    (out / "saliency.json").write_text(json_text(facts | told) + "\n", encoding="utf-8")
    (out / "saliency.svg").write_text(chart(judged), encoding="utf-8")
    with (out / "shares.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("scene", "seed", "moment", "class", "picture", *METHODS))
        for moment in judged:
            for kind, area in moment.areas.items():
                shares = (moment.shares[name][kind] for name in METHODS)
                table.writerow((moment.scene, moment.seed, moment.moment, kind, area, *shares))
    write_png(out / "saliency.png", pictures([worlds[job][0] for job in todo[:SHOWN]]))
    console.print(shares_table(told))
    console.print(faith_table(told))
    console.print(f"figures and pictures: {escape(str(out))}", soft_wrap=True)


def shares_table(told: dict[str, Any]) -> Table:
    """Share of the saliency by class and method, and the class's share of the picture."""
    table = Table(title="Share of the saliency", box=None, padding=(0, 1, 0, 0))
    table.add_column("class", no_wrap=True)
    for name in ("picture", *METHODS):
        table.add_column(name, justify="right")
    methods = told["methods"]
    for kind, first in methods[METHODS[0]]["shares"].items():
        cells = (f"{methods[name]['shares'][kind]['saliency'][0]:.1%}" for name in METHODS)
        table.add_row(kind, f"{first['picture']:.1%}", *cells)
    return table


def faith_table(told: dict[str, Any]) -> Table:
    """Deletion, insertion, agreement and stability by method."""
    table = Table(title="How far to believe it", box=None, padding=(0, 1, 0, 0))
    table.add_column("method", no_wrap=True)
    for name in ("deletion better", "×", "insertion better", "×", "agrees with occlusion", "SSIM under noise"):
        table.add_column(name, justify="right")
    for name, entry in told["methods"].items():
        cells = []
        for kind in ("deletion", "insertion"):
            advantage = entry[kind]["advantage"]
            cells += [f"{entry[kind]['better'][0]:.0%}", "–" if advantage is None else f"{advantage:.2f}"]
        cells.append(f"{entry['agreement']:.2f}" if "agreement" in entry else "–")
        noise = [f"{values[0]:.2f}" for kind, values in entry.get("ssim", {}).items() if kind[0].isdigit()]
        table.add_row(name, *cells, " ".join(noise) or "–")
    return table
