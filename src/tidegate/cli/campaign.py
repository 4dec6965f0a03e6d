# SPDX-License-Identifier: Apache-2.0
"""``tidegate campaign``: many drives on all cores or on a cluster, in one table."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from tidegate.campaign.cluster import cluster
from tidegate.campaign.episodes import episodes
from tidegate.campaign.fleet import Fleet, processes
from tidegate.campaign.journal import DRIVEN, FAILED, LOST, POISONED, Entry, opened
from tidegate.campaign.page import campaign_page
from tidegate.campaign.plan import Plan
from tidegate.campaign.results import rows, write
from tidegate.campaign.run import ATTEMPTS, run
from tidegate.campaign.work import Driven, Job, drive
from tidegate.cli.common import campaign_bar, check_folder

JOURNAL, RESULTS, PAGE = "journal.jsonl", "results.parquet", "campaign.html"
CORES = len(os.sched_getaffinity(0))


def campaign(
    plan: Annotated[Path, typer.Argument(help="YAML of bundles, scenes, seeds and what is done; docs/campaign.md")],
    out: Annotated[Path, typer.Option(help=f"folder for {RESULTS}; what it holds is not driven again")] = Path(
        "out/campaign"
    ),
    workers: Annotated[int, typer.Option("--processes", min=1, help="drives at a time, on this machine")] = CORES,
    address: Annotated[str, typer.Option(help="of a Ray cluster that drives instead: auto, or host:port")] = "",
    attempts: Annotated[int, typer.Option(min=1, help="workers that an episode may kill")] = ATTEMPTS,
    retry: Annotated[bool, typer.Option(help="drive again what has no result, if the folder holds such")] = False,
) -> None:
    """Drive every episode of a plan, whatever becomes of workers, and write one table and one page of it."""
    jobs, facts = episodes(Plan.load(plan))
    check_folder(out)
    console = Console()
    with opened(out / JOURNAL, facts) as journal, campaign_bar(console) as progress:
        known = journal.entries
        again = {LOST, FAILED, POISONED} if retry else {LOST}
        waiting = [job for job in jobs if job.key not in known or known[job.key].status in again]
        bar = progress.add_task("driving", total=len(jobs), completed=len(jobs) - len(waiting))

        def heard(entry: Entry) -> None:
            progress.advance(bar)
            if entry.status != DRIVEN:
                progress.console.print(f"[red]{escape(f'{entry.key}: {entry.status} ({entry.error})')}", soft_wrap=True)

        if waiting:
            fleet: AbstractContextManager[Fleet[Job, Driven]]
            fleet = cluster(drive, address) if address else processes(drive, min(workers, len(waiting)))
            with fleet as drivers:
                run(waiting, drivers, journal, attempts, heard)
        told, entries = rows(jobs, known), [known[job.key] for job in jobs]
    write(out / RESULTS, told, facts)
    (out / PAGE).write_text(campaign_page(told, entries), encoding="utf-8")
    missing = sum(entry.status != DRIVEN for entry in entries)
    console.print(f"[bold]{len(jobs) - missing}[/] of {len(jobs)} episodes have a result, {len(waiting)} driven now")
    console.print(f"table: {escape(str(out / RESULTS))}, page: {escape(str(out / PAGE))}", soft_wrap=True)
    if missing:
        raise typer.Exit(1)
