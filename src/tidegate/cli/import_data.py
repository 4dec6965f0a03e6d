# SPDX-License-Identifier: Apache-2.0
"""``tidegate import``: other people's data as bags that ``tidegate train`` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tidegate.cli.info import WIDTH
from tidegate.data.bags import LONGEST_S, Imported, write_bags
from tidegate.data.detect import KINDS, kind_of, read
from tidegate.data.mapping import load_map
from tidegate.robot import Car
from tidegate.settings import load_settings
from tidegate.share import share_path


def import_data(
    source: Annotated[Path, typer.Argument(help="donkeycar tub v2, rosbag of whatever robot, or LeRobot v3 data set")],
    out: Annotated[Path, typer.Argument(help="folder for the bags, one for each stretch")],
    chart: Annotated[
        Path | None, typer.Option("--map", "--topics", help="YAML: which topic or key is what; docs/data.md")
    ] = None,
    rules: Annotated[
        list[str] | None,
        typer.Option("--set", help="a number of the vehicle, such as wheelbase_m=0.17; may be repeated"),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.1, max=120, help="frames per second, where the stamps are not to be believed")
    ] = None,
    longest: Annotated[float, typer.Option(min=2, help="a bag is no longer [s]")] = LONGEST_S,
    config: Annotated[Path | None, typer.Option(help="settings of the robot that will be trained")] = None,
) -> None:
    """Make bags to train from of what others recorded, in SI units; say what was left out and why."""
    car = Car.from_settings(load_settings(config or share_path("config/car.yaml")))
    told = load_map(chart, [*(rules or ()), *([f"rate_hz={rate}"] if rate is not None else [])])
    kind = KINDS[kind_of(source)]
    origin = {"imported_from": f"{kind} '{source.name}'"}
    found = write_bags(str(source), read(source, told), told, out, car.effective_mass, longest, origin)
    console = Console(soft_wrap=True, highlight=False)
    console.width = max(console.width, WIDTH)
    length = sum(seconds for _, seconds in found.bags.values())
    console.print(
        f"[bold]{escape(str(source))}[/]: {kind} → {len(found.bags)} bag(s) in {escape(str(out))}, {found.frames} "
        f"frames, {length:.1f} s"
    )
    console.print(_table(found))
    for note in found.tally.notes:
        console.print(f"[yellow]{escape(note)}[/]")


def _table(found: Imported) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("what")
    table.add_row("[green]taken[/]", str(found.frames), "frames")
    for name, count in found.lessons.items():
        table.add_row("", str(count), f"of them with a lesson: {name}")
    for word, reasons in (("left out", found.tally.left_out), ("skipped", found.tally.skipped)):
        for index, (reason, count) in enumerate(reasons.most_common()):
            table.add_row("" if index else f"[yellow]{word}[/]", str(count), escape(reason))
    return table
