# SPDX-License-Identifier: Apache-2.0
"""The live path in one process without ROS: from process start to the first command, memory, and what a frame takes."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from common import MODEL, Aim, add_check, judge, save, table

PROGRAM = Path(__file__).with_name("live_path.py")
PHASES = ("imported", "ready", "first")
PARTS = {
    "shrink": "crop and averaging of the image (OpenCV)",
    "normalise": "bytes to numbers in [−1, 1]",
    "CNN": "CNN with lane head (onnxruntime, one thread)",
    "health": "image health",
    "perception": "perception in all",
    "policy": "policy: 19 neurons and read-out",
    "frame": "perception and policy",
}


def run(frames: int, environment: dict[str, str]) -> dict[str, Any]:
    """What a fresh process tells, with the time from its start to the end of each phase [s]."""
    command = [sys.executable, str(PROGRAM), str(frames), "split"]
    start = time.monotonic_ns()
    done = subprocess.run(command, env=os.environ | environment, check=True, capture_output=True, text=True)
    told: dict[str, Any] = json.loads(done.stdout)
    told["seconds"] = {phase: (told["monotonic_ns"][phase] - start) / 1e9 for phase in PHASES}
    times = told["times_us"]
    times["frame"] = [sum(pair) for pair in zip(times["perception"], times["policy"], strict=True)]
    return told


def cold() -> dict[str, Any]:
    """A start at which every Python module has to be compiled anew."""
    with tempfile.TemporaryDirectory() as empty:
        return run(1, {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": empty})


def aims(figures: dict[str, Any]) -> Iterator[Aim]:
    """Of the live path without ROS."""
    for kind, most in (("warm", 1.5), ("cold", 6.0)):
        took = figures["start_s"][kind]["first"]["median"]
        yield Aim(f"{kind} start to the first command, median [s]", took, most=most)
    yield Aim("perception and policy, median [µs]", figures["frame_us"]["frame"]["median"], most=500.0)
    yield Aim("memory after the frames, PSS [MB]", figures["memory_mb"]["last"]["pss"], most=100.0)
    yield Aim("bundle [kB]", figures["bundle_kb"], most=1000.0)


def main(arguments: list[str] | None = None) -> None:
    """Start it cold and warm in turns, and keep medians and the best."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--frames", type=int, default=200)
    add_check(parser)
    chosen = parser.parse_args(arguments)
    run(1, {})  # what is compiled stays beside the sources
    rounds = [{"cold": cold(), "warm": run(chosen.frames + 1, {})} for _ in range(chosen.rounds)]
    figures = {
        "rounds": chosen.rounds,
        "frames": chosen.frames,
        "bundle_kb": sum(path.stat().st_size for path in MODEL.iterdir()) / 1e3,
        "heavy": rounds[-1]["warm"]["heavy"],
        "start_s": {
            kind: {phase: middle_and_best(one[kind]["seconds"][phase] for one in rounds) for phase in PHASES}
            for kind in ("cold", "warm")
        },
        "processor_s": {kind: middle_and_best(one[kind]["processor_s"] for one in rounds) for kind in ("cold", "warm")},
        "memory_mb": {
            when: {
                kind: statistics.median(one["warm"]["memory_mb"][when][kind] for one in rounds)
                for kind in ("pss", "rss", "vmhwm")
            }
            for when in ("first", "last")
        },
        "frame_us": {part: of_calls([one["warm"]["times_us"][part] for one in rounds]) for part in PARTS},
    }
    print(save("start", figures), figures["start_s"]["warm"]["first"], figures["frame_us"]["frame"])
    judge(aims(figures), chosen.check)


def middle_and_best(values: Iterable[float]) -> dict[str, float]:
    """Median and least of the rounds."""
    known = sorted(values)
    return {"median": statistics.median(known), "best": known[0]}


def of_calls(rounds: list[list[float]]) -> dict[str, float]:
    """Median and 99th percentile of all calls, and the lowest median of a round."""
    every = np.concatenate(rounds)
    return {
        "median": float(np.median(every)),
        "p99": float(np.quantile(every, 0.99)),
        "best": min(map(statistics.median, rounds)),
    }


def tell(figures: dict[str, Any]) -> str:
    """The tables of docs/results.md."""
    words = {"imported": "interpreter and imports", "ready": "settings, bundle, network", "first": "first frame"}
    starts = []
    for kind, phases in figures["start_s"].items():
        ends = [phases[phase]["median"] for phase in words]
        parts = np.diff([0.0, *ends])
        processor = figures["processor_s"][kind]["median"]
        starts.append((kind, *(f"{value:.2f}" for value in (ends[-1], phases["first"]["best"], processor, *parts))))
    sizes = [
        (name, *(f"{figures['memory_mb'][when][kind]:.0f}" for kind in ("pss", "rss", "vmhwm")))
        for when, name in (("first", "after the first command"), ("last", f"after {figures['frames']} frames more"))
    ]
    frames = [
        (told, *(f"{figures['frame_us'][part][kind]:.0f}" for kind in ("median", "p99", "best")))
        for part, told in PARTS.items()
    ]
    heavy = ", ".join(figures["heavy"]) or "none of torch, numba, scipy and mujoco"
    return (
        f"## Start, memory and frame of the live path\n\nPerception and policy with the shipped bundle "
        f"({figures['bundle_kb']:.0f} kB) in one process without ROS; {figures['rounds']} fresh processes of each "
        f"kind, in turns. Heavy packages imported: {heavy}. Warm: compiled modules lie beside the sources. Cold: none "
        f"do, and Python compiles each. Files are in the page cache either way; after power-on a start is slower."
        f"\n\n"
        f"{table(('start', 'to the first command [s], median', 'best', 'processor time', *words.values()), starts)}\n\n"
        f"{table(('memory', 'PSS [MB]', 'RSS [MB]', 'most ever resident [MB]'), sizes)}\n\n"
        f"{figures['rounds']} × {figures['frames']} frames of 160 × 80 px, one after the other.\n\n"
        f"{table(('part of a frame', 'median [µs]', '99 % [µs]', 'median of the best process'), frames)}"
    )


if __name__ == "__main__":
    main()
