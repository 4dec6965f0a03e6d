# SPDX-License-Identifier: Apache-2.0
"""Memory of a fresh process that steps or trains 19 liquid neurons, by implementation; and sizes of the models."""

from __future__ import annotations

import argparse
import io
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from common import MODEL, SETTINGS, save, table

INPUTS = 33

Work = Callable[[Path], object]
"""What a process does; it gets the path of the exported ONNX and imports what it needs itself: that is measured."""


def live_step(_: Path) -> None:
    """The shipped bundle as it is stepped live."""
    import numpy as np

    from tidegate.bundle import Bundle
    from tidegate.liquid.live_network import make_step
    from tidegate.liquid.wiring import Wiring

    bundle = Bundle.load(MODEL)
    wiring = Wiring.from_dict(bundle.wiring)
    make_step(bundle, wiring)(np.zeros(wiring.inputs), np.zeros(wiring.neurons), 0.05)


def numba_step(_: Path) -> None:
    """The same by the training kernel, compiled before."""
    import numpy as np
    from kernel_step import kernel_step

    from tidegate.bundle import Bundle
    from tidegate.liquid.wiring import Wiring

    bundle = Bundle.load(MODEL)
    wiring = Wiring.from_dict(bundle.wiring)
    step = kernel_step(wiring, bundle.part("liquid.cell"), bundle.policy.substeps)
    step(np.zeros(wiring.inputs), np.zeros(wiring.neurons), 0.05)


def onnx_step(model: Path) -> None:
    """The exported step with input map and read-out."""
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    session.run(None, {one.name: np.zeros(one.shape, np.float32) for one in session.get_inputs()})


def torch_step(name: str, _: Path) -> None:
    """One of ``liquid_networks``, one sample and one step, without gradients."""
    import torch
    from liquid_networks import outputs

    with torch.inference_mode():
        outputs(name)(torch.zeros(1, 1, INPUTS))


def training(name: str, _: Path) -> None:
    """One of ``liquid_networks``, three times forward and backward over 64 windows of 32 steps."""
    import torch
    from liquid_networks import outputs, train

    network = outputs(name)
    for _ in range(3):
        train(network, torch.zeros(64, 32, INPUTS))


TRAINED = ("ltc", "cfc", "ncps ltc", "ncps cfc", "lstm")
WORK: dict[str, Work] = {
    "live": live_step,
    "numba": numba_step,
    "onnxruntime": onnx_step,
    **{f"{name}, step": partial(torch_step, name) for name in ("ncps ltc", "ncps cfc", "lstm")},
    **{f"{name}, training": partial(training, name) for name in TRAINED},
}


def peak_mb() -> float:
    """The most memory that this process has held so far [MB], its code included."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def models(onnx: Path) -> dict[str, int]:
    """Size [bytes] of each liquid part as its package keeps it; writes the exported ONNX to ``onnx``."""
    import torch
    from liquid_networks import NETWORKS
    from safetensors.numpy import save as serialise

    from tidegate.bundle import Bundle
    from tidegate.export.network import Network
    from tidegate.export.onnx_graph import policy_model
    from tidegate.settings import load_settings

    bundle = Bundle.load(MODEL)
    onnx.write_bytes(policy_model(Network.of(bundle, load_settings(SETTINGS))).SerializeToString())
    found = {"live": len(serialise(dict(bundle.part("liquid")))), "onnxruntime": onnx.stat().st_size}
    for name in TRAINED:
        kept = io.BytesIO()
        torch.save(NETWORKS[name]().state_dict(), kept)
        found[name] = len(kept.getvalue())
    return found


def main(arguments: list[str] | None = None) -> None:
    """Each in processes of its own; the median of their peaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=WORK, help="do this in this process")
    parser.add_argument("--onnx", type=Path)
    chosen = parser.parse_args(arguments)
    if chosen.only:
        WORK[chosen.only](chosen.onnx)
        print(peak_mb())
        return
    with tempfile.TemporaryDirectory() as made:
        onnx = Path(made) / "liquid.onnx"
        sizes = models(onnx)

        def measured(name: str) -> float:
            command = [sys.executable, __file__, "--only", name, "--onnx", str(onnx)]
            return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

        peaks = {name: [measured(name) for _ in range(chosen.rounds)] for name in WORK}
    from tidegate.liquid.compiled import RUNS_IN

    figures: dict[str, Any] = {
        "rounds": chosen.rounds,
        "runs_in": RUNS_IN,
        "bare_mb": bare_mb(),
        "peak_mb": {name: statistics.median(found) for name, found in peaks.items()},
        "spread_mb": max(max(found) - min(found) for found in peaks.values()),
        "model_bytes": sizes,
    }
    print(save("liquid_memory", figures), figures)


def bare_mb() -> float:
    """A process that imports NumPy and this file alone."""
    code = "import numpy, liquid_memory; print(liquid_memory.peak_mb())"
    here = Path(__file__).parent
    return float(subprocess.run([sys.executable, "-c", code], cwd=here, check=True, capture_output=True).stdout)


def tell(figures: dict[str, Any]) -> str:
    """The table of docs/results.md."""
    words = {
        "live": f"tidegate LTC, live in {figures['runs_in']}",
        "numba": "tidegate LTC, training kernel on one sample",
        "onnxruntime": "tidegate LTC, exported ONNX with input map and read-out",
        "ltc": "tidegate LTC, torch and kernels",
        "cfc": "tidegate CfC, torch and kernels",
        "ncps ltc": "`ncps` LTC",
        "ncps cfc": "`ncps` CfC, wired",
        "lstm": "`torch.nn.LSTM`",
    }
    peak, size = figures["peak_mb"], figures["model_bytes"]

    def megabytes(name: str) -> str:
        return f"{peak[name]:.0f}" if name in peak else "–"

    rows = [
        (
            told,
            megabytes(name if name in peak else f"{name}, step"),
            megabytes(f"{name}, training"),
            f"{size[name] / 1e3:.1f}" if name in size else "–",
        )
        for name, told in words.items()
    ]
    several = f"median of {figures['rounds']}, which lie within {figures['spread_mb']:.0f} MB"
    among = several if figures["rounds"] > 1 else "one process each"
    head = ("implementation", "a step, batch 1 [MB]", "training step [MB]", "model [kB]")
    return (
        f"## Memory of the liquid part\n\nMost memory that a fresh process held, code included, {among}; Python with "
        f"NumPy alone: {figures['bare_mb']:.0f} MB. Training: forward and backward over 64 windows of 32 steps. Model: "
        f"the liquid part as a file of safetensors, ONNX or `torch.save`. The exported C: see below.\n\n"
        f"{table(head, rows)}"
    )


if __name__ == "__main__":
    main()
