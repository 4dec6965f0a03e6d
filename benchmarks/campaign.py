# SPDX-License-Identifier: Apache-2.0
"""``tidegate campaign``: how it grows with the workers of this machine, what its one process costs per episode, by
processes and by Ray where an address is given, and by simulation what limits it with many workers."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from common import MODEL, SETTINGS, ratio, save, spread, table
from scheduler import Costs, simulate

from tidegate.attack.campaign import shared_facts
from tidegate.attack.episode import Episode
from tidegate.campaign import cluster as ray_cluster
from tidegate.campaign.cluster import cluster
from tidegate.campaign.fleet import Fleet, processes
from tidegate.campaign.journal import DRIVEN, Entry, opened
from tidegate.campaign.run import run
from tidegate.campaign.work import Driven, Job, drive

COUNTS = (1, 10, 100, 300, 1000, 3000)
"""Workers to simulate."""
MEANS = (2.0, 20.0, 120.0)
"""Seconds that an episode takes."""
MANY = 2000
"""Episodes under way while one call is timed: two for each of a thousand workers."""
DAEMONS = ("raylet", "gcs_server")


def jobs(count: int, seconds: float) -> list[Job]:
    """Short hostile drives."""
    facts = shared_facts(SETTINGS)
    made = [Episode(SETTINGS, str(MODEL), "road", 5000 + number, "noise", longest_s=seconds) for number in range(count)]
    return [Job(f"{one.scene} {one.seed}", one, facts, {}) for one in made]


def instant(job: Job) -> Driven:
    """The result that the job brings along, at once."""
    return Driven(job.columns["figures"])


def growth(episodes: int, seconds: float, rounds: int) -> list[dict[str, Any]]:
    """By the number of workers, in turns: episodes per second, ratios to one worker, processor time of an episode."""
    counts = range(1, (os.cpu_count() or 1) + 1)
    found = [{count: driven(count, episodes, seconds) for count in counts} for _ in range(rounds)]
    return [
        {
            "workers": count,
            "per_s": statistics.median(episodes / one[count][0] for one in found),
            "cpu_s": statistics.median(one[count][1] for one in found),
            **spread(one[1][0] / one[count][0] for one in found),
        }
        for count in counts
    ]


def driven(count: int, episodes: int, seconds: float) -> tuple[float, float]:
    """Time by the clock for all of them, and processor time of one [s]; each worker has driven one before."""
    work = jobs(episodes, seconds)
    with tempfile.TemporaryDirectory() as folder, processes(drive, count) as fleet:
        with opened(Path(folder) / "warm", {}) as journal:
            run(work[: 4 * count], fleet, journal)
            workers = {entry.worker.rpartition(" ")[2] for entry in journal.entries.values()}
        with opened(Path(folder) / "journal", {}) as journal:
            began, before = time.perf_counter(), cpu_of(workers)
            run(work, fleet, journal)
            return time.perf_counter() - began, (cpu_of(workers) - before) / episodes


def cpu_of(processes: Iterable[str]) -> float:
    """Processor time [s] of processes that still run, by their numbers."""
    ticks = 0
    for number in processes:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def episode_cost(
    fleet: AbstractContextManager[Fleet[Job, Driven]], figures: dict[str, Any], count: int
) -> dict[str, float]:
    """Processor time [s] of this process for an episode that takes no time, and of Ray's own processes."""
    given = [replace(one, columns={"figures": figures}) for one in jobs(count, 1.0)]
    with tempfile.TemporaryDirectory() as folder, fleet as workers:
        with opened(Path(folder) / "warm", {}) as journal:
            run(given[:20], workers, journal)
        with opened(Path(folder) / "journal", {}) as journal:
            own, theirs, began = time.process_time(), daemons_s(), time.perf_counter()
            run(given, workers, journal)
            took = time.perf_counter() - began
            own, theirs = time.process_time() - own, daemons_s() - theirs
    return {"episode_s": own / count, "daemons_s": theirs / count, "per_s": count / took}


def daemons_s() -> float:
    """Processor time of Ray's own processes on this machine [s]."""
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):  # one that has ended meanwhile
            found += [path.parent.name] if path.read_text().strip() in DAEMONS else []
    return cpu_of(found)


def call_of_processes() -> float:
    """Processor time [s] of asking which have ended, for each that is under way."""
    futures: list[Future[None]] = [Future() for _ in range(MANY)]
    futures[-1].set_result(None)
    return cpu_s(lambda: wait(futures, return_when=FIRST_COMPLETED), 50) / MANY


def call_of_ray(address: str, figures: dict[str, Any]) -> float:
    """As ``call_of_processes``: more tasks than the cluster does at once, of which a few have ended each time."""
    ray_cluster.AHEAD = MANY
    given = [replace(one, columns={"figures": figures}) for one in jobs(MANY, 1.0)]
    with cluster(instant, address) as fleet:
        for one in given:
            fleet.start(one)
        spent, seen, left = 0.0, 0, MANY
        while left:
            began = time.process_time()
            ended = len(fleet.ended())
            if left > MANY // 2:
                spent, seen = spent + time.process_time() - began, seen + left
            left -= ended
    return spent / seen


def cpu_s(call: Callable[[], object], repeats: int) -> float:
    """Mean processor time of one call [s]."""
    began = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - began) / repeats


def sync_s(figures: dict[str, Any], repeats: int = 200) -> float:
    """Median time by the clock [s] until one entry is on the disk, below the folder for figures."""
    entry, times = Entry("road 5000", DRIVEN, figures, worker="host 1"), []
    Path("out").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir="out") as folder, opened(Path(folder) / "journal", {}) as journal:
        for _ in range(repeats):
            began = time.perf_counter()
            journal.append([entry])
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def simulated(costs: Costs) -> list[dict[str, Any]]:
    """What the simulation finds by workers and length of an episode."""
    return [
        {"workers": count, "mean_s": mean, **asdict(simulate(count, mean, costs))} for mean in MEANS for count in COUNTS
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, simulate, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="", help="of a Ray cluster")
    parser.add_argument("--episodes", type=int, default=60, help="real ones in each round")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--instant", type=int, default=2000, help="episodes that take no time")
    chosen = parser.parse_args(arguments)
    result = dict(drive(jobs(1, chosen.seconds)[0]).figures)
    line = len(json.dumps(asdict(Entry("road 5000", DRIVEN, result, worker="host 1"))))
    sync, workers = sync_s(result), os.cpu_count() or 1
    found = {"processes": episode_cost(processes(instant, workers), result, chosen.instant)}
    found["processes"] |= {"call_s": call_of_processes(), "ahead": 1}
    if chosen.address:
        ahead = ray_cluster.AHEAD
        found["Ray"] = episode_cost(cluster(instant, chosen.address), result, chosen.instant)
        found["Ray"] |= {"call_s": call_of_ray(chosen.address, result), "ahead": ahead}
    for one in found.values():
        one["simulated"] = simulated(Costs(one["episode_s"], one["call_s"], sync, int(one["ahead"])))
    grown = growth(chosen.episodes, chosen.seconds, chosen.rounds)
    figures = {"line_bytes": line, "sync_s": sync, "by": found, "growth": grown, **vars(chosen)}
    print(tell(figures), save("campaign", figures), sep="\n")


def tell(figures: dict[str, Any]) -> str:
    """As a section of docs/results.md."""
    grown = [
        (row["workers"], f"{row['per_s']:.2f}", ratio(row, ".2f"), f"{row['cpu_s']:.3f}") for row in figures["growth"]
    ]
    spent = [
        (
            name,
            f"{one['episode_s'] * 1e3:.2f}",
            f"{one['daemons_s'] * 1e3:.2f}" if name == "Ray" else "–",
            f"{one['call_s'] * 1e6:.2f}",
            f"{one['per_s']:.0f}",
        )
        for name, one in figures["by"].items()
    ]
    many = [
        (name, f"{row['mean_s']:g}", row["workers"], f"{row['used']:.1%}", f"{row['busy']:.1%}", f"{row['batch']:.1f}")
        for name, one in figures["by"].items()
        for row in one["simulated"]
    ]
    return (
        f"## Campaigns\n\nEpisodes of {figures['seconds']:g} s without a camera, {figures['episodes']} in each of "
        f"{figures['rounds']} rounds, workers warm:\n\n"
        f"{table(('workers', 'episodes per s', 'times as many as one', 'processor time of one [s]'), grown)}\n\n"
        f"What the one process spends, by {figures['instant']} episodes that take no time; a line of the journal has "
        f"{figures['line_bytes']} bytes and is on the disk after {figures['sync_s'] * 1e3:.1f} ms (median):\n\n"
        f"{table(('by', 'an episode [ms]', 'Ray itself [ms]', 'asking, each under way [µs]', 'per s here'), spent)}\n\n"
        f"Simulated with these costs (`benchmarks/scheduler.py`), until the last episode is given out:\n\n"
        f"{table(('by', 'episode [s]', 'workers', 'their time used', 'one process busy', 'taken in at once'), many)}"
    )


if __name__ == "__main__":
    main()
