# SPDX-License-Identifier: Apache-2.0
"""``tidegate attack``: closed loops in which everything learned is hostile, in figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tidegate.attack.adversary import ADVERSARIES
from tidegate.attack.campaign import OUTCOMES, rate_bound, run_attack
from tidegate.attack.episode import Episode, Outcome
from tidegate.cli.common import campaign_bar, names
from tidegate.errors import SettingsError
from tidegate.evaluation.campaign import parse_seeds
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.simulation.scene import make_scene

SCENES = "road,traffic,truck,camera_lost"


def attack(
    scenes: Annotated[str, typer.Option(help="where to drive, by comma")] = SCENES,
    adversaries: Annotated[str, typer.Option(help=f"who asks, by comma: {', '.join(ADVERSARIES)}; empty = all")] = "",
    seeds: Annotated[str, typer.Option(help="5000:5010 (the end excluded), 7 or 1,5,9")] = "5000:5002",
    out: Annotated[Path, typer.Option(help=f"folder for {OUTCOMES}; what it holds is not driven again")] = Path(
        "out/attack"
    ),
    processes: Annotated[int, typer.Option(min=1, help="drives at a time")] = 2,
    config: Annotated[Path | None, typer.Option(help="robot's settings")] = None,
) -> None:
    """Let adversaries drive, on a lane estimate as wrong as its bound allows, and count what they break."""
    path = config or share_path("config/car.yaml")
    load_settings(path)
    chosen = names(adversaries) or tuple(ADVERSARIES)
    for name in chosen:
        if name not in list(ADVERSARIES):
            raise SettingsError(f"no adversary '{name}'; known: {', '.join(ADVERSARIES)}")
    numbers = parse_seeds(seeds)
    for scene in names(scenes):
        make_scene(scene, numbers[0])
    episodes = [Episode(str(path), scene, seed, name) for seed in numbers for scene in names(scenes) for name in chosen]
    console = Console()
    with campaign_bar(console) as progress:
        bar = progress.add_task("attacking", total=len(episodes))

        def heard(outcome: Outcome) -> None:
            progress.advance(bar)
            if not outcome.harmless:
                progress.console.print(f"[red]{outcome.key}: {_harm(outcome)}", soft_wrap=True)

        outcomes = run_attack(episodes, out, processes, heard)
    console.print(_table(outcomes))
    harmed = sum(not outcome.harmless for outcome in outcomes)
    hours = sum(outcome.duration_s for outcome in outcomes) / 3600
    console.print(
        f"[bold]{harmed}[/] of {len(outcomes)} episodes ({hours:.1f} h) broke what is promised (with 95 % confidence "
        f"fewer than {rate_bound(harmed, len(outcomes)):.2%} of such episodes do)"
    )
    console.print(f"outcomes: {out / OUTCOMES}", soft_wrap=True)


def _harm(outcome: Outcome) -> str:
    parts = {
        "contacts": outcome.contacts,
        f"limit violations ({outcome.worst_limit})": outcome.limit_violations,
        "s outside the lane": round(outcome.off_lane_s, 2),
        "s with a wheel off the road": round(outcome.off_road_s, 2),
        "ticks with a fault in the filter": outcome.faults,
    }
    return ", ".join(f"{count} {name}" for name, count in parts.items() if count)


def _table(outcomes: list[Outcome]) -> Table:
    """One row per adversary."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("adversary", no_wrap=True)
    for name in ("episodes", "contacts", "limits", "off road", "off lane", "gap m", "lane max", "m/s"):
        table.add_column(name, justify="right")
    for adversary in dict.fromkeys(outcome.adversary for outcome in outcomes):
        mine = [outcome for outcome in outcomes if outcome.adversary == adversary]
        gaps = [outcome.min_gap_m for outcome in mine if outcome.min_gap_m is not None]
        table.add_row(
            adversary,
            str(len(mine)),
            str(sum(outcome.contacts for outcome in mine)),
            str(sum(outcome.limit_violations for outcome in mine)),
            str(sum(outcome.off_road_s > 0 for outcome in mine)),
            str(sum(outcome.off_lane_s > 0 for outcome in mine)),
            f"{min(gaps):.1f}" if gaps else "–",
            f"{max(outcome.max_abs_lane_error_m for outcome in mine):.2f}",
            f"{max(outcome.top_speed for outcome in mine):.1f}",
        )
    return table
