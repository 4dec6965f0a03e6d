# SPDX-License-Identifier: Apache-2.0
"""The sequence of ``ltc_kernels`` by the exponential midpoint rule: forward and adjoint.

With the openings held the equation is linear, and solved by an exponential. A sub-step Δ of neuron i with conductance
G = leak_i + Σ_e weight_e z_e and current I = rest_i + Σ_e current_e z_e is half of it with the openings at its start,
then all of it with those at the middle y (Hochbruck and Ostermann 2010, Acta Numerica 19, "Exponential integrators"):

    y = x + (1 − exp(−½ Δ G(x)/C)) (I(x)/G(x) − x)        x ← x + (1 − exp(−Δ G(y)/C)) (I(y)/G(y) − x)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.liquid.jit import kernel
from tidegate.liquid.live import FoldedSynapses
from tidegate.liquid.ltc_kernels import open_synapses, open_synapses_adjoint

Array = NDArray[Any]  # float32 in training, float64 in the gradient check

STAGES, KEPT = 2, (3,)
"""States that a sub-step goes through, its middle and its end; what each keeps for the adjoint."""


@kernel
def forward(
    inputs: Array,
    inertia: Array,
    leak: Array,
    rest: Array,
    sensory: FoldedSynapses,
    recurrent: FoldedSynapses,
    substeps: int,
    states: Array,
    kept: Array,
    sensed: Array,
    opened: Array,
) -> None:
    """Solve every sub-step.

    Args:
        inputs, inertia, leak, rest, sensory, recurrent, sensed: as in ``ltc_kernels.forward``.
        states: (2·T·substeps + 1, N, B), the first given, filled with middle and end of each sub-step.
        kept: (2·T·substeps, 3, N, B), filled with conductance G, asymptote I/G and the share of the way there.
        opened: (2·T·substeps, E, B), filled with the openings of the recurrent synapses.
    """
    half, one = inputs.dtype.type(0.5), inputs.dtype.type(1)
    steps, neurons, batch = inertia.shape
    held, held_total = np.empty_like(states[0]), np.empty_like(states[0])
    k = 0
    for t in range(steps):
        for i in range(neurons):
            for b in range(batch):
                held[i, b] = rest[i]
                held_total[i, b] = leak[i]
        open_synapses(sensory, inputs[t], sensed[t], held, held_total)
        for _ in range(substeps):
            x = states[k]
            for share in (half, one):
                y = states[k + 1]
                total, asymptote, way = kept[k, 0], kept[k, 1], kept[k, 2]
                for i in range(neurons):
                    for b in range(batch):
                        asymptote[i, b] = held[i, b]
                        total[i, b] = held_total[i, b]
                open_synapses(recurrent, states[k], opened[k], asymptote, total)
                for i in range(neurons):
                    for b in range(batch):
                        asymptote[i, b] /= total[i, b]
                        way[i, b] = -np.expm1(-share * total[i, b] / inertia[t, i, b])
                        y[i, b] = x[i, b] + way[i, b] * (asymptote[i, b] - x[i, b])
                k += 1


@kernel
def backward(
    gradient: Array,
    inputs: Array,
    inertia: Array,
    sensory: FoldedSynapses,
    recurrent: FoldedSynapses,
    substeps: int,
    states: Array,
    kept: Array,
    sensed: Array,
    opened: Array,
    to_inputs: Array,
    to_inertia: Array,
    to_leak: Array,
    to_rest: Array,
    to_sensory: Array,
    to_recurrent: Array,
    flow: Array,
) -> None:
    """Adjoint of ``forward``; arguments as in ``ltc_kernels.backward``.

    Of y = x + m (s − x) with s = I/G and m = 1 − exp(−q), q = share · G / inertia: ∂y/∂x = 1 − m, ∂y/∂I = m/G and
    ∂y/∂q = (1 − m) (s − x).
    """
    half, one = inputs.dtype.type(0.5), inputs.dtype.type(1)
    steps, neurons, batch = gradient.shape
    by_current, by_total, by_start = np.empty_like(flow), np.empty_like(flow), np.empty_like(flow)
    by_held, by_held_total = np.empty_like(flow), np.empty_like(flow)
    k = 2 * steps * substeps - 1
    for t in range(steps - 1, -1, -1):
        by_held[:] = 0
        by_held_total[:] = 0
        for i in range(neurons):
            for b in range(batch):
                flow[i, b] += gradient[t, i, b]
        for _ in range(substeps):
            x = states[k - 1]
            by_start[:] = 0
            for share in (one, half):
                total, asymptote, way = kept[k, 0], kept[k, 1], kept[k, 2]
                for i in range(neurons):
                    for b in range(batch):
                        stay = one - way[i, b]
                        by_exponent = flow[i, b] * stay * (asymptote[i, b] - x[i, b]) * share / inertia[t, i, b]
                        by_current[i, b] = flow[i, b] * way[i, b] / total[i, b]
                        by_total[i, b] = by_exponent - by_current[i, b] * asymptote[i, b]
                        by_held[i, b] += by_current[i, b]
                        by_held_total[i, b] += by_total[i, b]
                        to_inertia[t, i, b] -= by_exponent * total[i, b] / inertia[t, i, b]
                        by_start[i, b] += flow[i, b] * stay
                        flow[i, b] = 0
                open_synapses_adjoint(
                    recurrent,
                    states[k],
                    opened[k],
                    by_current,
                    by_total,
                    to_recurrent[0],
                    to_recurrent[1],
                    to_recurrent[2],
                    to_recurrent[3],
                    flow,
                )
                k -= 1
            flow += by_start
        for i in range(neurons):
            for b in range(batch):
                to_rest[i, b] += by_held[i, b]
                to_leak[i, b] += by_held_total[i, b]
        open_synapses_adjoint(
            sensory,
            inputs[t],
            sensed[t],
            by_held,
            by_held_total,
            to_sensory[0],
            to_sensory[1],
            to_sensory[2],
            to_sensory[3],
            to_inputs[t],
        )
