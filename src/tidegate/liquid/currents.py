# SPDX-License-Identifier: Apache-2.0
"""What flows in an LTC at given inputs and states: the current of each synapse, the time constant of each neuron."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.errors import BundleError
from tidegate.liquid.live import fold_synapses, sigmoid, softplus
from tidegate.liquid.wiring import Wiring, input_names, neuron_names
from tidegate.records import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Currents:
    """At T moments: ``time_constant`` (T, N) [s], ``current`` (T, E) and ``inputs`` (T, I) as the synapses see them.

    Synapses are those of ``wiring.sensory``, then of ``wiring.recurrent``; ``synapses`` (E,) are their names. A current
    is counted in the state's own unit times conductance, positive where it pushes the neuron up.
    """

    time_constant: Floats
    current: Floats
    inputs: Floats
    synapses: list[str]


def currents(bundle: Bundle, features: NDArray[np.float32], speed: Floats, neurons: NDArray[np.float32]) -> Currents:
    """Currents w σ(γ(x − μ)) (A − x_i) and time constants C_i / (g_i + Σ w σ(γ(x − μ))) (Hasani et al. 2021, eq. 2).

    Args:
        bundle: an LTC.
        features: (T, I − 1), speed: (T,) [m/s]: what the network heard.
        neurons: (T, N) its state after it.

    Raises:
        BundleError: it is no LTC, which alone has currents.
    """
    if bundle.policy.cell != "ltc":
        raise BundleError(f"bundle '{bundle.name}': a {bundle.policy.cell} has neither currents nor time constants")
    wiring, arrays, liquid = Wiring.from_dict(bundle.wiring), bundle.part("liquid.cell"), bundle.part("liquid")
    raw = np.column_stack([features.astype(np.float64), speed / bundle.policy.speed_scale])
    inputs: Floats = raw * liquid["input_weight"] + liquid["input_bias"]
    state = neurons.astype(np.float64)
    conductance = np.tile(softplus(arrays["raw_leak"]), (len(state), 1))
    parts, names = [], []
    heard = [
        ("sensory", wiring.sensory, inputs, input_names(wiring)),
        ("recurrent", wiring.recurrent, state, neuron_names(wiring)),
    ]
    for prefix, adjacency, values, sources in heard:
        folded = fold_synapses(wiring, adjacency, arrays, prefix)
        opening = sigmoid(folded.slope * values[:, folded.source] + folded.shift)
        parts.append(opening * (folded.current - folded.weight * state[:, folded.target]))
        np.add.at(conductance.T, folded.target, (folded.weight * opening).T)
        names += [
            f"{sources[source]} > {neuron_names(wiring)[target]}"
            for source, target in zip(folded.source, folded.target, strict=True)
        ]
    capacitance = softplus(arrays["raw_capacitance"])
    return Currents(capacitance / conductance, np.concatenate(parts, axis=1), inputs, names)
