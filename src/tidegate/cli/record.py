# SPDX-License-Identifier: Apache-2.0
"""``tidegate record``: what ``ros2 bag record`` would write, where there is no rosbag2, and snapshots."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from tidegate.bag import folder_named
from tidegate.cli.common import known_namespace
from tidegate.nodes.children import enclave_flags, parameter_flags
from tidegate.nodes.main import run
from tidegate.nodes.topics import CLOCK_INSIDE, INSIDE, remap_flags


def record(
    out: Annotated[
        str, typer.Argument(help="folder to make for the bag; true = bags/<time in UTC>; left out: snapshots alone")
    ] = "",
    every: Annotated[
        bool, typer.Option("--all", "-a", help="every topic of a standard type, of other nodes too; else the stack's")
    ] = False,
    namespace: Annotated[str, typer.Option(help="of the graph's topics", callback=known_namespace)] = "",
    max_bag_size: Annotated[int, typer.Option("--max-bag-size", "-b", min=0, help="split beyond so many bytes")] = 0,
    max_bag_duration: Annotated[
        float, typer.Option("--max-bag-duration", "-d", min=0, help="split after so many seconds")
    ] = 0.0,
    snapshots: Annotated[
        Path | None, typer.Option(help="folder for small bags, one around each intervention of the safety filter")
    ] = None,
    snapshot_before: Annotated[float, typer.Option(min=0, help="how much before it these hold [s]")] = 10.0,
    snapshot_after: Annotated[float, typer.Option(min=0, help="how much after it [s]")] = 5.0,
    snapshot_max_size: Annotated[int, typer.Option(min=0, help="bytes of all of them; the oldest go")] = 1_000_000_000,
    config: Annotated[Path | None, typer.Option(help="the robot's settings; travel in the bag with their hash")] = None,
    bundle: Annotated[Path | None, typer.Option(help="model that drives; its hash travels in the bag")] = None,
) -> None:
    """Record the stack's topics, or all, until Ctrl-C."""
    folder = folder_named(out)
    values = {
        "path": str(folder or ""),
        "all_topics": every,
        "max_bag_size": max_bag_size,
        "max_bag_duration": max_bag_duration,
        "snapshots": str(snapshots or ""),
        "snapshot_before_s": snapshot_before,
        "snapshot_after_s": snapshot_after,
        "snapshot_max_size": snapshot_max_size,
        "config": str(config or ""),
        "bundle": str(bundle or ""),
    }
    flags = [
        *enclave_flags("recorder_node"),
        *parameter_flags(values),
        *remap_flags(("__ns", f"/{namespace.strip('/')}"), INSIDE, CLOCK_INSIDE),
    ]
    places = " and ".join(str(place) for place in (folder, snapshots) if place is not None)
    Console().print(f"recording into {escape(places) or 'nothing'}; Ctrl-C ends it")
    code = run("tidegate.nodes.recorder_node", "RecorderNode", flags)
    raise typer.Exit(code)
