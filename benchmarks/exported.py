# SPDX-License-Identifier: Apache-2.0
"""The exported C library against NumPy, ``ncps`` and onnxruntime, in turns; and the sizes of what is exported."""

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
import torch
from common import MODEL, SETTINGS, mean_time, save, spread, table
from liquid_step import DT, public_cell

from tidegate.bundle import Bundle
from tidegate.export.compiled import FLAGS, SOURCES
from tidegate.export.targets import export_bundle
from tidegate.liquid.policy import make_step
from tidegate.liquid.wiring import Wiring
from tidegate.perception.image import prepare
from tidegate.settings import load_settings

LIQUID, CAMERA = SOURCES[:3], SOURCES[3:]


def build(folder: Path, where: Path, compiler: str) -> Path:
    """The timing program with the exported library."""
    sources = [folder / name for name in SOURCES]
    own = Path(__file__).with_suffix(".c")
    subprocess.run([compiler, *FLAGS, f"-I{folder}", "-o", where, own, *sources, "-lm"], check=True)
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
    torch.set_num_threads(1)
    settings, bundle = load_settings(SETTINGS), Bundle.load(MODEL)
    wiring = Wiring.from_dict(bundle.wiring)
    step = make_step(bundle, wiring)
    peer = public_cell(wiring, bundle.policy)
    values, state = np.random.default_rng(0).normal(size=wiring.inputs), np.zeros(wiring.neurons)
    tensor, hidden = torch.tensor(values[None], dtype=torch.float32), torch.zeros(1, wiring.neurons)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    backbone = onnxruntime.InferenceSession(bundle.backbone, options, providers=["CPUExecutionProvider"])
    camera = settings.camera
    image = np.random.default_rng(0).integers(0, 256, (camera.height, camera.width, 3), dtype=np.uint8)

    def look() -> object:
        return backbone.run(["features", "lane", "lane_scale"], {"image": prepare(image, bundle.perception)[None]})

    with tempfile.TemporaryDirectory() as made, torch.inference_mode():
        folder = Path(made) / "c"
        export_bundle(bundle, settings, "c", folder)
        program = build(folder, Path(made) / "exported", chosen.cc)
        rounds: list[dict[str, float]] = []
        for _ in range(chosen.rounds + 1):
            command = [str(program), str(100 * chosen.repeats), str(chosen.repeats)]
            decide, see = map(float, subprocess.run(command, check=True, capture_output=True).stdout.split())
            rounds.append(
                {
                    "decide": decide,
                    "numpy": mean_time(lambda: step(values, state, DT), chosen.repeats, time.process_time),
                    "ncps": mean_time(lambda: peer(tensor, hidden, DT), chosen.repeats, time.process_time),
                    "see": see,
                    "onnxruntime": mean_time(look, chosen.repeats, time.process_time),
                }
            )
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
    for name, base in (
        ("decide", "decide"),
        ("numpy", "decide"),
        ("ncps", "decide"),
        ("see", "see"),
        ("onnxruntime", "see"),
    ):
        warm = rounds[1:]  # the first round warms up
        figures[name] = {
            "us": statistics.median(one[name] for one in warm),
            **spread(one[name] / one[base] for one in warm),
        }
    print(save("exported", figures), *(f"{name} {figures[name]['us']:.2f} µs" for name in rounds[0]))


def tell(figures: dict[str, Any]) -> str:
    """The table of docs/results.md."""
    words = {
        "decide": "liquid step, exported C",
        "numpy": "liquid step, NumPy (live)",
        "ncps": "liquid step, `ncps` LTCCell, torch, one thread",
        "see": "image and CNN, exported C",
        "onnxruntime": "image and CNN, OpenCV and onnxruntime (live), one thread",
    }
    rows = [
        (
            told,
            f"{figures[name]['us']:.3g}",
            "1"
            if name in ("decide", "see")
            else f"{figures[name]['ratio']:.3g} ({figures[name]['ratio_low']:.3g}–{figures[name]['ratio_high']:.3g})",
        )
        for name, told in words.items()
    ]
    parts = [f"{part} {size['text']:,} + {size['data']:,}" for part, size in figures["sizes"].items()]
    return (
        f"## Exported C library\n\nThe shipped network, `{figures['flags']}`; {figures['rounds']} rounds of "
        f"{figures['repeats']} calls (100 times as many of the C step), in turns. Text + data in bytes: "
        f"{', '.join(parts)}.\n\n{table(('what', 'processor time [µs], median', 'times C'), rows)}"
    )


if __name__ == "__main__":
    main()
