# SPDX-License-Identifier: Apache-2.0
"""One step of a trained liquid network in plain NumPy, one sample at a time: what runs on a robot where ``compiled``
could not be built, and what it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidegate.liquid.wiring import Polarity, Wiring
from tidegate.records import Floats

Arrays = Mapping[str, NDArray[Any]]
Step = Callable[[Floats, Floats, float], Floats]
"""(inputs (I,), state (N,), dt [s]) → state (N,)."""

TIME_UNIT = 0.05
"""Seconds that are one in the time gate of the closed form: a camera frame."""

BRANCHES = 4
"""Affine maps of the closed form: its two ends, the rate of its gate and the gate's offset."""


def closed_form_reads(wiring: Wiring) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row (E,) and target (E,) of what each closed-form neuron reads: its synapses and its own state.

    Rows 0…I−1 are inputs, I…I+N−1 states.
    """
    reads = np.concatenate([wiring.sensory != 0, (wiring.recurrent != 0) | np.eye(wiring.neurons, dtype=bool)])
    row, target = np.nonzero(reads)
    return row, target


def dense_time_reads(wiring: Wiring) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row (D,) and target (D,) that the time branches of a ``dense_time`` network hear besides their synapses.

    That is all of the neuron's own layer and of the layer before, or the inputs, as in the public ``ncps`` package.
    """
    heard = np.zeros((wiring.inputs + wiring.neurons, wiring.neurons), bool)
    before = slice(0, wiring.inputs)
    for layer in wiring.layers:
        if layer.start < layer.stop:
            own = slice(wiring.inputs + layer.start, wiring.inputs + layer.stop)
            heard[before, layer] = heard[own, layer] = True
            before = own
    heard[closed_form_reads(wiring)] = False
    row, target = np.nonzero(heard)
    return row, target


def closed_form_maps(wiring: Wiring, arrays: Arrays) -> Floats:
    """The closed form's affine maps (I + N + 1, 4, N): from inputs, neurons and a one; zero where nothing is read.

    Raises:
        KeyError, ValueError, IndexError: a parameter is missing or does not fit ``wiring``.
    """
    maps = np.zeros((wiring.inputs + wiring.neurons + 1, BRANCHES, wiring.neurons))
    maps[-1] = arrays["bias"]
    row, target = closed_form_reads(wiring)
    maps[row, :, target] = arrays["weight"].T
    if wiring.dense_time:
        row, target = dense_time_reads(wiring)
        maps[row, 2:, target] = arrays["dense_time_weight"].T
    return maps


def softplus(value: NDArray[Any]) -> Floats:
    """log(1 + eˣ), without overflow, in double precision."""
    return np.logaddexp(0.0, value.astype(np.float64))


def sigmoid(value: Floats) -> Floats:
    """Logistic function through tanh, which does not overflow."""
    result: Floats = 0.5 * np.tanh(0.5 * value) + 0.5
    return result


class FoldedSynapses(NamedTuple):
    """Synapses e = (source → target), each (E,), as in ``ltc_kernels``: opening σ(slope · x[source] + shift)."""

    source: NDArray[np.int64]
    target: NDArray[np.int64]
    slope: Floats
    shift: Floats
    weight: Floats
    current: Floats


def fold_synapses(wiring: Wiring, adjacency: Polarity, arrays: Arrays, prefix: str) -> FoldedSynapses:
    """The synapses of ``wiring.sensory`` or ``recurrent`` from their parameters ``prefix.raw_slope`` and so on.

    Raises:
        KeyError: a parameter is missing.
    """
    source, target, polarity = wiring.edges(adjacency)
    slope, weight = softplus(arrays[f"{prefix}.raw_slope"]), softplus(arrays[f"{prefix}.raw_weight"])
    shift = -slope * arrays[f"{prefix}.midpoint"]
    current = weight * polarity * softplus(arrays[f"{prefix}.raw_reversal"])
    return FoldedSynapses(source, target, slope, shift, weight, current)


class _Synapses:
    """Folded synapses of one adjacency: opening = σ(slope · x[source] + shift); ``pull`` (E, 2N) sums both currents.

    Slopes and shifts are halved for σ(x) = (1 + tanh(x/2))/2. ``dot`` does what @ does, a microsecond sooner.
    """

    def __init__(self, wiring: Wiring, adjacency: Polarity, arrays: Arrays, prefix: str) -> None:
        folded = fold_synapses(wiring, adjacency, arrays, prefix)
        self.source, self.half_slope, self.half_shift = folded.source, 0.5 * folded.slope, 0.5 * folded.shift
        each, target = np.arange(len(folded.target)), folded.target
        self.pull = np.zeros((len(target), 2 * wiring.neurons))
        self.pull[each, target] = folded.current
        self.pull[each, wiring.neurons + target] = folded.weight

    def __call__(self, values: Floats) -> Floats:
        opening = np.tanh(self.half_slope * values[self.source] + self.half_shift)
        opening *= 0.5
        opening += 0.5
        pulled: Floats = opening.dot(self.pull)
        return pulled


class LtcStep:
    """The step of ``ltc.LTC``; ``arrays`` holds that module's state dictionary.

    Raises:
        KeyError: there is no such ``solver``, or a parameter is missing.
    """

    runs_in = "NumPy"

    def __init__(self, wiring: Wiring, arrays: Arrays, substeps: int, solver: str = "fused_euler") -> None:
        solvers = {"fused_euler": self._fused_euler, "exponential_midpoint": self._exponential_midpoint}
        self._substep = solvers[solver]
        self._neurons = wiring.neurons
        self._substeps = substeps
        self._sensory = _Synapses(wiring, wiring.sensory, arrays, "sensory")
        self._recurrent = _Synapses(wiring, wiring.recurrent, arrays, "recurrent")
        self._leak = softplus(arrays["raw_leak"])
        self._capacitance = softplus(arrays["raw_capacitance"])
        self._at_rest = np.concatenate([self._leak * arrays["rest"], self._leak])

    def __call__(self, inputs: Floats, state: Floats, dt: float) -> Floats:
        """State (N,) after ``dt`` [s] with ``inputs`` (I,) held."""
        held = self._sensory(inputs) + self._at_rest
        inertia = self._capacitance * (self._substeps / dt)
        for _ in range(self._substeps):
            state = self._substep(held, inertia, state)
        return state

    def _fused_euler(self, held: Floats, inertia: Floats, state: Floats) -> Floats:
        pulled = held + self._recurrent(state)
        moved: Floats = (inertia * state + pulled[: self._neurons]) / (inertia + pulled[self._neurons :])
        return moved

    def _exponential_midpoint(self, held: Floats, inertia: Floats, state: Floats) -> Floats:
        """Half a sub-step with the openings of its beginning, then all of it with those of its middle."""
        reached = state
        for share in (0.5, 1.0):
            pulled = held + self._recurrent(reached)
            current, conductance = pulled[: self._neurons], pulled[self._neurons :]
            reached = state - np.expm1(-share * conductance / inertia) * (current / conductance - state)
        return reached

    def time_constants(self) -> tuple[Floats, Floats]:
        """Fastest and slowest time constant of each neuron (N,) [s]: every synapse open, every synapse closed."""
        weight = (self._sensory.pull.sum(axis=0) + self._recurrent.pull.sum(axis=0))[self._neurons :]
        return self._capacitance / (self._leak + weight), self._capacitance / self._leak


class CfcStep:
    """The closed-form step of ``cfc.CfC``; ``arrays`` holds that module's state dictionary."""

    runs_in = "NumPy"

    def __init__(self, wiring: Wiring, arrays: Arrays) -> None:
        maps = closed_form_maps(wiring, arrays)
        maps[:, 2:] *= 0.5  # for σ(x) = (1 + tanh(x/2))/2
        self._layers = [
            (slice(wiring.inputs + layer.start, wiring.inputs + layer.stop), maps[:, :, layer].reshape(len(maps), -1))
            for layer in wiring.layers
        ]
        self._inputs, self._one = wiring.inputs, np.ones(1)

    def __call__(self, inputs: Floats, state: Floats, dt: float) -> Floats:
        """State (N,) after ``dt`` [s] with ``inputs`` (I,) held."""
        values = np.concatenate((inputs, state, self._one))
        for layer, weight in self._layers:
            maps = values.dot(weight).reshape(BRANCHES, -1)
            maps[2] *= dt / TIME_UNIT
            maps[2] += maps[3]
            first, second, gate = np.tanh(maps[:3])
            values[layer] = 0.5 * (first + second + gate * (second - first))
        return values[self._inputs : -1]
