# SPDX-License-Identifier: Apache-2.0
"""The exported C library's image and CNN against onnxruntime, in turns; and the sizes of what is exported.

Its liquid step is in liquid_step.py.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from common import MODEL, SETTINGS, in_turns, mean_time, ratio, save, spread, table

from tidegate.bundle import Bundle
from tidegate.export.compiled import FLAGS, SOURCES
from tidegate.export.targets import export_bundle
from tidegate.perception.image import prepare
from tidegate.settings import load_settings

LIQUID, CAMERA = SOURCES[:3], SOURCES[3:]
PROGRAM = Path(__file__).with_suffix(".c")


def build(program: Path, folder: Path, where: Path, compiler: str, *options: str) -> Path:
    """A ``program`` that calls the library exported to ``folder``, compiled to ``where``."""
    sources = [folder / name for name in SOURCES]
    subprocess.run([compiler, *FLAGS, *options, f"-I{folder}", "-o", where, program, *sources, "-lm"], check=True)
    return where


def size(folder: Path, names: tuple[str, ...], compiler: str) -> dict[str, int]:
    """``text`` and ``data`` [bytes] of the objects of some sources."""
    with tempfile.TemporaryDirectory() as made:
        sources = [str(folder / name) for name in names]
        subprocess.run([compiler, *FLAGS, f"-I{folder}", "-c", *sources], cwd=made, check=True)
        told = subprocess.run(["size", *os.listdir(made)], cwd=made, check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in told.splitlines()[1:]]
    return {"text": sum(int(row[0]) for row in rows), "data": sum(int(row[1]) + int(row[2]) for row in rows)}


def main(arguments: list[str] | None = None) -> None:
    """Time all in turns, round by round, and keep medians, ratios to C and their spread.

    Processor time, as the C program measures it: other load does not count.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--cc", default="cc")
    chosen = parser.parse_args(arguments)
    settings, bundle = load_settings(SETTINGS), Bundle.load(MODEL)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    backbone = onnxruntime.InferenceSession(bundle.backbone, options, providers=["CPUExecutionProvider"])
    camera = settings.camera
    image = np.random.default_rng(0).integers(0, 256, (camera.height, camera.width, 3), dtype=np.uint8)

    def look() -> object:
        return backbone.run(["features", "lane", "lane_scale"], {"image": prepare(image, bundle.perception)[None]})

    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "c"
        export_bundle(bundle, settings, "c", folder)
        program = build(PROGRAM, folder, Path(made) / "exported", chosen.cc)

        def see() -> list[float]:
            command = [str(program), str(chosen.repeats)]
            return [float(subprocess.run(command, check=True, capture_output=True).stdout)]

        runs = {"see": see, "onnxruntime": lambda: [mean_time(look, chosen.repeats, time.process_time)]}
        times = in_turns(runs, chosen.rounds)
        sizes = {
            "liquid": size(folder, LIQUID, chosen.cc),
            "camera": size(folder, CAMERA, chosen.cc),
        }
    figures: dict[str, Any] = {
        "rounds": chosen.rounds,
        "repeats": chosen.repeats,
        "flags": " ".join(FLAGS),
        "sizes": sizes,
    }
    for name, parts in times.items():
        ratios = spread(mine[0] / base[0] for mine, base in zip(parts, times["see"], strict=True))
        figures[name] = {"us": statistics.median(part[0] for part in parts), **ratios}
    print(save("exported", figures), *(f"{name} {figures[name]['us']:.0f} µs" for name in times))


def tell(figures: dict[str, Any]) -> str:
    """The table of docs/results.md."""
    words = {
        "see": "image and CNN, exported C",
        "onnxruntime": "image and CNN, OpenCV and onnxruntime (live), one thread",
    }
    rows = [
        (
            told,
            f"{figures[name]['us']:.3g}",
            "1" if name == "see" else ratio(figures[name], ".3g"),
        )
        for name, told in words.items()
    ]
    parts = [f"{part} {size['text']:,} + {size['data']:,}" for part, size in figures["sizes"].items()]
    return (
        f"## Exported C library\n\nThe shipped network, `{figures['flags']}`; {figures['rounds']} rounds of "
        f"{figures['repeats']} calls, in turns. Text + data in bytes: "
        f"{', '.join(parts)}.\n\n{table(('what', 'processor time [µs], median', 'times C'), rows)}"
    )


if __name__ == "__main__":
    main()
