# SPDX-License-Identifier: Apache-2.0
"""``tidegate explain``: what the network looks at, how it is wired, a tree that stands in for it, in one page; or one
moment of a bag."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from tidegate.bag import BagReader, is_bag
from tidegate.bundle import Bundle
from tidegate.cli.common import check_file, check_folder, names, write_report
from tidegate.errors import BagError, SceneError, SettingsError
from tidegate.evaluation.campaign import parse_seeds
from tidegate.evaluation.rollout import Task, check_task
from tidegate.evaluation.survey import Survey, survey
from tidegate.evaluation.whose import bag_kind
from tidegate.insight.explain import saliency_section, tree_sections, wiring_section
from tidegate.insight.intervention import around as those_around
from tidegate.insight.investigate import Question, investigate
from tidegate.insight.load import load_drive
from tidegate.insight.moment_page import moment_page
from tidegate.insight.neurons import neuron_sections, study
from tidegate.insight.page import Section, page
from tidegate.insight.report import Bounds, report
from tidegate.insight.report_facts import beside
from tidegate.insight.tree import Sheet
from tidegate.liquid import Wiring
from tidegate.liquid.wiring import neuron_names
from tidegate.perception import Perception
from tidegate.robot import Car
from tidegate.safety.supervisor import check_disabled
from tidegate.settings import Settings, load_settings
from tidegate.settings.kind import robot_kind
from tidegate.share import share_path

FOR_ARM = ("subject", "out", "config", "bundle")
"""Parameters that mean something for an arm's bag."""


def explain(
    ctx: typer.Context,
    subject: Annotated[
        Path | None,
        typer.Argument(
            help="model to explain, default models/car-ltc19; or an arm's bag; with --at the bag to look into"
        ),
    ] = None,
    bag: Annotated[Path | None, typer.Option(help="a recorded drive to tell as well")] = None,
    scene: Annotated[str, typer.Option(help="where it is watched")] = "traffic",
    seeds: Annotated[str, typer.Option(help="drives to watch; the last third is held out")] = "3000:3003",
    out: Annotated[Path, typer.Option(help="folder for report.html; with --at the page, or a folder for it")] = Path(
        "out/explain"
    ),
    processes: Annotated[int, typer.Option(min=1, help="drives at a time")] = 2,
    config: Annotated[Path | None, typer.Option(help="robot's settings")] = None,
    at: Annotated[str, typer.Option(help="explain one moment of a bag instead: seconds after its start, 12.4s")] = "",
    window: Annotated[str, typer.Option(help="--at: how much to show around it, 5s")] = "5s",
    bundle: Annotated[
        Path | None,
        typer.Option(help="--at: the model that drove; default models/car-ltc19, of an arm's bag models/arm-ltc19"),
    ] = None,
    disable: Annotated[str, typer.Option(help="--at: parts that were switched off in the recording, by comma")] = "",
    asked: Annotated[
        bool,
        typer.Option(help="--at: take nominal commands from the bag, somebody else than the policy asked for them"),
    ] = False,
    against: Annotated[Path | None, typer.Option(help="--at: another model on the same bag, side by side")] = None,
    tree: Annotated[Path | None, typer.Option(help="--at: tree.json of tidegate distil; tells the way taken")] = None,
    roll_out: Annotated[
        bool, typer.Option(help="--at: drive a bag of the embedded simulator on without the rows that acted")
    ] = True,
) -> None:
    """Watch a model drive and write one page on why it does what it does; with --at on one moment of a bag. Of an arm
    on its bag."""
    path = config or share_path("config/car.yaml")
    console = Console()
    if subject is not None and _is_bag(subject) and bag_kind(reader := BagReader(subject)) == "arm":
        _refuse_for_arm(ctx, subject)
        from tidegate.cli.explain_arm import explain_arm  # it loads the arm's dynamics, which a car has not

        explain_arm(console, reader, config, bundle, out)
        return
    if robot_kind(path) == "arm":
        raise SettingsError(f"{path}: describes an arm, of which a bag can be explained: tidegate explain BAG")
    if at:
        if subject is None:
            raise BagError("--at needs a bag: tidegate explain BAG --at 12.4s")
        model = bundle or share_path("models/car-ltc19")
        moment, around = _seconds("--at", at, 0.0), _seconds("--window", window, 0.1)
        off = frozenset(names(disable))
        check_disabled(off, load_settings(path))
        told = Question(subject, moment, around, model, path, off, asked, roll_out, against, tree)
        _explain_moment(console, told, out)
        return
    if subject is not None and _is_bag(subject):
        raise BagError(
            f"{subject}: is a bag; explain one moment of it, such as {subject} --at 12.4s, or tell it beside what the "
            f"model does elsewhere by --bag {subject}"
        )
    model = subject or share_path("models/car-ltc19")
    settings = load_settings(path)
    loaded = Bundle.load(model, settings.vehicle.name)
    tasks = [Task(str(path), str(model), scene, seed) for seed in parse_seeds(seeds)]
    if len(tasks) < 2:
        raise SceneError(f"seeds '{seeds}': at least two drives are needed, one to fit and one to hold out")
    check_task(tasks[0])
    check_folder(out)
    recorded = None if bag is None else BagReader(bag)
    if recorded is not None and bag_kind(recorded) == "arm":
        raise BagError(f"{bag}: is an arm's; it is told by itself: tidegate explain {bag}")
    with console.status(f"watching {len(tasks)} drives"):
        watched = survey(tasks, processes)
    held_out = max(1, len(watched) // 3)
    sections = explanations(loaded, settings, watched, [sheet(one) for one in watched[-held_out:]], held_out)
    found = study(loaded, [one.circuit for one in watched if one.circuit is not None], held_out)
    sections += neuron_sections(found)
    drive = None
    if bag is None or recorded is None:
        text = page(f"tidegate: {loaded.name}", f"scene {scene} · seeds {seeds}", [], sections)
    else:
        facts: dict[str, object] = {"neurons": neuron_names(Wiring.from_dict(loaded.wiring))}
        drive = load_drive(recorded, bag.name, facts)
        text = report(drive, bounds(settings), sections)
    told_of = {"report.json": beside(drive, sections), "neurons.json": found.as_dict()}
    page_file, numbers, neurons = write_report(out, text, told_of)
    written = f"report: {page_file}, its numbers: {numbers}, those of the neurons: {neurons}"
    console.print(written, soft_wrap=True, markup=False)


def _is_bag(path: Path) -> bool:
    """A model is a folder too, without a bag's files."""
    return path.suffix in (".mcap", ".db3") or (path.is_dir() and is_bag(path))


def _refuse_for_arm(ctx: typer.Context, bag: Path) -> None:
    """Refuse what was asked for of an arm's bag and is for the car's alone.

    Raises:
        BagError: naming the first, and what there is.
    """
    options = {parameter.name: parameter.opts[0] for parameter in ctx.command.params if parameter.name}
    for name, option in options.items():
        source = ctx.get_parameter_source(name)
        if name not in FOR_ARM and source is not None and source.name == "COMMANDLINE":
            own = ", ".join(options[one] for one in FOR_ARM[1:])
            raise BagError(f"{bag}: is an arm's, for which there is no {option} yet; there are {own}")


def _seconds(option: str, text: str, least: float) -> float:
    """The time that an option gives, such as ``12.4s`` or ``12.4``.

    Raises:
        BagError: it is none, or less than ``least`` [s].
    """
    try:
        value = float(text.removesuffix("s"))
    except ValueError:
        value = math.nan
    if not least <= value < math.inf:
        raise BagError(f"{option} is '{text}'; it must be a time in seconds of at least {least:g}, such as 12.4s")
    return value


def _explain_moment(console: Console, question: Question, out: Path) -> None:
    """Write the page and the JSON beside it.

    Raises:
        OSError: they cannot be written; and as ``investigate``.
    """
    target = out if out.suffix == ".html" else out / "moment.html"
    check_file(target)
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("replaying, trying what-ifs and driving on")
        answer = investigate(question, lambda done, total: progress.update(bar, completed=done, total=total))
    numbers = target.with_suffix(".json")
    text = moment_page(answer.told, answer.frames, answer.altered)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    numbers.write_text(json.dumps(answer.told, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    for one in those_around(answer.told["interventions"], answer.told["begin_s"], answer.told["end_s"]):
        console.print(one["sentence"], soft_wrap=True, highlight=False, markup=False)
    explained = (answer.told.get("roll_out") or {}).get("explained")
    if explained is not None:
        console.print(f"Driven again: {explained['sentence']}", soft_wrap=True, highlight=False, markup=False)
    console.print(
        f"page: {escape(str(target))} ({target.stat().st_size / 1e6:.1f} MB), numbers: {escape(str(numbers))}",
        soft_wrap=True,
    )


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
