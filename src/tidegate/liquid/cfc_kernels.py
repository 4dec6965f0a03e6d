# SPDX-License-Identifier: Apache-2.0
"""A closed-form sequence in its ``default`` form as compiled loops over synapses and samples: forward and adjoint.

Layer by layer, with the maps (g, h, a, b) affine in what a neuron reads and s = σ(a·dt + b):

    x ← tanh g + s (tanh h − tanh g)

Samples B come last in every array, so that the innermost loops are over what does not depend on each other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.liquid.jit import kernel

Array = NDArray[Any]  # float32 in training, float64 in the gradient check
Index = NDArray[np.int64]


@kernel
def forward(
    maps: Array,
    dt: Array,
    present: Array,
    source: Index,
    target: Index,
    weight: Array,
    neurons: Index,
    reads: Index,
    states: Array,
) -> None:
    """Evaluate every step.

    Args:
        maps: (T, 4, N, B), what inputs and biases give; becomes tanh g, tanh h, a and s.
        dt: (T, B), in the gate's unit; present: (T, B), one where there is a sample, zero where the state is held.
        source, target, weight: (E,), (E,), (4, E) of what neurons read from neurons, by target.
        neurons, reads: (L + 1,) where each layer begins, among the neurons and among the E; the last is the end.
        states: (T + 1, N, B), the first given, filled with the state after each step.
    """
    one = maps.dtype.type(1)
    steps, branches, _, batch = maps.shape
    for t in range(steps):
        state, made = states[t + 1], maps[t]
        state[:] = states[t]
        for layer in range(len(neurons) - 1):
            for e in range(reads[layer], reads[layer + 1]):
                p, q = source[e], target[e]
                for k in range(branches):
                    factor = weight[k, e]
                    for b in range(batch):
                        made[k, q, b] += factor * state[p, b]
            for i in range(neurons[layer], neurons[layer + 1]):
                for b in range(batch):
                    made[0, i, b] = np.tanh(made[0, i, b])
                    made[1, i, b] = np.tanh(made[1, i, b])
                    made[3, i, b] = one / (one + np.exp(-(made[2, i, b] * dt[t, b] + made[3, i, b])))
                    moved = made[0, i, b] + made[3, i, b] * (made[1, i, b] - made[0, i, b])
                    state[i, b] = moved if present[t, b] else state[i, b]


@kernel
def backward(
    gradient: Array,
    maps: Array,
    dt: Array,
    present: Array,
    source: Index,
    target: Index,
    weight: Array,
    neurons: Index,
    reads: Index,
    states: Array,
    to_maps: Array,
    to_dt: Array,
    to_weight: Array,
    flow: Array,
) -> None:
    """Adjoint of ``forward``, after it: ``gradient`` (T, N, B) by the states after each step.

    Args:
        to_maps: (T, 4, N, B), by what inputs and biases gave, overwritten; to_dt: (T, B), added to.
        to_weight: (4, E, B), of each sample, added to.
        flow: (N, B), zero; becomes the gradient by the first state.
    """
    one = maps.dtype.type(1)
    steps, branches, _, batch = maps.shape
    before = np.empty_like(flow)
    for t in range(steps - 1, -1, -1):
        made, to_made = maps[t], to_maps[t]
        flow += gradient[t]
        for layer in range(len(neurons) - 2, -1, -1):
            for i in range(neurons[layer], neurons[layer + 1]):
                for b in range(batch):
                    first, second, gate = made[0, i, b], made[1, i, b], made[3, i, b]
                    by_moved = flow[i, b] * present[t, b]
                    by_opening = by_moved * (second - first) * gate * (one - gate)
                    to_made[0, i, b] = by_moved * (one - gate) * (one - first * first)
                    to_made[1, i, b] = by_moved * gate * (one - second * second)
                    to_made[2, i, b] = by_opening * dt[t, b]
                    to_made[3, i, b] = by_opening
                    to_dt[t, b] += by_opening * made[2, i, b]
                    before[i, b] = flow[i, b] - by_moved
            for e in range(reads[layer], reads[layer + 1]):
                p, q = source[e], target[e]
                earlier = p < neurons[layer]  # an earlier layer is read as it is now, the others as they were
                value, to_value = (states[t + 1], flow) if earlier else (states[t], before)
                for k in range(branches):
                    factor = weight[k, e]
                    for b in range(batch):
                        to_weight[k, e, b] += to_made[k, q, b] * value[p, b]
                        to_value[p, b] += to_made[k, q, b] * factor
        flow[:] = before
