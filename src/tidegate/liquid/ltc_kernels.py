# SPDX-License-Identifier: Apache-2.0
"""A liquid time-constant sequence as compiled loops over synapses and samples: forward and adjoint.

One sub-step for neuron i with capacitance C, sub-step length Δ and synapses e = (source → target), after Hasani et
al. 2021 (AAAI, "fused solver"), with z_e = σ(slope_e · x_source + shift_e) of a neuron or an input that is held:

    x_i ← ( C_i/Δ · x_i + rest_i + Σ_e current_e z_e ) / ( C_i/Δ + leak_i + Σ_e weight_e z_e )

Samples B come last in every array, so that the innermost loops are over what does not depend on each other. No
fast-math: it would break on NaN and infinity.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.liquid.jit import kernel
from tidegate.liquid.live import FoldedSynapses

Array = NDArray[Any]  # float32 in training, float64 in the gradient check

STAGES, KEPT = 1, ()
"""States that a sub-step goes through; what each keeps for the adjoint besides one array."""


@kernel
def open_synapses(synapses: FoldedSynapses, values: Array, opening: Array, top: Array, total: Array) -> None:
    """Fill ``opening`` (E, B) at the sources' ``values``; add the currents to ``top`` and ``total`` (N, B)."""
    one = values.dtype.type(1)
    synapse_count, batch = opening.shape
    for e in range(synapse_count):
        p, q, slope, shift = synapses.source[e], synapses.target[e], synapses.slope[e], synapses.shift[e]
        weight, current = synapses.weight[e], synapses.current[e]
        for b in range(batch):
            opening[e, b] = np.exp(-(slope * values[p, b] + shift))
        for b in range(batch):
            z = one / (one + opening[e, b])
            opening[e, b] = z
            top[q, b] += current * z
            total[q, b] += weight * z


@kernel
def open_synapses_adjoint(
    synapses: FoldedSynapses,
    values: Array,
    opening: Array,
    by_top: Array,
    by_total: Array,
    to_slope: Array,
    to_shift: Array,
    to_weight: Array,
    to_current: Array,
    to_values: Array,
) -> None:
    """Adjoint of ``open_synapses``: ``by_*`` (N, B) are the gradients by its sums, ``to_*`` are added to."""
    one = values.dtype.type(1)
    synapse_count, batch = opening.shape
    for e in range(synapse_count):
        p, q, slope = synapses.source[e], synapses.target[e], synapses.slope[e]
        weight, current = synapses.weight[e], synapses.current[e]
        for b in range(batch):
            z = opening[e, b]
            to_current[e, b] += by_top[q, b] * z
            to_weight[e, b] += by_total[q, b] * z
            by_argument = (by_top[q, b] * current + by_total[q, b] * weight) * z * (one - z)
            to_slope[e, b] += by_argument * values[p, b]
            to_shift[e, b] += by_argument
            to_values[p, b] += by_argument * slope


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
    totals: Array,
    sensed: Array,
    opened: Array,
) -> None:
    """Solve every sub-step.

    Args:
        inputs: (T, I, B); inertia: (T, N, B) C/Δ; leak, rest: (N,) conductance, and times resting potential.
        sensory, recurrent: synapses from inputs and from neurons.
        states: (T·substeps + 1, N, B), the first given, filled with the state after each sub-step.
        totals, sensed, opened: (T·substeps, N, B) denominators, (T, E, B) openings of the sensory and
            (T·substeps, E, B) of the recurrent synapses, filled for the adjoint.
    """
    steps, neurons, batch = inertia.shape
    held, held_total = np.empty_like(states[0]), np.empty_like(states[0])
    k = 0
    for t in range(steps):
        for i in range(neurons):
            for b in range(batch):
                held[i, b] = rest[i]
                held_total[i, b] = inertia[t, i, b] + leak[i]
        open_synapses(sensory, inputs[t], sensed[t], held, held_total)
        for _ in range(substeps):
            x, y, total = states[k], states[k + 1], totals[k]
            for i in range(neurons):
                for b in range(batch):
                    y[i, b] = inertia[t, i, b] * x[i, b] + held[i, b]
                    total[i, b] = held_total[i, b]
            open_synapses(recurrent, x, opened[k], y, total)
            for i in range(neurons):
                for b in range(batch):
                    y[i, b] /= total[i, b]
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
    totals: Array,
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
    """Adjoint of ``forward``: ``gradient`` (T, N, B) by the states after each step, ``to_*`` are added to.

    With y = numerator / total: ∂/∂numerator = 1/total and ∂/∂total = −y/total.

    Args:
        to_leak, to_rest: (N, B), of each sample; to_sensory, to_recurrent: slope, shift, weight, current (4, E, B).
        flow: (N, B), zero; becomes the gradient by the first state.
    """
    steps, neurons, batch = gradient.shape
    by_top, by_total = np.empty_like(flow), np.empty_like(flow)
    by_held, by_held_total = np.empty_like(flow), np.empty_like(flow)
    k = steps * substeps - 1
    for t in range(steps - 1, -1, -1):
        by_held[:] = 0
        by_held_total[:] = 0
        for i in range(neurons):
            for b in range(batch):
                flow[i, b] += gradient[t, i, b]
        for _ in range(substeps):
            x, y, total = states[k], states[k + 1], totals[k]
            for i in range(neurons):
                for b in range(batch):
                    top = flow[i, b] / total[i, b]
                    by_top[i, b] = top
                    by_total[i, b] = -top * y[i, b]
                    by_held[i, b] += top
                    by_held_total[i, b] += by_total[i, b]
                    to_inertia[t, i, b] += top * x[i, b] + by_total[i, b]
                    flow[i, b] = top * inertia[t, i, b]
            open_synapses_adjoint(
                recurrent,
                x,
                opened[k],
                by_top,
                by_total,
                to_recurrent[0],
                to_recurrent[1],
                to_recurrent[2],
                to_recurrent[3],
                flow,
            )
            k -= 1
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
