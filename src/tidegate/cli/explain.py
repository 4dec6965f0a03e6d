# SPDX-License-Identifier: Apache-2.0
"""``tidegate explain``: what the network looks at, how it is wired, a tree that stands in for it, in one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tidegate.bag import BagReader
from tidegate.bundle import Bundle
from tidegate.errors import SceneError
from tidegate.evaluation.campaign import parse_seeds
from tidegate.evaluation.rollout import Task, check_task
from tidegate.evaluation.survey import Survey, survey
from tidegate.insight.explain import neuron_names, saliency_section, tree_sections, wiring_section
from tidegate.insight.load import load_drive
from tidegate.insight.page import Section, page
from tidegate.insight.report import Bounds, report
from tidegate.insight.tree import Sheet
from tidegate.liquid import Wiring
from tidegate.perception import Perception
from tidegate.robot import Car
from tidegate.settings import Settings, load_settings
from tidegate.share import share_path


def explain(
    bundle: Annotated[Path | None, typer.Argument(help="model to explain; default models/car-ltc19")] = None,
    bag: Annotated[Path | None, typer.Option(help="a recorded drive to tell as well")] = None,
    scene: Annotated[str, typer.Option(help="where it is watched")] = "traffic",
    seeds: Annotated[str, typer.Option(help="drives to watch; the last third is held out")] = "3000:3003",
    out: Annotated[Path, typer.Option(help="folder for report.html")] = Path("out/explain"),
    processes: Annotated[int, typer.Option(min=1, help="drives at a time")] = 2,
    config: Annotated[Path | None, typer.Option(help="robot's settings")] = None,
) -> None:
    """Watch a model drive and write one page on why it does what it does."""
    path, model = config or share_path("config/car.yaml"), bundle or share_path("models/car-ltc19")
    settings = load_settings(path)
    loaded = Bundle.load(model, settings.vehicle.name)
    tasks = [Task(str(path), str(model), scene, seed) for seed in parse_seeds(seeds)]
    if len(tasks) < 2:
        raise SceneError(f"seeds '{seeds}': at least two drives are needed, one to fit and one to hold out")
    check_task(tasks[0])
    console = Console()
    with console.status(f"watching {len(tasks)} drives"):
        watched = survey(tasks, processes)
    held_out = max(1, len(watched) // 3)
    sections = explanations(loaded, settings, watched, [sheet(one) for one in watched[-held_out:]], held_out)
    if bag is None:
        text = page(f"tidegate: {loaded.name}", f"scene {scene} · seeds {seeds}", [], sections)
    else:
        facts: dict[str, object] = {"neurons": neuron_names(Wiring.from_dict(loaded.wiring))}
        text = report(load_drive(BagReader(bag), bag.name, facts), bounds(settings), sections)
    out.mkdir(parents=True, exist_ok=True)
    written = out / "report.html"
    written.write_text(text, encoding="utf-8")
    console.print(f"report: {written}", soft_wrap=True)


def explanations(
    bundle: Bundle, settings: Settings, watched: list[Survey], held_out: list[Sheet], last: int = 0
) -> list[Section]:
    """Wiring, saliency and trees; trees are fitted to all ``watched`` but the ``last``."""
    images = [image for one in watched for image in one.images]
    masks = [mask for one in watched for mask in one.masks]
    fitted = [sheet(one) for one in watched[: len(watched) - last]]
    return [
        wiring_section(Wiring.from_dict(bundle.wiring)),
        saliency_section(Perception(bundle, settings), images, masks),
        *tree_sections(fitted, held_out),
    ]


def sheet(one: Survey) -> Sheet:
    """The table that a tree is fitted to."""
    return Sheet(one.state, one.output)


def bounds(settings: Settings) -> Bounds:
    """Limits that the charts draw."""
    return Bounds(settings.vehicle.speed_max, settings.safety.lane.half_width - Car.from_settings(settings).width / 2)
