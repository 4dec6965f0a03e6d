# SPDX-License-Identifier: Apache-2.0
"""``tidegate cause``: take away, paint anew or shift what the camera sees, and see what moves the wheel."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tidegate.bundle import Bundle
from tidegate.cli.common import campaign_bar, check_folder, json_text, names
from tidegate.errors import SceneError
from tidegate.evaluation.campaign import parse_seeds
from tidegate.evaluation.rollout import Task, check_task
from tidegate.insight.cause import LINES, ROAD, VEGETATION, Effect, findings, look_into, scales
from tidegate.insight.cause_chart import cause_bars
from tidegate.insight.moments import Job, jobs
from tidegate.insight.sheet import sheet, write_png
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.workers import as_they_end

SCENES = "road,traffic,truck_standing"
T = TypeVar("T")


def each_world(
    work: Callable[[Job], T], todo: list[Job], scenes: Sequence[str], processes: int, console: Console
) -> dict[Job, T]:
    """What ``work`` makes of each job, with a bar; ``scenes`` are all that were named, whether a job has them or not.

    Raises:
        TidegateError: a scene, the settings or the bundle is refused, before anything starts.
    """
    if not todo:
        raise SceneError("nothing to look into: name at least one scene (--scene)")
    for scene in scenes:
        check_task(Task(todo[0].settings, todo[0].bundle, scene, todo[0].seed))
    made: dict[Job, T] = {}
    with campaign_bar(console) as progress:
        bar = progress.add_task("worlds", total=len(todo))
        for job, world in as_they_end(work, todo, processes):
            made[job] = world
            progress.advance(bar)
    return made


def cause(
    bundle: Annotated[Path | None, typer.Argument(help="model to ask; default models/car-ltc19")] = None,
    scene: Annotated[str, typer.Option(help="where; several by comma, the seeds take turns")] = SCENES,
    seeds: Annotated[str, typer.Option(help="worlds: 3000:3020 (the end excluded), 7 or 1,5,9")] = "3000:3020",
    moments: Annotated[int, typer.Option(min=1, help="moments in each world")] = 5,
    out: Annotated[Path, typer.Option(help="folder for table, figures and pictures")] = Path("out/cause"),
    processes: Annotated[int, typer.Option(min=1, help="worlds at a time")] = 2,
    config: Annotated[Path | None, typer.Option(help="robot's settings")] = None,
) -> None:
    """Take away, paint anew or shift what the camera sees at the same moments: what moves the wheel?"""
    path, model = str(config or share_path("config/car.yaml")), str(bundle or share_path("models/car-ltc19"))
    check_folder(out)
    loaded = Bundle.load(model, load_settings(path).vehicle.name)
    todo = jobs(path, model, names(scene), parse_seeds(seeds), moments)
    console = Console()
    worlds = each_world(look_into, todo, names(scene), processes, console)
    effects = [effect for job in todo for effect in worlds[job].effects]
    told = findings(effects, scales(loaded, path))
    out.mkdir(parents=True, exist_ok=True)
    facts = {"bundle": loaded.name, "scenes": names(scene), "seeds": [job.seed for job in todo], "moments": moments}
    (out / "cause.json").write_text(json_text(facts | told) + "\n", encoding="utf-8")
    (out / "cause.svg").write_text(cause_bars(told["ways"]), encoding="utf-8")
    with (out / "cause.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, Effect.__dataclass_fields__)
        table.writeheader()
        table.writerows({name: getattr(one, name) for name in Effect.__dataclass_fields__} for one in effects)
    for job in todo[: len(names(scene))]:
        write_png(out / f"{job.scene}.png", sheet(list(worlds[job].pictures.items()), 4))
    console.print(cause_table(told["ways"]))
    console.print(_summed_up(told), soft_wrap=True, highlight=False)
    console.print(f"figures and pictures: {escape(str(out))}", soft_wrap=True)


def cause_table(ways: list[dict[str, Any]]) -> Table:
    """One row per way, those first that move the command most."""
    table = Table(title="What moves the wheel: mean change in % of full scale [95 %]", box=None, padding=(0, 1, 0, 0))
    table.add_column("what was changed", no_wrap=True)
    for name in ("moments", "altered", "curvature", "force"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in ways:
        changes = (_interval(row[name]) for name in ("curvature", "force"))
        table.add_row(row["way"], str(row["moments"]), f"{row['altered']:.1%}", *changes)
    return table


def _interval(values: tuple[float, float, float]) -> str:
    return "{:.2f} [{:.2f}, {:.2f}]".format(*values)


def _summed_up(told: dict[str, Any]) -> str:
    lines = []
    for under in (LINES, ROAD):
        found = told["ratios"][f"{VEGETATION} / {under}"]
        if found and "command" in found:
            lines.append(
                f"{VEGETATION} moves the command {_interval(found['command'])} times as far as {under} "
                f"({found['moments']} moments)"
            )
    return "\n".join(lines)
