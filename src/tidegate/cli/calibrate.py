# SPDX-License-Identifier: Apache-2.0
"""``tidegate calibrate``: what the car does with a command, and whether the settings that count on it are safe."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tidegate.bag import BagReader, remappings
from tidegate.calibration.findings import Finding, Verdict, find, told, unsafe
from tidegate.calibration.manoeuvre import drive_manoeuvre
from tidegate.calibration.patch import settings_patch
from tidegate.calibration.recording import read_recording
from tidegate.cli.common import Remap, check_file
from tidegate.evaluation.campaign import parse_seeds
from tidegate.robot import Car
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.workers import as_they_end

COLOUR = {Verdict.SAFE: "green", Verdict.UNSAFE: "bold red", Verdict.OPEN: "yellow", Verdict.UNKNOWN: "yellow"}
WIDTH = 130
"""The table is not broken where the output is no terminal."""


def calibrate(
    bags: Annotated[
        list[Path] | None, typer.Argument(help="recorded drives; none = the manoeuvre in simulation")
    ] = None,
    seeds: Annotated[
        str, typer.Option(help="simulated cars (mass and tyres differ): 5000:5003 or 1,5,9")
    ] = "5000:5003",
    out: Annotated[
        Path | None, typer.Option(help="write the settings as measured, to be merged into the robot's")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="simulated drives at a time")] = 2,
    config: Annotated[Path | None, typer.Option(help="robot's settings")] = None,
    remap: Remap = None,
) -> None:
    """Measure delay, gain and rate of drive, brakes and steering, and judge the settings that count on them.

    Exit code 1 where a setting is on the unsafe side.
    """
    settings = load_settings(config or share_path("config/car.yaml"))
    car, console = Car.from_settings(settings), Console()
    console.width = max(console.width, WIDTH)
    if out is not None:
        check_file(out)
    if bags:
        period = 1 / settings.safety.rate_hz
        named = remappings(remap or ())
        recordings = [read_recording(BagReader(bag, named), car, period) for bag in bags]
    else:
        numbers = parse_seeds(seeds)
        driven = dict(as_they_end(partial(drive_manoeuvre, settings), numbers, processes))
        recordings = [driven[seed] for seed in numbers]
    findings: list[Finding] = []
    for recording in recordings:
        found = find(recording, settings, car)
        console.print(f"[bold]{escape(str(recording.source))}[/], {recording.duration:.0f} s", soft_wrap=True)
        console.print(_table(found))
        for reason in dict.fromkeys(finding.measured for finding in found if isinstance(finding.measured, str)):
            console.print(f"[yellow]not measured:[/] {reason}", soft_wrap=True)
        findings += found
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(settings_patch(findings, settings), encoding="utf-8")
        console.print(f"settings: {escape(str(out))}", soft_wrap=True)
    wrong = unsafe(findings)
    for key in dict.fromkeys(finding.key for finding in wrong):
        remedies = {finding.remedy for finding in wrong if finding.key == key} - {""}
        what = "; ".join(remedies) or "set it to what was measured"
        console.print(f"[bold red]{key} is on the unsafe side:[/] {what}", soft_wrap=True)
    if wrong:
        raise typer.Exit(1)


def _table(findings: list[Finding]) -> Table:
    """One row per quantity."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name in ("quantity", "measured, 95 % interval", "n", "unit", "setting", "counts on", "verdict"):
        table.add_column(name, no_wrap=True)
    for finding in findings:
        verdict, measured = finding.verdict, finding.measured
        side = "at most" if finding.at_most else "at least"
        counts = f"{side} {finding.counted_on:g}" if finding.key else ""
        word = f"[{COLOUR[verdict]}]{verdict.value}[/]" if verdict in COLOUR else ""
        known = ("–", "–") if isinstance(measured, str) else (told(measured), str(measured.count))
        table.add_row(finding.quantity, *known, finding.unit, finding.key, counts, word)
    return table
