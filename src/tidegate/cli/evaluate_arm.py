# SPDX-License-Identifier: Apache-2.0
"""``tidegate evaluate`` where the settings describe an arm."""

from __future__ import annotations

import math
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tidegate.cli.common import campaign_bar, check_folder
from tidegate.evaluation.arm import (
    ArmEpisode,
    ArmResult,
    check_episode,
    run_episodes,
    summary,
    write_arm_evaluation,
)


def evaluate_arm(
    settings: str,
    scene: str,
    seeds: list[int],
    driver: str,
    bundle: str,
    filtered: bool,
    disable: tuple[str, ...],
    longest_s: float,
    out: Path,
    processes: int,
) -> None:
    """Do a scene with many seeds and tell how it went."""
    episodes = [ArmEpisode(settings, scene, seed, driver, filtered, disable, longest_s, bundle) for seed in seeds]
    first = episodes[0]
    check_episode(first)
    check_folder(out)
    console = Console()
    with campaign_bar(console) as progress:
        name = f"{first.scene}, filter {'on' if first.filtered else 'off'}"
        bar = progress.add_task(name, total=len(episodes))
        results = run_episodes(episodes, processes, lambda result: progress.advance(bar))
    totals = summary(results)
    written = write_arm_evaluation(out, first, results, totals)
    console.print(results_table(results))
    console.print(
        f"[bold]{totals['completed']}/{totals['total']}[/] completed · "
        f"{totals['runs_beyond_a_limit']} beyond a limit · {totals['real_time_factor']:.1f} × real time per process"
    )
    console.print(f"figures: {escape(str(written))}", soft_wrap=True)


def results_table(results: list[ArmResult]) -> Table:
    """One row per episode: the scene's own figures, what was left of the limit that was nearest, the filter."""
    table = Table(title=results[0].scene, title_justify="left", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("seed", "done"):
        table.add_column(name, no_wrap=True)
    for name in (*results[0].score, "violations", "left", "filter s"):
        table.add_column(name, justify="right")
    table.add_column("nearest limit", no_wrap=True)
    for result in results:
        nearest = min(result.left, key=lambda name: result.left[name])
        table.add_row(
            str(result.seed),
            "[green]yes" if result.completed else "[red]no",
            *(f"{value:.3g}" if math.isfinite(value) else "–" for value in result.score.values()),
            str(result.limit_violations),
            f"{result.left[nearest]:.0%}",
            f"{result.intervened_s:.2f}",
            nearest,
        )
    return table
