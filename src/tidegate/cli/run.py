# SPDX-License-Identifier: Apache-2.0
"""``tidegate run``: the node graph without ``ros2 launch``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from tidegate.bag import folder_named
from tidegate.cli.common import known_namespace, names, refuse_for_arm
from tidegate.nodes.graph_options import GraphOptions, robot_file
from tidegate.nodes.run_graph import RunSummary, Status, run_graph
from tidegate.settings.kind import Kind, robot_kind
from tidegate.share import share_path


def run(
    bundle: Annotated[
        Path | None,
        typer.Option(help="model to drive with; default models/car-ltc19, of an arm in a --scene models/arm-ltc19"),
    ] = None,
    robot: Annotated[str, typer.Option(help="names config/<robot>.yaml")] = "car",
    config: Annotated[Path | None, typer.Option(help="settings file, instead of the robot's")] = None,
    scene: Annotated[
        str,
        typer.Option(help="what to drive in; default a car's first: road; of an arm its surface, for your own node"),
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="of the road, its light and the sensors' noise")] = 0,
    lock_step: Annotated[bool, typer.Option("--lock-step/--real-time", help="simulated or wall clock")] = False,
    simulate: Annotated[
        bool, typer.Option("--simulator/--hardware", help="embedded world, or a robot's drivers")
    ] = True,
    record: Annotated[str, typer.Option(help="folder to make for a bag; true = bags/<time in UTC>")] = "",
    duration: Annotated[float, typer.Option(min=0.1, help="longest drive [s]")] = math.inf,
    until_goal: Annotated[bool, typer.Option("--until-goal", help="end at the scene's goal")] = False,
    namespace: Annotated[str, typer.Option(help="of all nodes", callback=known_namespace)] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="send nothing to the actuators; safety_node/would_command tells it")
    ] = False,
    disable: Annotated[str, typer.Option(help="parts to switch off, by comma, as in evaluate; never on a road")] = "",
) -> None:
    """Drive until the goal, the time or Ctrl-C; the robot is braked before the nodes end."""
    bag, params_file = folder_named(record), config or robot_file(robot)
    kind = robot_kind(params_file)
    if kind == "arm":
        refuse_for_arm(params_file, {"--until-goal": until_goal})
    if bundle is None and (kind == "car" or scene):
        bundle = share_path(f"models/{kind}-ltc19")
    options = GraphOptions(
        bundle=bundle,
        params_file=params_file,
        scene=scene,
        seed=seed,
        simulate=simulate,
        lock_step=lock_step,
        record=bag,
        namespace=namespace,
        disable=names(disable),
        auto_reset=simulate,
        dry_run=dry_run,
    )
    console = Console(soft_wrap=True, highlight=False)
    with console.status("bringing the nodes up") as line:
        summary = run_graph(
            options,
            duration_s=duration,
            until_goal=until_goal,
            told=lambda status: line.update(said(status)),
            warned=lambda problem: console.print(f"[yellow]{problem}[/]"),
        )
    console.print(result(summary, kind))
    if bag is not None:
        console.print(f"bag: {escape(str(bag))}")


def said(status: Status) -> str:
    """The line that is shown while driving."""
    mode = status.mode.name if status.mode is not None else "no tick yet"
    way = (
        ""
        if math.isnan(status.distance)
        else f"  {status.distance:5.0f} of {status.goal:.0f} m  {status.speed:4.1f} m/s"
    )
    return f"{status.elapsed:5.1f} s  {mode}{way}"


def result(summary: RunSummary, kind: Kind = "car") -> str:
    """What is printed at the end."""
    way = "" if math.isnan(summary.distance) else f" and {summary.distance:.0f} m"
    stands = f"the {kind} stands" if summary.standing else f"the {kind} was not seen to stand"
    done = {None: "", True: "; done", False: "; not done"}[summary.done]
    return f"{summary.end} after {summary.duration:.1f} s{way}; {stands}{done}"
