# SPDX-License-Identifier: Apache-2.0
"""``tidegate drill``: sensors and nodes fail one at a time; each must end in its rung, in time, and leave nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tidegate.attack.campaign import DRILLS, run_drills
from tidegate.attack.drill import Drill, DrillOutcome
from tidegate.attack.fault import faults
from tidegate.cli.common import campaign_bar, names
from tidegate.errors import SettingsError
from tidegate.evaluation.campaign import parse_seeds
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.simulation.scene import make_scene


def drill(
    scene: Annotated[str, typer.Option(help="where to drive")] = "road",
    only: Annotated[str, typer.Option(help="names of faults, by comma; empty = all")] = "",
    seeds: Annotated[str, typer.Option(help="5000:5010 (the end excluded), 7 or 1,5,9")] = "5000:5002",
    out: Annotated[Path, typer.Option(help=f"folder for {DRILLS}; what it holds is not driven again")] = Path(
        "out/drill"
    ),
    processes: Annotated[int, typer.Option(min=1, help="drives at a time")] = 2,
    config: Annotated[Path | None, typer.Option(help="robot's settings")] = None,
) -> None:
    """Break what the safety filter hears, one thing at a time, and watch the rung, the stop and the way out."""
    path = config or share_path("config/car.yaml")
    known = faults(load_settings(path))
    chosen = names(only) or tuple(known)
    for name in chosen:
        if name not in known:
            raise SettingsError(f"no fault '{name}'; known: {', '.join(known)}")
    numbers = parse_seeds(seeds)
    make_scene(scene, numbers[0])
    drills = [Drill(str(path), scene, seed, name) for seed in numbers for name in chosen]
    console = Console()
    with campaign_bar(console) as progress:
        bar = progress.add_task("drilling", total=len(drills))

        def heard(outcome: DrillOutcome) -> None:
            progress.advance(bar)
            if not outcome.passed:
                progress.console.print(f"[red]{outcome.key}: {_failure(outcome)}", soft_wrap=True)

        outcomes = run_drills(drills, out, processes, heard)
    console.print(_table(outcomes))
    passed = sum(outcome.passed for outcome in outcomes)
    blind = sum(outcome.passed and outcome.harmed for outcome in outcomes)
    console.print(
        f"[bold]{passed}[/] of {len(outcomes)} faults ended in their rung in time, without harm, and a reset led out; "
        f"[bold]{blind}[/] of these left the lane or broke a steering joint's limit without the joints' feedback, "
        "where neither is promised"
    )
    console.print(f"outcomes: {escape(str(out / DRILLS))}", soft_wrap=True)
    if passed < len(outcomes):
        raise typer.Exit(1)


def _failure(outcome: DrillOutcome) -> str:
    parts = {
        f"{outcome.rung} ({outcome.reason or 'no reason'}) instead of {outcome.expected}": (
            outcome.rung != outcome.expected
        ),
        f"took {outcome.took_s:.3f} s, at most {outcome.within_s:.3f}": outcome.took_s > outcome.within_s,
        "did not stop": not outcome.stopped,
        "a reset did not lead out": not outcome.released,
        f"{outcome.contacts} contacts": outcome.contacts,
        f"{outcome.limit_violations} limit violations ({outcome.worst_limit})": outcome.limit_violations,
        f"{outcome.off_lane_s:.2f} s off the lane": outcome.off_lane_s,
    }
    return ", ".join(part for part, true in parts.items() if true)


def _table(outcomes: list[DrillOutcome]) -> Table:
    """One row per fault."""
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("fault", no_wrap=True)
    table.add_column("rung", no_wrap=True)
    for name in ("runs", "ok", "ms", "most", "reset", "hits", "limits", "lane"):
        table.add_column(name, justify="right")
    for fault in dict.fromkeys(outcome.fault for outcome in outcomes):
        mine = [outcome for outcome in outcomes if outcome.fault == fault]
        table.add_row(
            fault,
            mine[0].expected,
            str(len(mine)),
            str(sum(outcome.passed for outcome in mine)),
            f"{1e3 * max(outcome.took_s for outcome in mine):.0f}",
            f"{1e3 * mine[0].within_s:.0f}",
            str(sum(outcome.released for outcome in mine)),
            str(sum(outcome.contacts for outcome in mine)),
            str(sum(outcome.limit_violations for outcome in mine)),
            str(sum(outcome.off_lane_s > 0 for outcome in mine)),
        )
    return table
