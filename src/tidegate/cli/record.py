# SPDX-License-Identifier: Apache-2.0
"""``tidegate record``: what ``ros2 bag record`` would write, where there is no rosbag2."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tidegate.nodes.children import parameter_flags
from tidegate.nodes.main import run
from tidegate.nodes.topics import CLOCK_INSIDE, INSIDE, remap_flags


def record(
    out: Annotated[Path, typer.Argument(help="folder to make for the bag")],
    namespace: Annotated[str, typer.Option(help="of the graph's topics")] = "",
) -> None:
    """Record every topic of the graph until Ctrl-C."""
    flags = [
        "--ros-args",
        *parameter_flags({"path": str(out)}),
        *remap_flags(("__ns", f"/{namespace.strip('/')}"), INSIDE, CLOCK_INSIDE),
    ]
    Console().print(f"recording into {out}; Ctrl-C ends it")
    code = run("tidegate.nodes.recorder_node", "RecorderNode", flags)
    raise typer.Exit(code)
