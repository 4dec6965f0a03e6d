# SPDX-License-Identifier: Apache-2.0
"""Instructions of a frame and of a start, counted under qemu-user, and what they would take on a Raspberry Pi.

Counting needs `apt-get install qemu-user gcc-aarch64-linux-gnu gcc-arm-linux-gnueabihf` and, for the Python path, an
``apt-get`` that has Debian's arm64 packages.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from arm64 import arm_python
from common import MODEL, SETTINGS, save, table
from exported import build
from start import PROGRAM, run

from tidegate.bundle import Bundle
from tidegate.export.targets import export_bundle
from tidegate.settings import load_settings

TICKS = Path(__file__).with_name("ticks.py")
ARM64 = Path("out/arm64")
CALLS = Path(__file__).with_name("frames.c")
PLUGIN = Path(__file__).with_name("count_instructions.c")
C_BUILDS = {
    "x86-64": ("cc", "qemu-x86_64"),
    "aarch64": ("aarch64-linux-gnu-gcc", "qemu-aarch64"),
    "armhf": ("arm-linux-gnueabihf-gcc", "qemu-arm"),
}
FRAMES = 200
DRIVING = (600, 800)
"""Ticks of which the cost is that of the second less the first: all of them while the car drives."""
WORDS = {
    "see": "exported C: image and CNN",
    "decide": "exported C: liquid step",
    "c_frame": "exported C: a frame",
    "frame": "Python: a frame",
    "tick": "Python: a tick of the safety filter",
    "start": "Python: start to the first command, and end",
}
ESTIMATED = ("c_frame", "frame", "tick", "start")


@dataclass(frozen=True)
class Core:
    """A processor core: clock [GHz], instructions decoded per cycle, and the share of them that is assumed."""

    name: str
    clock_ghz: float
    width: int
    assumed: tuple[float, float]


A72, A76 = (0.5, 2.0), (1.0, 3.0)
CORES = (
    Core("Raspberry Pi 4, Cortex-A72, 1.5 GHz", 1.5, 3, A72),
    Core("Raspberry Pi 4, Cortex-A72, 1.8 GHz", 1.8, 3, A72),
    Core("Raspberry Pi 5, Cortex-A76, 2.4 GHz", 2.4, 4, A76),
)


def counted(plugin: Path, *command: str) -> tuple[int, str]:
    """Instructions of the guest that ``command`` emulates, and its output."""
    environment = os.environ | {"QEMU_PLUGIN": str(plugin), "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return int(done.stderr.split()[-1]), done.stdout


def count_c(plugin: Path, folder: Path, program: Path, compiler: str, emulator: str) -> dict[str, float]:
    """Instructions of ``tidegate_see`` and ``tidegate_decide``: one call more than one."""
    build(CALLS, folder, program, compiler, "-static")
    one, look, decision = (
        counted(plugin, emulator, str(program), *calls)[0] for calls in (("1", "1"), ("2", "1"), ("1", "2"))
    )
    return {"see": look - one, "decide": decision - one, "c_frame": look + decision - 2 * one}


def count_python(plugin: Path, *python: str) -> tuple[dict[str, float], list[float]]:
    """Instructions of a start, of a frame and of a tick in Python, and the command after the last frame."""
    start, _ = counted(plugin, *python, str(PROGRAM), "1")
    more, told = counted(plugin, *python, str(PROGRAM), str(1 + FRAMES))
    few, many = (counted(plugin, *python, str(TICKS), str(ticks))[0] for ticks in DRIVING)
    found = {"start": start, "frame": (more - start) / FRAMES, "tick": (many - few) / (DRIVING[1] - DRIVING[0])}
    return found, json.loads(told)["command"]


def measure_c(program: Path) -> dict[str, float]:
    """Processor time of the exported C on this machine, the best of five [µs]."""
    see = min(processor_us(program, FRAMES, 0) for _ in range(5)) / FRAMES
    decide = min(processor_us(program, 0, 100 * FRAMES) for _ in range(5)) / (100 * FRAMES)
    return {"see": see, "decide": decide, "c_frame": see + decide}


def processor_us(program: Path, looks: int, decisions: int) -> float:
    """Processor time of a whole process [µs]."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run([program, str(looks), str(decisions)], check=True)
    return 1e6 * (resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before)


def measure_python() -> tuple[dict[str, float], dict[str, Any]]:
    """Times of the Python path on this machine, best of five [µs], and what its last frame and tick came to."""
    told = [run(1 + FRAMES, {}) for _ in range(5)]
    ticks = [json.loads(subprocess.check_output([sys.executable, TICKS, str(DRIVING[1])])) for _ in range(5)]
    best = {
        "frame": min(float(np.median(one["times_us"]["frame"])) for one in told),
        "tick": min(one["median_us"] for one in ticks),
        "start": 1e6 * min(one["processor_s"] for one in told),
    }
    return best, {"command": told[0]["command"], "mode": ticks[0]["mode"]}


def main(arguments: list[str] | None = None) -> None:
    """Count everything, measure what this machine takes, and keep both."""
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    tools = [*(tool for build in C_BUILDS.values() for tool in build), "apt-get", "dpkg-deb"]
    if missing := [tool for tool in tools if shutil.which(tool) is None]:
        print(f"emulated: not run, {', '.join(missing)} not installed")
        return
    try:
        python = arm_python(ARM64)
    except subprocess.CalledProcessError as error:
        print(f"emulated: not run, no Python for 64-bit Arm ({error})")
        return
    settings, bundle = load_settings(SETTINGS), Bundle.load(MODEL)
    with tempfile.TemporaryDirectory() as made:
        folder, plugin = Path(made) / "c", Path(made) / "count.so"
        subprocess.run(["cc", "-std=c11", "-O2", "-fPIC", "-shared", "-o", plugin, PLUGIN], check=True)
        export_bundle(bundle, settings, "c", folder)
        counts = {name: count_c(plugin, folder, Path(made) / name, *tools) for name, tools in C_BUILDS.items()}
        c_times = measure_c(Path(made) / "x86-64")
        found, command = count_python(plugin, *python)
    counts["aarch64"] |= found
    python_times, ends = measure_python()
    off = np.abs(np.subtract(command, ends["command"])) / np.abs(ends["command"])
    figures = {
        "counts": counts,
        "frames": FRAMES,
        "measured_us": c_times | python_times,
        "difference": float(off.max()),
        "mode": ends["mode"],
        "qemu": subprocess.check_output(["qemu-aarch64", "--version"], text=True).split()[2],
    }
    print(save("emulated", figures), counts)


def tell(figures: dict[str, Any]) -> str:
    """The tables of docs/results.md."""
    counts, measured = figures["counts"], figures["measured_us"]
    rows = [
        (
            words,
            *(f"{float(f'{found[name] / 1e6:.3g}'):g}" if name in found else "–" for found in counts.values()),
            f"{measured[name] / 1e3:.3g}",
        )
        for name, words in WORDS.items()
    ]
    head = ("instructions, in millions", *counts, "measured here [ms]")
    rate = counts["x86-64"]["c_frame"] / measured["c_frame"] / 1e3
    estimates = [(core.name, *(estimate(core, counts["aarch64"][name], name) for name in ESTIMATED)) for core in CORES]
    return (
        f"## Instructions of a frame, for a Raspberry Pi\n\n**Counted under emulation** (QEMU {figures['qemu']}, user "
        f"mode): no Raspberry Pi was there. C as `make` builds it for each architecture. Python with the wheels of the "
        f"package index, on Debian's Python and a Cortex-A72 as QEMU models it. A frame in Python is the mean of "
        f"{figures['frames']}; after them the emulated commands differ from those computed here by "
        f"{figures['difference']:.0e} of their value at most. "
        f"The filter's tick is that of a car that drives off on a straight road ({figures['mode']}). Measured: best of "
        f"five, C and start in processor time; C at {rate:.0f} instructions per ns.\n\n{table(head, rows)}\n\n"
        f"**Estimated** from the counts for aarch64: {A72[0]:g} to {A72[1]:g} instructions per cycle on a Cortex-A72, "
        f"{A76[0]:g} to {A76[1]:g} on a Cortex-A76. That is an assumption. The cores decode {CORES[0].width} and "
        f"{CORES[-1].width} per cycle, which gives the least time possible. Reading files is not counted.\n\n"
        f"{table(('core', *(WORDS[name] for name in ESTIMATED)), estimates)}"
    )


def estimate(core: Core, instructions: float, name: str) -> str:
    """Time of ``instructions`` in words: the range assumed and the least possible."""
    unit, factor = ("s", 1e-9) if name == "start" else ("ms", 1e-6)
    low, high = core.assumed
    slow, quick, least = (instructions / (core.clock_ghz * each) * factor for each in (low, high, core.width))
    return f"{quick:.2g}–{slow:.2g} {unit}, no less than {least:.2g}"


if __name__ == "__main__":
    main()
