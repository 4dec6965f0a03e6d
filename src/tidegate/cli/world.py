# SPDX-License-Identifier: Apache-2.0
"""``tidegate world``: a road of the embedded world as a world for Gazebo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.simulation.gazebo import write_world


def world(
    out: Annotated[Path, typer.Option(help="folder to write; absent or empty")],
    scene: Annotated[str, typer.Option(help="what to drive in; without vehicles")] = "road",
    seed: Annotated[int, typer.Option(min=0, help="of the road, its hills, plants and light")] = 0,
    config: Annotated[Path | None, typer.Option(help="robot's settings: the physics step")] = None,
) -> None:
    """Write world.sdf with its meshes and textures: the road that the embedded world makes of the same seed."""
    made = write_world(load_settings(config or share_path("config/car.yaml")), scene, seed, out)
    Console().print(f"written: {escape(str(made))}", soft_wrap=True)
