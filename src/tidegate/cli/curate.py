# SPDX-License-Identifier: Apache-2.0
"""``tidegate curate``: a plan of which windows of which bags to learn from."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tidegate.bag import Drive, bags_in, remappings
from tidegate.cli.common import Remap, campaign_bar, check_file
from tidegate.curation.curate import Seen
from tidegate.curation.curate import curate as choose
from tidegate.curation.inspection import Notes, leaks
from tidegate.curation.plan import VERDICTS, Plan, verdict_of
from tidegate.curation.rules import Rules, load_rules
from tidegate.curation.select import strata_of
from tidegate.curation.split import HELD_SHARE
from tidegate.errors import SettingsError
from tidegate.robot import Car
from tidegate.settings import Settings, load_settings
from tidegate.share import share_path

UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}
Work = Annotated[Path, typer.Option(help="folder that keeps what was seen of each bag; may be deleted at any time")]
WORK = Path("out/curate")
RulesFile = Annotated[Path | None, typer.Option("--rules", help="YAML that changes rules; docs/data.md")]


def curate(
    bags: Annotated[list[Path], typer.Argument(help="bags, or folders of bags; they are only read")],
    budget: Annotated[str, typer.Option(help="longest that all kept windows may last, such as 90s, 20min or 1.5h")],
    out: Annotated[Path, typer.Option(help="plan to write, for tidegate train --plan")],
    seed: Annotated[int, typer.Option(min=0, help="chooses the bags that are held out to measure the training")] = 0,
    held: Annotated[float, typer.Option(min=0, max=0.9, help="share of the bags that are held out")] = HELD_SHARE,
    rules: RulesFile = None,
    work: Work = WORK,
    config: Annotated[Path | None, typer.Option(help="robot's settings")] = None,
    remap: Remap = None,
) -> None:
    """Choose the windows of bags to learn from: new, sound, balanced, within a budget; say why of every one."""
    longest, given, named = seconds_of(budget), load_rules(rules), remappings(remap or ())
    console = Console(soft_wrap=True, highlight=False)
    settings = load_settings(config or share_path("config/car.yaml"))
    check_file(out)
    notes = Notes(given, settings.perception, Car.from_settings(settings).effective_mass)
    seen = look_at(console, bags_in(bags), settings, given, work, named, notes.keep)
    plan = choose(seen, given, longest, seed, held, named)
    plan.save(out)
    console.print(_verdicts(plan, seen))
    console.print(_kinds(plan, seen))
    measuring = [index for index, bag in enumerate(plan.bags) if bag.held]
    for index in measuring:
        console.print(f"held out to measure the training: {escape(str(plan.bags[index].path))}")
    for leak in leaks(seen.table(), notes.pictures, seen.names(), given, measuring):
        told = f"{leak.one}, which is held out, shares {leak.windows} of {leak.of} windows with {leak.other}"
        console.print(f"[yellow]leak: {escape(told)}: what measures the training is trained on[/]")
    console.print(f"plan: {escape(str(out))}")


def look_at(
    console: Console,
    bags: Sequence[Path],
    settings: Settings,
    rules: Rules,
    work: Path,
    remap: Mapping[str, str],
    keep: Callable[[Drive], None] = lambda drive: None,
) -> Seen:
    """``Seen``, with a bar; bags that are refused are told."""
    with campaign_bar(console) as bar:
        task = bar.add_task("look at bags", total=len(bags))

        def heard(path: Path, why: str) -> None:
            bar.advance(task)
            if why:
                bar.console.print(f"[yellow]refused: {escape(why)}[/]", soft_wrap=True, highlight=False)

        return Seen(bags, settings, rules, work, remap, heard, keep)


def seconds_of(text: str) -> float:
    """A time such as ``90s``, ``20min`` or ``1.5h`` in seconds.

    Raises:
        SettingsError: another form, or nothing.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|h)", text.strip())
    if found is None or float(found[1]) == 0:
        raise SettingsError(f"--budget is '{text}'; it must be a time such as 90s, 20min or 1.5h")
    return float(found[1]) * UNITS[found[2]]


def _verdicts(plan: Plan, seen: Seen) -> Table:
    found = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    found.add_column("verdict", no_wrap=True)
    for column in ("windows", "min"):
        found.add_column(column, justify="right", no_wrap=True)
    found.add_column("what")
    lasts = seen.table().lasts
    told = np.array([verdict_of(one) for bag in plan.bags for one in bag.windows.values()])
    for name, count in plan.counts().items():
        minutes = float(lasts[told == name].sum()) / 60
        colour = "green" if name == "kept" else "default"
        found.add_row(f"[{colour}]{name}[/]", str(count), f"{minutes:.2f}", VERDICTS[name])
    return found


def _kinds(plan: Plan, seen: Seen) -> Table:
    """How what could be kept, and what is, is spread over turns, light and speed."""
    found = Table("turn, light, speed", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in ("could be kept", "kept"):
        found.add_column(column, justify="right", no_wrap=True)
    told = np.array([verdict_of(one) for bag in plan.bags for one in bag.windows.values()])
    among = np.flatnonzero((told == "kept") | (told == "budget"))
    for name, places in strata_of(seen.table(), among, plan.rules).items():
        found.add_row(name, str(len(places)), str(int((told[among[places]] == "kept").sum())))
    return found
