# SPDX-License-Identifier: Apache-2.0
"""A bundle's liquid network as it runs on a robot: values in, motor neurons out, state carried in true time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.liquid.compiled import cfc_step, ltc_step
from tidegate.liquid.live import CfcStep, LtcStep
from tidegate.liquid.wiring import Wiring
from tidegate.records import Floats, nanoseconds, seconds


class LiveNetwork:
    """The network's clock is the difference of stamps, so a late or dropped frame is one longer step. A gap above the
    longest, or time that goes back by more than that, resets the state. A frame that is not newer than the last one,
    values that are not finite, or so large that a neuron would not be, leave it alone: neurons at rest ask for what
    nobody sees, for some frames.

    Attributes:
        wiring: of the network.
        neurons: (N,) its state.
        runs_in: ``C`` or ``NumPy``: their steps round otherwise.
    """

    def __init__(self, bundle: Bundle, rate_hz: float, longest_s: float) -> None:
        """Take the network from ``bundle``; frames come at ``rate_hz``, a gap above ``longest_s`` [s] resets it.

        Raises:
            KeyError, ValueError, IndexError, TypeError: the bundle's arrays do not fit its wiring.
        """
        self._period, self._longest = nanoseconds(1.0 / rate_hz), nanoseconds(longest_s)
        self.wiring = Wiring.from_dict(bundle.wiring)
        arrays = bundle.part("liquid")
        self._step = make_step(bundle, self.wiring)
        self.runs_in = self._step.runs_in
        self._input = arrays["input_weight"].astype(np.float64), arrays["input_bias"].astype(np.float64)
        self._output = arrays["output_weight"].astype(np.float64), arrays["output_bias"].astype(np.float64)
        self.reset()
        self.advance(0, np.zeros(self.wiring.inputs))
        self.outputs()
        self.reset()

    def reset(self) -> None:
        """Forget everything: neurons at zero, no frame seen."""
        self.neurons: Floats = np.zeros(self.wiring.neurons)
        self._stamp: int | None = None

    def resume(self, stamp: int, neurons: NDArray[np.float32]) -> None:
        """Go on from the state ``neurons`` (N,) of the frame at ``stamp`` [ns]."""
        self._stamp, self.neurons = stamp, neurons.astype(np.float64)

    def advance(self, stamp: int, values: Floats) -> bool:
        """Take the frame at ``stamp`` [ns] with its ``values`` (I,); False where it could not be used."""
        passed = self._period if self._stamp is None else stamp - self._stamp
        if -self._longest <= passed <= 0:
            return False
        if passed <= 0 or passed > self._longest:
            self.reset()
            passed = self._period
        if len(values) != self.wiring.inputs or not np.isfinite(values).all():
            return False
        moved = self._step(values * self._input[0] + self._input[1], self.neurons, seconds(passed))
        if not np.isfinite(moved).all():
            return False
        self.neurons, self._stamp = moved, stamp
        return True

    def outputs(self) -> Floats:
        """What the motor neurons say (motor,)."""
        said: Floats = self.neurons[self.wiring.layers[2]] * self._output[0] + self._output[1]
        return said


def make_step(bundle: Bundle, wiring: Wiring) -> LtcStep | CfcStep:
    """The cell of ``bundle`` as a function of NumPy arrays, in C where this installation has it.

    Raises:
        KeyError, ValueError, IndexError: arrays are missing or do not fit ``wiring``.
    """
    arrays = bundle.part("liquid.cell")
    if bundle.policy.cell == "cfc":
        return cfc_step(wiring, arrays)
    return ltc_step(wiring, arrays, bundle.policy.substeps, bundle.policy.solver)
