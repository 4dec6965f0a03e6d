# SPDX-License-Identifier: Apache-2.0
"""The LTC's training kernel as a live step: what a compiler inside the node would give, and cost."""

from __future__ import annotations

import numpy as np

from tidegate.liquid import ltc_kernels
from tidegate.liquid.live import Arrays, Step, fold_synapses, softplus
from tidegate.liquid.wiring import Wiring
from tidegate.records import Floats


def kernel_step(wiring: Wiring, arrays: Arrays, substeps: int) -> Step:
    """For one sample and one step, in double precision; ``arrays`` as ``live.LtcStep`` takes them."""
    sensory = fold_synapses(wiring, wiring.sensory, arrays, "sensory")
    recurrent = fold_synapses(wiring, wiring.recurrent, arrays, "recurrent")
    leak = softplus(arrays["raw_leak"])
    rest, capacitance = leak * arrays["rest"], softplus(arrays["raw_capacitance"])
    held, inertia = np.zeros((1, wiring.inputs, 1)), np.zeros((1, wiring.neurons, 1))
    states, totals = (np.zeros((count, wiring.neurons, 1)) for count in (substeps + 1, substeps))
    sensed, opened = np.zeros((1, len(sensory.source), 1)), np.zeros((substeps, len(recurrent.source), 1))

    def step(inputs: Floats, state: Floats, dt: float) -> Floats:
        held[0, :, 0], states[0, :, 0], inertia[0, :, 0] = inputs, state, capacitance * (substeps / dt)
        ltc_kernels.forward(held, inertia, leak, rest, sensory, recurrent, substeps, states, totals, sensed, opened)
        return states[-1, :, 0]

    return step
