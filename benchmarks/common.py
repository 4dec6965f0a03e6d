# SPDX-License-Identifier: Apache-2.0
"""What every benchmark states beside its figures: the machine, its load, the versions; how calls are timed, where
figures are kept, and how they are held to their aims."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from tidegate.machine import processor

Sample = TypeVar("Sample")

FIGURES = Path("out/bench")
MODEL = Path("models/car-ltc19")
SETTINGS = "config/car.yaml"
POLICIES = {
    os.SCHED_OTHER: "normal",
    os.SCHED_FIFO: "SCHED_FIFO",
    os.SCHED_RR: "SCHED_RR",
    os.SCHED_BATCH: "SCHED_BATCH",
    os.SCHED_IDLE: "SCHED_IDLE",
}
PACKAGES = ("numpy", "onnxruntime", "mujoco", "daqp", "torch", "ncps")


def machine() -> dict[str, Any]:
    """Processor, cores, load over the last minute, scheduling, Python and package versions."""
    memory = [int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory[0] / 2**20, 1) if memory else None,
        "load_1min": round(os.getloadavg()[0], 2),
        "scheduling": policy(),
        "python": platform.python_version(),
        "packages": versions(*PACKAGES),
    }


def policy(pid: int = 0) -> str:
    """How a process is scheduled; 0 is this one."""
    kind = POLICIES.get(os.sched_getscheduler(pid), "another")
    priority = os.sched_getparam(pid).sched_priority
    return f"{kind} {priority}" if priority else kind


def versions(*names: str) -> dict[str, str]:
    """Versions of those packages that are installed."""
    found = {}
    for name in names:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def race(
    calls: dict[str, Callable[[Sample], object]], samples: Sequence[Sample], rounds: int
) -> dict[str, dict[str, float]]:
    """Time each of ``calls`` on every sample, in turns, round by round.

    Returns for each: mean, median, 99th percentile and maximum [µs], and how many times the first one's it took: the
    median of the rounds' ratios of medians, with the lowest and the highest.
    """
    runs = {name: lambda call=call: [timed(call, sample) for sample in samples] for name, call in calls.items()}
    times = in_turns(runs, rounds)
    first = [statistics.median(part) for part in next(iter(times.values()))]
    figures = {}
    for name, parts in times.items():
        every = np.concatenate(parts)
        figures[name] = {
            "mean_us": float(every.mean()),
            "median_us": float(np.median(every)),
            "p99_us": float(np.quantile(every, 0.99)),
            "max_us": float(every.max()),
            **spread(statistics.median(part) / mine for part, mine in zip(parts, first, strict=True)),
        }
    return figures


def in_turns(runs: Mapping[str, Callable[[], list[float]]], rounds: int) -> dict[str, list[list[float]]]:
    """The times [µs] that each of ``runs`` gives, round by round, after a round that warms up."""
    times: dict[str, list[list[float]]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            found = run()
            if number:
                times[name].append(found)
    return times


def spread(ratios: Iterable[float]) -> dict[str, float]:
    """The median of the rounds' ratios, the lowest and the highest."""
    known = sorted(ratios)
    return {"ratio": statistics.median(known), "ratio_low": known[0], "ratio_high": known[-1]}


def ratio(figures: dict[str, Any], form: str) -> str:
    """What ``spread`` found, in words; ``form`` of its numbers, such as '.1f'."""
    middle, low, high = (format(figures[name], form) for name in ("ratio", "ratio_low", "ratio_high"))
    return f"{middle} ({low}–{high})"


def timed(call: Callable[[Sample], object], sample: Sample, clock: Callable[[], int] = time.perf_counter_ns) -> float:
    """Time of one call [µs] by ``clock`` [ns]."""
    start = clock()
    call(sample)
    return (clock() - start) / 1e3


def mean_time(call: Callable[[], object], repeats: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Mean time of one call [µs] by ``clock`` [s]."""
    start = clock()
    for _ in range(repeats):
        call()
    return (clock() - start) / repeats * 1e6


def save(name: str, figures: dict[str, Any]) -> Path:
    """Keep the figures of one benchmark with the machine and the day that made them."""
    FIGURES.mkdir(parents=True, exist_ok=True)
    path = FIGURES / f"{name}.json"
    record = {"name": name, "date": time.strftime("%Y-%m-%d"), "machine": machine(), **figures}
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


class Aim(NamedTuple):
    """A figure, named with its unit, and how small or how large it should be."""

    what: str
    value: float
    least: float = -math.inf
    most: float = math.inf

    @property
    def met(self) -> bool:
        """What is not a number misses."""
        return self.least <= self.value <= self.most

    def __str__(self) -> str:
        bound = f"at most {self.most:g}" if math.isinf(self.least) else f"at least {self.least:g}"
        return f"{self.what}: {self.value:.4g}; the aim is {bound}"


def add_check(parser: argparse.ArgumentParser) -> None:
    """Give a benchmark that has aims the option ``--check``."""
    parser.add_argument("--check", action="store_true", help="exit with 1 where an aim is missed, a line for each")


def judge(aims: Iterable[Aim], check: bool) -> None:
    """Where ``check`` asks for it, print each aim that was missed.

    Raises:
        SystemExit: with code 1, if any was.
    """
    missed = [aim for aim in aims if not aim.met]
    if check and missed:
        print(*(f"missed: {aim}" for aim in missed), sep="\n")
        raise SystemExit(1)


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    names = list(head)
    lines = [names, ["---"] * len(names), *([str(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text("utf-8").splitlines()
    except OSError:
        return []
