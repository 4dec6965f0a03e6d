# SPDX-License-Identifier: Apache-2.0
"""The steps of ``live`` in C, where they could be built when the package was installed: the same equations in double
precision, but sums and sigmoids round otherwise. ``RUNS_IN`` says which of the two this installation steps with."""

from __future__ import annotations

import numpy as np

from tidegate.liquid.live import BRANCHES, TIME_UNIT, Arrays, CfcStep, LtcStep, closed_form_maps, fold_synapses
from tidegate.liquid.wiring import Polarity, Wiring
from tidegate.records import Floats

try:
    from tidegate.liquid import native  # type: ignore[attr-defined, unused-ignore]
except ImportError:  # no compiler was there, or not this Python's headers
    native = None

LAYOUT = 2
"""Of the structures of ``c/cells.h``. An extension that was built for another is left over from another state of the
package, and would step with numbers in the wrong places: it is not used."""
if native is not None and (not hasattr(native, "layout") or native.layout() != LAYOUT):
    native = None

RUNS_IN = "NumPy" if native is None else "C"

READING = [("source", "i8"), ("target", "i8"), ("weight", "f8", (BRANCHES,))]
"""The structure of ``c/cells.h``."""


def ltc_step(wiring: Wiring, arrays: Arrays, substeps: int, solver: str = "fused_euler") -> LtcStep:
    """The step of an LTC as this installation has it.

    Raises:
        KeyError: there is no such ``solver``, or a parameter is missing.
    """
    return (LtcStep if native is None else CompiledLtcStep)(wiring, arrays, substeps, solver)


def cfc_step(wiring: Wiring, arrays: Arrays) -> CfcStep:
    """The step of a CfC as this installation has it."""
    return CfcStep(wiring, arrays) if native is None else CompiledCfcStep(wiring, arrays)


class CompiledLtcStep(LtcStep):
    """``LtcStep`` in C; ``inputs`` and ``state`` must lie in a row in memory."""

    runs_in = "C"

    def __init__(self, wiring: Wiring, arrays: Arrays, substeps: int, solver: str = "fused_euler") -> None:
        super().__init__(wiring, arrays, substeps, solver)
        membranes = np.stack([self._capacitance, self._leak, self._leak * arrays["rest"]], axis=1)

        def synapses(adjacency: Polarity, prefix: str) -> bytes:
            source, target, *numbers = fold_synapses(wiring, adjacency, arrays, prefix)
            order = np.argsort(target, kind="stable")
            end = np.searchsorted(target[order], np.arange(wiring.neurons), "right")
            return b"".join([end.tobytes(), *(column[order].tobytes() for column in (source, *numbers))])

        sensory, recurrent = synapses(wiring.sensory, "sensory"), synapses(wiring.recurrent, "recurrent")
        midpoint = solver == "exponential_midpoint"
        self._cell = native.ltc(wiring.inputs, substeps, midpoint, membranes.tobytes(), sensory, recurrent)

    def __call__(self, inputs: Floats, state: Floats, dt: float) -> Floats:
        """State (N,) after ``dt`` [s] with ``inputs`` (I,) held.

        Raises:
            ValueError: shapes or types are not those of the network.
        """
        after = np.empty(self._neurons)
        native.step(self._cell, inputs, state, self._substeps / dt, after)
        return after


class CompiledCfcStep(CfcStep):
    """``CfcStep`` in C; ``inputs`` and ``state`` must lie in a row in memory."""

    runs_in = "C"

    def __init__(self, wiring: Wiring, arrays: Arrays) -> None:
        super().__init__(wiring, arrays)
        self._neurons = wiring.neurons
        maps = closed_form_maps(wiring, arrays)
        source, target = np.nonzero(maps[:-1].any(axis=1))
        ends = [layer.stop for layer in wiring.layers]
        order = np.argsort(np.searchsorted(ends, target, "right"), kind="stable")
        source, target = source[order], target[order]
        readings = np.rec.fromarrays([source, target, maps[source, :, target]], dtype=READING)
        layers = np.array([[end, np.count_nonzero(target < end)] for end in ends], np.int64)
        self._cell = native.cfc(wiring.inputs, maps[-1].T.tobytes(), readings.tobytes(), layers.tobytes())

    def __call__(self, inputs: Floats, state: Floats, dt: float) -> Floats:
        """State (N,) after ``dt`` [s] with ``inputs`` (I,) held.

        Raises:
            ValueError: shapes or types are not those of the network.
        """
        after = np.empty(self._neurons)
        native.step(self._cell, inputs, state, dt / TIME_UNIT, after)
        return after
