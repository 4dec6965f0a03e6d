# SPDX-License-Identifier: Apache-2.0
"""``tidegate replay``: the same objects, offline, on a recorded drive; or its sensors into live nodes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from tidegate.bag import BagReader, remappings
from tidegate.bundle import Bundle, bundle_identity
from tidegate.cli.common import Remap, check_file, known_namespace, names, refuse_for_arm
from tidegate.errors import BagError, DependencyError
from tidegate.evaluation import reference
from tidegate.evaluation.by_kind import replayed_robot
from tidegate.evaluation.difference import (
    Difference,
    Tolerances,
    against_record,
    agreement,
    compare,
    missing_records,
)
from tidegate.evaluation.note import Note
from tidegate.evaluation.replay import Replay
from tidegate.robot.contract import differences, recorded_kind
from tidegate.share import share_path

DIFFERENT = 1
"""Exit code of a replay that is further away than its tolerances."""
RECORDED, REFERENCE = "recorded", "reference"
LISTED = 6
"""Moments of a note that are printed where not all are asked for."""


def replay(
    bag: Annotated[Path, typer.Argument(help="folder or file of the recording")],
    against: Annotated[
        str, typer.Option(help=f"{RECORDED}, {REFERENCE} (see --update-reference), or a bundle to run as well")
    ] = RECORDED,
    bundle: Annotated[
        Path | None, typer.Option(help="model to run; default models/car-ltc19, of an arm arm-ltc19")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="robot's settings; default config/car.yaml, of an arm those in its bag")
    ] = None,
    disable: Annotated[str, typer.Option(help="parts that were switched off in the recording, by comma")] = "",
    asked: Annotated[
        bool, typer.Option(help="take nominal commands from the bag: another than the policy asked for them")
    ] = False,
    tolerance: Annotated[
        list[str] | None,
        typer.Option(help="share of full scale that may differ: 1e-6 for all fields, or command=1e-4; may be repeated"),
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(help="fields to leave out, by comma: health, lane.bound; may be repeated")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help=f"name every missing frame, not the first {LISTED}; the page always does")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="write one page on what differs, where and by how much")] = None,
    update_reference: Annotated[
        bool, typer.Option("--update-reference", help="keep what comes out in the bag's folder, to compare with later")
    ] = False,
    remap: Remap = None,
    live: Annotated[
        bool, typer.Option("--live", help="publish the recorded sensors into running nodes, with their timing")
    ] = False,
    rate: Annotated[float, typer.Option(min=0.01, help="--live: times as fast as recorded")] = 1.0,
    clock: Annotated[
        float, typer.Option(min=0, help="--live: /clock so many times a second of the bag, 0 = no")
    ] = 200.0,
    namespace: Annotated[
        str, typer.Option(help="--live: where the sensors are published", callback=known_namespace)
    ] = "replay",
) -> None:
    """Run perception, policy and safety filter on a bag, frame by frame, and compare with what it recorded."""
    console = Console(soft_wrap=True, highlight=False)
    reader = BagReader(bag, remappings(remap or ()))
    if live:
        if recorded_kind(reader.contract()) == "arm":
            refuse_for_arm(bag, {"--live": live})
        raise typer.Exit(_play(bag, remap or (), rate, clock, namespace))
    if html is not None:
        check_file(html)
    tolerances = Tolerances(word for text in tolerance or () for word in names(text))
    switched_off = frozenset(names(disable))
    robot = replayed_robot(reader, config)
    path = bundle or (share_path(robot.model) if robot.needs_bundle(reader) else None)
    model = None if path is None else Bundle.load(path, robot.name)
    side = RECORDED if update_reference else against
    kept = reference.read_reference(bag, robot.forms) if side == REFERENCE else None
    rival = Bundle.load(side, robot.name) if side not in (RECORDED, REFERENCE) else None

    def run(ran: Bundle | None) -> Replay:
        with Progress(console=console, transient=True) as progress:
            bar = progress.add_task(f"replaying{'' if ran is None else f' with {ran.name}'}")

            def told(done: int, total: int) -> None:
                progress.update(bar, completed=done, total=total)

            return robot.run(reader, ran, switched_off, told, asked=asked)

    mine = run(model)
    other = differences(reader.contract(), robot.present(path))
    cut_off = ["the recording was interrupted; it was read up to there"] * reader.interrupted
    notes = [Note(text) for text in (*cut_off, *reader.problems, *([other] if other else []))] + list(mine.notes)
    if update_reference:
        console.print(f"reference: {escape(str(_keep(bag, path, mine)))}")
        return
    if kept is None and rival is None:
        ours, theirs = against_record(mine)
        notes += missing_records(mine.made, mine.recorded, robot.outputs)
    else:
        ours = mine.made
        if kept is not None:
            theirs, facts = kept
            notes += _another(facts, path, mine)
        elif rival is not None and mine.frames:
            theirs = run(rival).made
        else:
            raise BagError(f"{bag}: has no camera images; without them bundles make no difference")
        notes += missing_records(ours, theirs, robot.outputs)
    ignored = [word for text in ignore or () for word in names(text)]
    found = compare(ours, theirs, robot.scales(model), mine.start, tolerances, ignored)
    console.print(_table(f"{escape(str(bag))}: {mine.frames} frames, {mine.ticks} ticks", found))
    for note in notes:
        console.print(f"[yellow]{escape(note.line(None if every else LISTED))}")
    console.print(f"[bold]{agreement(found)}")
    if html is not None:
        ran = "now" if path is None or against in (RECORDED, REFERENCE) else path.name
        sides = ran, Path(against).name
        _write_page(html, bag, sides, found, [note.line() for note in notes])
        console.print(f"page: {escape(str(html))}")
    if not found:
        raise BagError(f"{bag}: {agreement(found)}")
    if any(one.since is not None for one in found):
        raise typer.Exit(DIFFERENT)


def _keep(bag: Path, bundle: Path | None, mine: Replay) -> Path:
    """Write the reference; a bag without a camera is of no bundle."""
    facts = {reference.BUNDLE: bundle_identity(bundle)[1]} if mine.frames and bundle is not None else {}
    return reference.write_reference(bag, mine.made, facts)


def _another(facts: dict[str, str], bundle: Path | None, mine: Replay) -> list[Note]:
    """What to know where the reference was made with another bundle."""
    if bundle is None or not mine.frames:
        return []
    made_with, now = facts.get(reference.BUNDLE), bundle_identity(bundle)[1]
    if made_with == now:
        return []
    return [Note(f"{bundle} is another bundle ({now[:12]}) than the reference was made with ({str(made_with)[:12]})")]


def _table(title: str, found: Sequence[Difference]) -> Table:
    """A row for each field beyond its tolerance; of each quantity one for those that are equal, one for the rest."""
    table = Table("field", title=title, title_justify="left")
    for name in ("compared", "bit-equal", "largest difference", "at [s]", "tolerance"):
        table.add_column(name, justify="right")
    for quantity in dict.fromkeys(one.quantity for one in found):
        mine = [one for one in found if one.quantity == quantity]
        same = [one for one in mine if one.at is None]
        near = [one for one in mine if one.at is not None and one.since is None]
        if same:
            count = str(same[0].count)
            table.add_row(f"{quantity}: {len(same)} fields", count, count, "0", "–", "")
        if near:
            worst = max(near, key=lambda one: one.largest)
            table.add_row(f"{quantity}: {len(near)} fields within, most {worst.name}", *_figures(worst))
        for one in mine:
            if one.since is not None:
                table.add_row(one.name, *_figures(one), style="bold red")
    return table


def _figures(one: Difference) -> tuple[str, str, str, str, str]:
    return str(one.count), str(one.equal), f"{one.largest:.2g}", f"{one.at:.3f}", f"{one.tolerance:.2g}"


def _write_page(
    target: Path, bag: Path, sides: tuple[str, str], found: Sequence[Difference], notes: Sequence[str]
) -> None:
    """Write the page.

    Raises:
        DependencyError: matplotlib is absent; OSError: the file cannot be written.
    """
    try:
        from tidegate.insight.comparison import comparison_page
    except ModuleNotFoundError as error:
        raise DependencyError(f"--html: {error.name} is absent; type: pip install 'tidegate[insight]'") from error
    text = comparison_page(f"tidegate replay: {bag.name}", f"{sides[0]} against {sides[1]}", sides, found, notes)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def _play(bag: Path, remap: Sequence[str], rate: float, clock: float, namespace: str) -> int:
    """Publish the sensors until the bag ends; the exit code.

    Raises:
        DependencyError: rclpy is absent.
    """
    try:
        from tidegate.nodes.children import enclave_flags, parameter_flags
        from tidegate.nodes.main import run
    except ModuleNotFoundError as error:
        raise DependencyError(
            f"--live: {error.name} is absent; install ROS 2, or 'pip install tidegate[ros]'"
        ) from error
    parameters = parameter_flags({"bag": str(bag), "remap": ",".join(remap), "rate": rate, "clock_hz": clock})
    flags = [*enclave_flags("player_node"), *parameters, "-r", f"__ns:=/{namespace.strip('/')}"]
    return run("tidegate.nodes.player_node", "PlayerNode", flags)
