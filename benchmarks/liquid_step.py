# SPDX-License-Identifier: Apache-2.0
"""One step of the 19 liquid neurons, batch 1, one thread: every implementation against the public ``ncps`` package."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import ncps_peer
import numpy as np
import onnxruntime
import torch
from common import MODEL, SETTINGS, Aim, add_check, in_turns, judge, ratio, save, spread, table, timed
from exported import build
from kernel_step import kernel_step
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.export.network import Network
from tidegate.export.onnx_graph import policy_model
from tidegate.export.targets import export_bundle
from tidegate.liquid.compiled import RUNS_IN
from tidegate.liquid.live import CfcStep, LtcStep, Step
from tidegate.liquid.live_network import make_step
from tidegate.liquid.wiring import Wiring
from tidegate.records import Floats
from tidegate.settings import Settings, load_settings
from tidegate.stack import Stack

DT = 0.05
PROGRAM = Path(__file__).with_suffix(".c")


class Inputs(NamedTuple):
    """The same inputs as each implementation takes them: (I,) double, (1, I) single, (1, I) tensor."""

    double: Floats
    single: NDArray[np.float32]
    tensor: torch.Tensor


Call = Callable[[Inputs], object]
"""One step; the state is carried along inside."""


def carried(step: Step, neurons: int) -> Call:
    """A step as the live path takes it."""
    state = np.zeros(neurons)

    def call(inputs: Inputs) -> None:
        nonlocal state
        state = step(inputs.double, state, DT)

    return call


def in_numpy(bundle: Bundle, wiring: Wiring) -> Step:
    """The step where no compiler was there."""
    arrays = bundle.part("liquid.cell")
    if bundle.policy.cell == "cfc":
        return CfcStep(wiring, arrays)
    return LtcStep(wiring, arrays, bundle.policy.substeps)


def clock_of(name: str) -> Callable[[], int]:
    """Processor time, in which other load does not count; wall time where reading that clock would take as long."""
    return time.perf_counter_ns if name == "compiled" else time.thread_time_ns


def onnx(network: Network) -> Call:
    """What is exported behind the CNN, under onnxruntime: the step with input map and read-out."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = policy_model(network).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    given = {one.name: np.zeros(one.shape, np.float32) for one in session.get_inputs()}
    given["dt"] = np.array(DT, np.float32)

    def call(inputs: Inputs) -> None:
        given["features"] = inputs.single[:, :-1]
        given["neurons"] = session.run(outputs, given)[-1]

    return call


def public(cell: torch.nn.Module, neurons: int) -> Call:
    """A cell of ``ncps``."""
    state = torch.zeros(1, neurons)

    def call(inputs: Inputs) -> None:
        nonlocal state
        state = cell(inputs.tensor, state, DT)[1]

    return call


def lstm(inputs: int, neurons: int) -> Call:
    """An LSTM cell with as many neurons."""
    cell, state = torch.nn.LSTMCell(inputs, neurons), None

    def call(inputs: Inputs) -> None:
        nonlocal state
        state = cell(inputs.tensor, state)

    return call


def program(bundle: Bundle, settings: Settings, folder: Path) -> Callable[[int], list[float]]:
    """The exported C step with input map and read-out, compiled: from a number of calls to their times [µs]."""
    export_bundle(bundle, settings, "c", folder / "c")
    made = build(PROGRAM, folder / "c", folder / "program", "cc")

    def run(calls: int) -> list[float]:
        told = subprocess.run([made, str(calls)], check=True, capture_output=True, text=True).stdout
        return [float(line) / 1e3 for line in told.split()]

    return run


def bundles(settings: Settings) -> Iterator[Bundle]:
    """The shipped LTC, and a CfC of the same sizes, not trained."""
    yield Bundle.load(MODEL)
    closed_form = replace(settings, policy=replace(settings.policy, cell="cfc"))
    yield Stack.from_settings(closed_form, 0).to_bundle("bench", closed_form, 1200.0)


def aims(figures: dict[str, Any]) -> Iterator[Aim]:
    """Without a compiler there is no live step in C, and NumPy's is held to them."""
    live = {cell: figures[cell].get("compiled", figures[cell]["numpy"]) for cell in ("ltc", "cfc")}
    yield Aim("live LTC, times as fast as ncps", live["ltc"]["ratio"], least=75.0)
    yield Aim("exported LTC in C, times as fast as ncps", figures["ltc"]["c"]["ratio"], least=125.0)
    yield Aim("live CfC, times as fast as ncps", live["cfc"]["ratio"], least=10.0)
    for cell, found in live.items():
        yield Aim(f"live {cell}, 99 % by median", found["p99_us"] / found["median_us"], most=3.0)


def main(arguments: list[str] | None = None) -> None:
    """Time all in turns; keep medians, 99th percentiles and how many times as fast as ``ncps`` each is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=300)
    add_check(parser)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    settings = load_settings(SETTINGS)
    figures: dict[str, Any] = {"rounds": chosen.rounds, "steps": chosen.steps}
    with torch.inference_mode(), ExitStack() as kept:
        for bundle in bundles(settings):
            policy, wiring = bundle.policy, Wiring.from_dict(bundle.wiring)
            drawn = np.random.default_rng(0).normal(size=(chosen.steps, wiring.inputs))
            samples = [Inputs(one, (single := np.float32(one[None])), torch.from_numpy(single)) for one in drawn]
            peer = (ncps_peer.ltc_cell if policy.cell == "ltc" else ncps_peer.cfc_cell)(wiring, policy)
            calls = {
                "ncps": public(peer, wiring.neurons),
                "numpy": carried(in_numpy(bundle, wiring), wiring.neurons),
                "onnxruntime": onnx(Network.of(bundle, settings)),
                "lstm": lstm(wiring.inputs, wiring.neurons),
            }
            if policy.cell == "ltc":
                step = kernel_step(wiring, bundle.part("liquid.cell"), policy.substeps)
                calls["numba"] = carried(step, wiring.neurons)
            if RUNS_IN == "C":
                calls["compiled"] = carried(make_step(bundle, wiring), wiring.neurons)
            run = program(bundle, settings, Path(kept.enter_context(tempfile.TemporaryDirectory())))
            runs = {
                name: lambda name=name, call=call, samples=samples: [timed(call, x, clock_of(name)) for x in samples]
                for name, call in calls.items()
            }
            runs["c"] = lambda run=run: run(100 * chosen.steps)
            figures |= {"neurons": wiring.neurons, "inputs": wiring.inputs, "substeps": policy.substeps}
            figures[policy.cell] = summed_up(in_turns(runs, chosen.rounds))
    print(save("liquid_step", figures), *(f"\n{cell} {figures[cell]}" for cell in ("ltc", "cfc")))
    judge(aims(figures), chosen.check)


def summed_up(times: dict[str, list[list[float]]]) -> dict[str, dict[str, float]]:
    """Of each implementation: median and 99th percentile [µs]; by how many times it is faster than ``ncps``."""
    peer = [statistics.median(part) for part in times["ncps"]]
    return {
        name: {
            "median_us": float(np.median(np.concatenate(parts))),
            "p99_us": float(np.quantile(np.concatenate(parts), 0.99)),
            **spread(theirs / statistics.median(part) for theirs, part in zip(peer, parts, strict=True)),
        }
        for name, parts in times.items()
    }


def microseconds(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def tell(figures: dict[str, Any]) -> str:
    """The table of docs/results.md."""
    words = {
        "ncps": "`ncps` {}, torch",
        "compiled": "tidegate, live in C",
        "numpy": "tidegate, live in NumPy, where no compiler was",
        "c": "tidegate, exported C with input map and read-out",
        "onnxruntime": "tidegate, exported ONNX with input map and read-out, onnxruntime",
        "numba": "tidegate, training kernel, double precision",
        "lstm": "`torch.nn.LSTMCell`",
    }
    cells = {"ltc": ("LTC", "LTCCell"), "cfc": ("CfC", "WiredCfCCell")}
    rows = [
        (
            cells[cell][0],
            told.format(cells[cell][1]),
            microseconds(found["median_us"]),
            microseconds(found["p99_us"]),
            f"{found['p99_us'] / found['median_us']:.1f}",
            "1" if name == "ncps" else ratio(found, ".3g"),
        )
        for cell in cells
        for name, told in words.items()
        if (found := figures[cell].get(name))
    ]
    head = ("cell", "implementation", "median [µs]", "99 % [µs]", "99 % by median", "times as fast as `ncps`")
    return (
        f"## Liquid step\n\n{figures['neurons']} neurons, {figures['inputs']} inputs, {figures['substeps']} sub-steps "
        f"of the LTC, batch 1, one thread; {figures['rounds']} rounds of {figures['steps']} steps (of the exported C "
        f"100 times as many), in turns. Processor time of each step by itself; in C, live and exported, wall time, as "
        f"reading that clock takes less. The ratio is of medians, its spread that of the rounds.\n\n{table(head, rows)}"
    )


if __name__ == "__main__":
    main()
