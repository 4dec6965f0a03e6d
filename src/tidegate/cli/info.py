# SPDX-License-Identifier: Apache-2.0
"""``tidegate info``: what a bag holds and how well it was recorded."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tidegate.bag import BagReader, BagSummary, Spread, TopicSummary, remappings, rescue, summarise
from tidegate.cli.common import Remap, print_json
from tidegate.messages.rates import SLOW, stated_rates
from tidegate.records import NANOSECONDS, seconds
from tidegate.settings import load_settings
from tidegate.share import share_path

WIDTH = 150
"""The table is not broken where the output is no terminal."""
SILENT_S = 1.0
"""A topic that begins so much later than the bag, or ends so much earlier, is told of."""
A_DATE = 365 * 86_400 * NANOSECONDS
"""Times of receipt below this [ns] are simulated ones and no date."""


def info(
    bag: Annotated[Path, typer.Argument(help="folder or file of the recording, MCAP or SQLite")],
    config: Annotated[Path | None, typer.Option(help="robot's settings: the rates that are stated")] = None,
    remap: Remap = None,
    rescued: Annotated[
        Path | None, typer.Option("--rescue", help="write all that can be read into this new bag; the old one is left")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="for machines; times in s and ns, null = not known")] = False,
) -> None:
    """Show topics, rates, jitter, gaps, drops and latencies of a bag, of whatever robot; interrupted ones too."""
    settings = load_settings(config or share_path("config/car.yaml"))
    reader = BagReader(bag, remappings(remap or ()))
    if rescued is not None:
        _rescue(reader, rescued)
        return
    summary = summarise(reader, stated_rates(settings))
    if as_json:
        print_json(asdict(summary))
        return
    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(heading(summary), soft_wrap=True, highlight=False)
    console.print(_topics(summary))
    if summary.hops or summary.ages:
        console.print(_latencies(summary))
    for note in notes(summary):
        console.print(f"[yellow]{escape(note)}[/]", soft_wrap=True, highlight=False)
    for line in contract_lines(summary.contract):
        console.print(escape(line), soft_wrap=True, highlight=False)
    for name, entries in summary.carried.items():
        told = ", ".join(f"{key}: {value}" for key, value in entries.items()) or "empty"
        console.print(f"carries {escape(name)}: {escape(told)}", soft_wrap=True, highlight=False)
    if not summary.contract and not summary.carried:
        console.print("carries no metadata (no hash of settings or bundle)", highlight=False)


def _rescue(reader: BagReader, target: Path) -> None:
    written, unknown = rescue(reader, target)
    console = Console(soft_wrap=True, highlight=False)
    for problem in reader.problems:
        console.print(f"[yellow]{escape(problem)}[/]")
    for name, kind in unknown.items():
        console.print(f"[yellow]{escape(name)}: left out, the bag does not define {escape(kind)}[/]")
    console.print(f"{escape(str(target))}: {sum(written.values())} messages on {len(written)} topics")


def heading(summary: BagSummary) -> str:
    """The first line."""
    count = sum(topic.count for topic in summary.topics)
    span = seconds(summary.ends - summary.begins)
    when = f", from {datetime.fromtimestamp(summary.begins / NANOSECONDS, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
    begins = when if summary.begins > A_DATE else ""
    return f"[bold]{escape(str(summary.path))}[/]: {summary.storage}, {span:.2f} s, {count} messages{begins}"


def notes(summary: BagSummary) -> list[str]:
    """What the reader of the tables should know, one line each."""
    found = []
    if summary.interrupted:
        found.append("the recording was interrupted; it was read up to there")
    found += summary.problems
    if not summary.indexed:
        found.append("no metadata.yaml: the recorder was killed, or the file was copied without it")
    if summary.another_clock:
        found.append("stamps are of another clock than the times of receipt (simulated time?): no latency by stamp")
    if summary.unreadable:
        found.append(f"{summary.unreadable} messages of the safety node or the timing could not be decoded")
    for topic in summary.topics:
        if topic.count and topic.timing.backwards:
            found.append(f"{topic.name}: {topic.timing.backwards} stamps do not advance")
        for moment, silent in (("begins", topic.begins_s), ("ends", topic.ends_s)):
            whole = max(SILENT_S, 5 / topic.timing.rate_hz if topic.timing.rate_hz > 0 else math.inf)
            if topic.count and silent > whole:
                side = "after the bag does" if moment == "begins" else "before the bag does"
                found.append(f"{topic.name} {moment} {silent:.1f} s {side}")
    return found


def contract_lines(contract: Mapping[str, str]) -> list[str]:
    """The contract in words; the text of the settings, and limits by joint, are in ``--json``."""
    made = dict(contract)
    made.pop("settings", None)
    with contextlib.suppress(KeyError, ValueError, TypeError):  # another recorder's, or none
        made["joints"] = ", ".join(json.loads(made["joints"]))
    return [f"contract {name.replace('_', ' ')}: {text}" for name, text in made.items()]


def _topics(summary: BagSummary) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name in ("topic", "type"):
        table.add_column(name, no_wrap=True)
    for name in ("count", "Hz", "stated", "jitter ms", "longest ms", "gaps", "dropped", "receipt − stamp ms (p99)"):
        table.add_column(name, justify="right", no_wrap=True)
    for topic in summary.topics:
        table.add_row(*_row(topic))
    return table


def _row(topic: TopicSummary) -> list[str]:
    timing = topic.timing
    rate = _number(timing.rate_hz, 1, "{:.1f}")
    if topic.stated_hz is not None and timing.rate_hz < SLOW * topic.stated_hz:
        rate = f"[bold red]{rate}[/]"
    dropped = "–" if timing.dropped is None else f"[bold red]{timing.dropped}[/]" if timing.dropped else "0"
    return [
        escape(topic.name),
        escape(topic.type),
        str(topic.count),
        rate,
        "–" if topic.stated_hz is None else f"{topic.stated_hz:g}",
        _number(timing.jitter_s, 1e3, "{:.2f}"),
        _number(timing.longest_s, 1e3, "{:.1f}"),
        str(timing.gaps),
        dropped,
        "–" if topic.latency is None else f"{1e3 * topic.latency.median_s:.2f} ({1e3 * topic.latency.p99_s:.2f})",
    ]


def _number(value: float, scale: float, form: str) -> str:
    return "–" if math.isnan(value) else form.format(scale * value)


def _latencies(summary: BagSummary) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("latency", no_wrap=True)
    for name in ("n", "median ms", "p99 ms", "largest ms"):
        table.add_column(name, justify="right")
    ages: dict[str, Spread] = {f"age of {name} at the tick": spread for name, spread in summary.ages.items()}
    for name, spread in {**summary.hops, **ages}.items():
        times: list[Any] = [spread.median_s, spread.p99_s, spread.largest_s]
        table.add_row(name, str(spread.count), *(f"{1e3 * value:.2f}" for value in times))
    return table
