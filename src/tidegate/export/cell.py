# SPDX-License-Identifier: Apache-2.0
"""Parameters of a liquid cell, folded for running: one row per synapse."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.errors import ExportError
from tidegate.liquid.live import TIME_UNIT, Arrays, closed_form_reads, fold_synapses, softplus
from tidegate.liquid.wiring import Polarity, Wiring

SYNAPSE = ("raw_slope", "midpoint", "raw_weight", "raw_reversal")
PARAMETERS = {
    "ltc": {
        *(f"{kind}.{name}" for kind in ("sensory", "recurrent") for name in SYNAPSE),
        *("raw_leak", "rest", "raw_capacitance"),
    },
    "cfc": {"weight", "bias"},
}
"""All that each cell has: one with more computes something else."""

Folded = dict[str, NDArray[Any]]


def fold_cell(bundle: Bundle, wiring: Wiring) -> Folded:
    """Arrays of the cell of ``bundle``, as ``_ltc`` and ``_cfc`` say.

    Raises:
        ExportError: another cell, or parameters that are not known.
        KeyError, ValueError, IndexError: arrays are missing or do not fit the wiring.
    """
    cell, arrays = bundle.policy.cell, bundle.part("liquid.cell")
    if cell not in PARAMETERS:
        raise ExportError(f"bundle '{bundle.name}': its cell is '{cell}'; exported are {', '.join(PARAMETERS)}")
    unknown = ", ".join(sorted(arrays.keys() - PARAMETERS[cell]))
    if unknown:
        known = ", ".join(sorted(PARAMETERS[cell]))
        raise ExportError(f"bundle '{bundle.name}': its cell has the parameters {unknown}; exported are {known}")
    return _ltc(wiring, arrays, bundle.policy.substeps) if cell == "ltc" else _cfc(wiring, arrays)


def _ltc(wiring: Wiring, arrays: Arrays, substeps: int) -> Folded:
    """``sensory_*`` and ``recurrent_*`` (E,), see ``_synapses``; ``leak``, ``rest`` = leak · resting potential and
    ``inertia`` = capacitance · substeps, to be divided by dt, (N,)."""
    leak = softplus(arrays["raw_leak"])
    return {
        **_synapses(wiring, wiring.sensory, arrays, "sensory"),
        **_synapses(wiring, wiring.recurrent, arrays, "recurrent"),
        "leak": leak,
        "rest": leak * arrays["rest"],
        "inertia": softplus(arrays["raw_capacitance"]) * substeps,
    }


def _synapses(wiring: Wiring, adjacency: Polarity, arrays: Arrays, prefix: str) -> Folded:
    """Source, target (ascending), slope, shift, weight and current = weight · reversal potential, (E,) each."""
    folded = fold_synapses(wiring, adjacency, arrays, prefix)
    order = np.argsort(folded.target, kind="stable")
    return {f"{prefix}_{name}": array[order] for name, array in folded._asdict().items()}


def _cfc(wiring: Wiring, arrays: Arrays) -> Folded:
    """``source`` (E,), inputs first, and ``target`` (E,), ascending, of what each neuron reads; ``weight`` (4, E) and
    ``bias`` (4, N) of start, end, rate [1/s] and offset."""
    source, target = closed_form_reads(wiring)
    order = np.argsort(target, kind="stable")
    per_second = np.array([1, 1, 1 / TIME_UNIT, 1])[:, None]
    return {
        "source": source[order],
        "target": target[order],
        "weight": (arrays["weight"] * per_second)[:, order],
        "bias": arrays["bias"] * per_second,
    }
