# SPDX-License-Identifier: Apache-2.0
"""``tidegate export-dataset``: bags as a LeRobot v3 data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from tidegate.data.lerobot_export import export_lerobot
from tidegate.robot import Car
from tidegate.settings import load_settings
from tidegate.share import share_path


def export_dataset(
    bags: Annotated[list[Path], typer.Argument(help="bags with camera, odom and commands")],
    out: Annotated[Path, typer.Argument(help="folder of the data set")],
    fps: Annotated[
        float | None, typer.Option(min=0.1, max=120, help="frames per second; default: the first bag's")
    ] = None,
    task: Annotated[str, typer.Option(help="the task in words")] = "drive",
    config: Annotated[Path | None, typer.Option(help="settings of the robot, for its mass")] = None,
) -> None:
    """Write bags as a LeRobot data set: camera, speed and commands at a constant rate."""
    car = Car.from_settings(load_settings(config or share_path("config/car.yaml")))
    done = export_lerobot(bags, out, car.effective_mass, fps, task)
    console = Console(soft_wrap=True, highlight=False)
    console.print(
        f"{escape(str(out))}: {len(done.episodes)} episode(s), {sum(done.episodes)} frames at {done.fps:g} Hz"
        f" ({done.repeated} repeat the picture before, {done.dropped} pictures were left out for the rate)"
    )
    for reason, count in done.left_out.items():
        if count:
            console.print(f"[yellow]left out: {count} × {escape(reason)}[/]")
