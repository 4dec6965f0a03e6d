# SPDX-License-Identifier: Apache-2.0
"""The recurrent part of a liquid time-constant sequence as compiled loops over synapses: forward and adjoint.

One sub-step for neuron i with capacitance C, sub-step length Δ and synapses e = (source → target), after Hasani et
al. 2021 (AAAI, "fused solver"), with z_e = σ(slope_e · x_source + shift_e):

    x_i ← ( C_i/Δ · x_i + drive_i + Σ_e current_e z_e ) / ( C_i/Δ + leak_i + Σ_e weight_e z_e )

No fast-math: it would break on NaN and infinity.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]  # float32 in training, float64 in the gradient check
Index = NDArray[np.int64]


@njit(cache=True)  # type: ignore[untyped-decorator]
def forward(
    drive: Array,
    leak: Array,
    inertia: Array,
    slope: Array,
    shift: Array,
    weight: Array,
    current: Array,
    source: Index,
    target: Index,
    start: Array,
    substeps: int,
    states: Array,
    totals: Array,
) -> None:
    """Solve every sub-step.

    Args:
        drive, leak, inertia: (B, T, N) what does not depend on the state: sensory and leak currents, conductances, C/Δ.
        slope, shift, weight, current: (E,) synapse parameters; source, target: (E,).
        start: (B, N) state before the first step.
        states: (B, T·substeps + 1, N), filled with ``start`` and the state after each sub-step.
        totals: (B, T·substeps, N), filled with the denominators, which the adjoint needs.
    """
    one = drive.dtype.type(1)
    batch, steps, neurons = drive.shape
    for b in range(batch):
        states[b, 0] = start[b]
        k = 0
        for t in range(steps):
            for _ in range(substeps):
                x, y, total = states[b, k], states[b, k + 1], totals[b, k]
                for i in range(neurons):
                    y[i] = inertia[b, t, i] * x[i] + drive[b, t, i]
                    total[i] = inertia[b, t, i] + leak[b, t, i]
                for e in range(len(source)):
                    z = one / (one + np.exp(-(slope[e] * x[source[e]] + shift[e])))
                    y[target[e]] += current[e] * z
                    total[target[e]] += weight[e] * z
                for i in range(neurons):
                    y[i] /= total[i]
                k += 1


@njit(cache=True)  # type: ignore[untyped-decorator]
def backward(
    gradient: Array,
    inertia: Array,
    slope: Array,
    shift: Array,
    weight: Array,
    current: Array,
    source: Index,
    target: Index,
    substeps: int,
    states: Array,
    totals: Array,
    to_drive: Array,
    to_leak: Array,
    to_inertia: Array,
    to_slope: Array,
    to_shift: Array,
    to_weight: Array,
    to_current: Array,
    to_start: Array,
) -> None:
    """Adjoint of ``forward``: ``gradient`` (B, T, N) by the states after each step, ``to_*`` are added to.

    With y = numerator / total: ∂/∂numerator = 1/total and ∂/∂total = −y/total.
    """
    one = inertia.dtype.type(1)
    batch, steps, neurons = gradient.shape
    by_top = np.empty(neurons, inertia.dtype)
    by_total = np.empty(neurons, inertia.dtype)
    for b in range(batch):
        flow = to_start[b]
        k = steps * substeps - 1
        for t in range(steps - 1, -1, -1):
            for i in range(neurons):
                flow[i] += gradient[b, t, i]
            for _ in range(substeps):
                x, y, total = states[b, k], states[b, k + 1], totals[b, k]
                for i in range(neurons):
                    by_top[i] = flow[i] / total[i]
                    by_total[i] = -by_top[i] * y[i]
                    to_drive[b, t, i] += by_top[i]
                    to_leak[b, t, i] += by_total[i]
                    to_inertia[b, t, i] += by_top[i] * x[i] + by_total[i]
                    flow[i] = by_top[i] * inertia[b, t, i]
                for e in range(len(source)):
                    p, q = source[e], target[e]
                    z = one / (one + np.exp(-(slope[e] * x[p] + shift[e])))
                    to_current[e] += by_top[q] * z
                    to_weight[e] += by_total[q] * z
                    by_argument = (by_top[q] * current[e] + by_total[q] * weight[e]) * z * (one - z)
                    to_slope[e] += by_argument * x[p]
                    to_shift[e] += by_argument
                    flow[p] += by_argument * slope[e]
                k -= 1
