# SPDX-License-Identifier: Apache-2.0
"""``tidegate record``: what ``ros2 bag record`` would write, where there is no rosbag2."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tidegate.nodes.children import parameter_flags
from tidegate.nodes.main import run


def record(
    out: Annotated[Path, typer.Argument(help="folder to make for the bag")],
    namespace: Annotated[str, typer.Option(help="of the graph's topics")] = "",
    config: Annotated[Path | None, typer.Option(help="the robot's settings; travel in the bag with their hash")] = None,
    bundle: Annotated[Path | None, typer.Option(help="model that drives; its hash travels in the bag")] = None,
) -> None:
    """Record every topic of the graph until Ctrl-C."""
    values = {"path": str(out), "config": str(config or ""), "bundle": str(bundle or "")}
    flags = ["--ros-args", *parameter_flags(values), "-r", f"__ns:=/{namespace.strip('/')}"]
    Console().print(f"recording into {out}; Ctrl-C ends it")
    code = run("tidegate.nodes.recorder_node", "RecorderNode", flags)
    raise typer.Exit(code)
