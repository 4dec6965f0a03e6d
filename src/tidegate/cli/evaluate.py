# SPDX-License-Identifier: Apache-2.0
"""``tidegate evaluate``: closed loops without ROS, in figures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tidegate.cli.common import campaign_bar, check_folder, names, refuse_for_arm
from tidegate.errors import SettingsError
from tidegate.evaluation.campaign import paced, parse_seeds, run_campaign, write_evaluation
from tidegate.evaluation.metrics import Run
from tidegate.evaluation.rollout import DRIVERS, Task, check_task
from tidegate.evaluation.simulators import EMBEDDED
from tidegate.safety.supervisor import PARTS
from tidegate.settings.kind import robot_kind
from tidegate.share import share_path

MODEL, ARM_MODEL = "models/car-ltc19", "models/arm-ltc19"


def evaluate(
    bundle: Annotated[
        Path | None, typer.Option(help="model to drive with; default models/car-ltc19, for an arm models/arm-ltc19")
    ] = None,
    scene: Annotated[
        str,
        typer.Option(
            help="a car's: road (default), traffic, truck, truck_whiteout, camera_lost or another; an arm's: reach "
            "(default), press, wipe, hand_over or another"
        ),
    ] = "",
    seeds: Annotated[str, typer.Option(help="1000:1020 (the end excluded), 7 or 1,5,9")] = "1000:1020",
    safety_filter: Annotated[str, typer.Option("--filter", help="on, or off to drive without it")] = "on",
    disable: Annotated[str, typer.Option(help=f"parts to switch off, by comma: {', '.join(PARTS)}, or a barrier")] = "",
    driver: Annotated[
        str, typer.Option(help=f"who asks for commands: {' or '.join(DRIVERS)}; an arm's teacher")
    ] = "bundle",
    out: Annotated[Path, typer.Option(help="folder for evaluation.json")] = Path("out/evaluate"),
    processes: Annotated[int, typer.Option(min=1, help="drives at a time")] = 2,
    seconds: Annotated[float, typer.Option(min=0.1, help="longest drive [s]")] = math.inf,
    record: Annotated[bool, typer.Option(help="keep a bag of every drive in the folder")] = False,
    config: Annotated[Path | None, typer.Option(help="robot's settings")] = None,
    simulator: Annotated[str, typer.Option(help="module:Class of another simulator; docs/own_simulator.md")] = EMBEDDED,
) -> None:
    """Drive closed loops on many roads and judge each."""
    if safety_filter not in ("on", "off"):
        raise SettingsError(f"--filter is '{safety_filter}'; it must be on or off")
    path = config or share_path("config/car.yaml")
    if robot_kind(path) == "arm":
        refuse_for_arm(path, {"--record": record, "--simulator": simulator != EMBEDDED})
        from tidegate.cli.evaluate_arm import evaluate_arm  # it loads the arm's dynamics, which a car has not

        on, off = safety_filter == "on", names(disable)
        model = bundle or (share_path(ARM_MODEL) if driver == "bundle" else Path(ARM_MODEL))
        task = scene or "reach"
        evaluate_arm(str(path), task, parse_seeds(seeds), driver, str(model), on, off, seconds, out, processes)
        return
    scene = scene or "road"
    model = bundle or (share_path(MODEL) if driver == "bundle" else Path(MODEL))
    tasks = [
        Task(
            settings=str(path),
            bundle=str(model),
            scene=scene,
            seed=seed,
            driver=driver,
            filtered=safety_filter == "on",
            disable=names(disable),
            record=str(out / "bags" / f"{scene}-{seed}") if record else None,
            longest_s=seconds,
            simulator=simulator,
        )
        for seed in parse_seeds(seeds)
    ]
    check_task(tasks[0])
    check_folder(out)
    console = Console()
    with campaign_bar(console) as progress:
        bar = progress.add_task(f"{scene}, filter {safety_filter}", total=len(tasks))

        def heard(run: Run) -> None:
            progress.advance(bar)
            if not run.completed:
                progress.console.print(f"[yellow]seed {run.seed}: {run.end} after {run.distance_m:.0f} m")

        runs, totals = run_campaign(tasks, processes, heard)
    written = write_evaluation(out, tasks[0], runs, totals)
    console.print(runs_table(runs))
    console.print(comfort_table(runs))
    console.print(
        f"[bold]{totals['completed']}/{totals['total']}[/] completed · {totals['collisions']} collisions · "
        f"{totals['limit_violations']} limit violations · {totals['real_time_factor']:.1f} × real time per process"
    )
    if not paced(tasks[0]):
        console.print(f"the pace was not judged: no expert drives in {simulator}", soft_wrap=True)
    console.print(f"figures: {escape(str(written))}", soft_wrap=True)


def runs_table(runs: list[Run]) -> Table:
    """One row per drive."""
    table = Table(title=runs[0].scene, title_justify="left", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("seed", "done", "end"):
        table.add_column(name, no_wrap=True)
    for name in ("m", "m/s", "of expert", "lane max", "rms", "gap m", "hits", "limits", "filter s"):
        table.add_column(name, justify="right")
    for run in runs:
        table.add_row(
            str(run.seed),
            "[green]yes" if run.completed else "[red]no",
            run.end,
            f"{run.distance_m:.0f}",
            f"{run.mean_speed:.1f}",
            f"{run.mean_speed / run.expert_speed:.0%}" if run.expert_speed else "–",
            f"{run.max_abs_lane_error_m:.2f}",
            f"{run.rms_lane_error_m:.2f}",
            "–" if run.min_gap_m is None else f"{run.min_gap_m:.1f}",
            str(run.collisions),
            str(run.limit_violations),
            f"{run.intervened_s:.1f}",
        )
    return table


def comfort_table(runs: list[Run]) -> Table:
    """One row per drive: what a passenger feels."""
    table = Table(title="comfort", title_justify="left", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("seed", no_wrap=True)
    for name in ("in centre", "jerk m/s³", "peak", "steering/min", "pedals/min", "braking m/s²"):
        table.add_column(name, justify="right")
    for run in runs:
        felt = run.comfort
        table.add_row(
            str(run.seed),
            f"{felt.in_centre:.0%}",
            f"{felt.lateral_jerk_rms:.2f}",
            f"{felt.lateral_jerk_peak:.1f}",
            f"{felt.steering_reversals:.0f}",
            f"{felt.pedal_reversals:.0f}",
            f"{felt.hardest_braking:.1f}",
        )
    return table
