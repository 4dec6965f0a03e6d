# SPDX-License-Identifier: Apache-2.0
"""Steps of small cells with random weights, in NumPy and in C; without torch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from tidegate.liquid.compiled import CompiledCfcStep, CompiledLtcStep
from tidegate.liquid.live import CfcStep, LtcStep, Step, closed_form_reads, dense_time_reads
from tidegate.liquid.wiring import Wiring
from tidegate.settings.policy import SOLVERS

Pair = tuple[Step, Step]
"""NumPy's and C's."""


def wiring_of(random: np.random.Generator, inputs: int, layers: tuple[int, int, int], share: float) -> Wiring:
    """Any graph, self-connections and neurons that nobody hears included."""
    neurons = sum(layers)

    def drawn(sources: int) -> np.ndarray:
        there = random.random((sources, neurons)) < share
        return (there * random.choice([-1, 1], (sources, neurons))).astype(np.int8)

    return Wiring(*layers, drawn(inputs), drawn(neurons), bool(random.integers(2)))


def ltc_pair(wiring: Wiring, random: np.random.Generator, solver: str) -> Pair:
    def normal(size: int) -> np.ndarray:
        return random.normal(size=size).astype(np.float32)

    names = ("raw_slope", "midpoint", "raw_weight", "raw_reversal")
    ends = {"sensory": np.count_nonzero(wiring.sensory), "recurrent": np.count_nonzero(wiring.recurrent)}
    arrays = {f"{end}.{name}": normal(count) for end, count in ends.items() for name in names}
    arrays |= {name: normal(wiring.neurons) for name in ("raw_leak", "rest", "raw_capacitance")}
    substeps = int(random.integers(1, 7))
    return LtcStep(wiring, arrays, substeps, solver), CompiledLtcStep(wiring, arrays, substeps, solver)


def cfc_pair(wiring: Wiring, random: np.random.Generator) -> Pair:
    shapes = {"weight": (4, len(closed_form_reads(wiring)[0])), "bias": (4, wiring.neurons)}
    shapes["dense_time_weight"] = (2, len(dense_time_reads(wiring)[0]))
    arrays = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return CfcStep(wiring, arrays), CompiledCfcStep(wiring, arrays)


PAIRS: dict[str, Callable[[Wiring, np.random.Generator], Pair]] = {
    **{f"ltc {solver}": partial(ltc_pair, solver=solver) for solver in SOLVERS},
    "cfc": cfc_pair,
}
