# SPDX-License-Identifier: Apache-2.0
"""The policy as it drives: features and speed in, wanted command and barrier gains out, state carried in true time."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.errors import BundleError
from tidegate.liquid.compiled import cfc_step, ltc_step
from tidegate.liquid.live import CfcStep, LtcStep, sigmoid
from tidegate.liquid.wiring import Wiring
from tidegate.records import Decision, Features, Floats, Gains, Nominal, Odometry, nanoseconds, seconds
from tidegate.settings import Settings
from tidegate.settings.policy import PolicySettings


class LiquidPolicy:
    """Nineteen liquid neurons at the wheel.

    The network's clock is the difference of the features' stamps, so a late or dropped frame is one longer step. A
    frame that was seen already changes nothing. Time that goes back, or a gap above ``policy.dt_max_s``, resets the
    state. Values that are not finite, or so large that a neuron would not be, give a command of NaN (= not commanded)
    and leave the state alone.
    """

    def __init__(self, bundle: Bundle, settings: Settings) -> None:
        """Take the network from ``bundle``, the camera's nominal period and ``dt_max_s`` from ``settings``.

        Raises:
            BundleError: the bundle's arrays do not fit its wiring.
        """
        self._policy = bundle.policy
        self._mass = bundle.mass_kg
        self._period = nanoseconds(1.0 / settings.camera.rate_hz)
        self._longest = nanoseconds(settings.policy.dt_max_s)
        try:
            self.wiring = Wiring.from_dict(bundle.wiring)
            arrays = bundle.part("liquid")
            self._step = make_step(bundle, self.wiring)
            self._input = arrays["input_weight"].astype(np.float64), arrays["input_bias"].astype(np.float64)
            self._output = arrays["output_weight"].astype(np.float64), arrays["output_bias"].astype(np.float64)
            self._gains = arrays["gain_weight"].astype(np.float64), arrays["gain_bias"].astype(np.float64)
            self.reset()
            self._moved(np.zeros(self.wiring.inputs), self._period)
            self._decision(0, *self._command())
        except (KeyError, ValueError, IndexError, TypeError) as error:
            raise BundleError(f"bundle '{bundle.name}': its network is corrupt ({error})") from error
        self.reset()

    @property
    def runs_in(self) -> str:
        """``C`` or ``NumPy``: their steps round otherwise, so a drive repeats to the bit with the same one alone."""
        return self._step.runs_in

    def reset(self) -> None:
        """Forget everything: neurons at zero, no frame seen."""
        self._state: Floats = np.zeros(self.wiring.neurons)
        self._stamp: int | None = None
        self._last: Decision | None = None

    def resume(self, stamp: int, neurons: NDArray[np.float32]) -> None:
        """Go on from the state (N,) that a decision at ``stamp`` [ns] told, as exactly as its ``neurons`` are."""
        self.reset()
        self._stamp, self._state = stamp, neurons.astype(np.float64)

    def step(self, features: Features, odometry: Odometry) -> Decision:
        """Decide on one frame; never raises for what a message may hold.

        Args:
            features: of the frame, (F,).
            odometry: the newest; its ``speed`` is used.
        """
        stamp = features.stamp
        if self._last is not None and stamp == self._last.nominal.stamp:
            return self._last
        passed = self._period if self._stamp is None else stamp - self._stamp
        if passed <= 0 or passed > self._longest:
            self.reset()
            passed = self._period
        values = np.append(features.values.astype(np.float64), odometry.speed / self._policy.speed_scale)
        moved = self._moved(values, passed) if len(values) == self.wiring.inputs else None
        if moved is None:
            decision = self._decision(stamp, math.nan, math.nan)
        else:
            self._state, self._stamp = moved, stamp
            decision = self._decision(stamp, *self._command())
        self._last = decision
        return decision

    def _moved(self, values: Floats, passed: int) -> Floats | None:
        """The neurons ``passed`` [ns] later; None where values or neurons are not finite."""
        if not np.isfinite(values).all():
            return None
        moved = self._step(values * self._input[0] + self._input[1], self._state, seconds(passed))
        return moved if np.isfinite(moved).all() else None

    def _command(self) -> tuple[float, float]:
        """The wanted force [N] and curvature [1/m]."""
        output = self._state[self.wiring.layers[2]] * self._output[0] + self._output[1]
        acceleration = output[0] * self._policy.acceleration_scale
        return float(acceleration * self._mass), float(output[1] * self._policy.curvature_scale)

    def _decision(self, stamp: int, force: float, curvature: float) -> Decision:
        gains = read_gains(self._state[self.wiring.layers[1]], *self._gains, self._policy)
        named = {name: float(gain) for name, gain in zip(self._policy.gain_names, gains, strict=True)}
        return Decision(Nominal(stamp, force, curvature), Gains(stamp, named), self._state.astype(np.float32))


def read_gains(neurons: Floats, weight: Floats, bias: Floats, policy: PolicySettings) -> Floats:
    """Barrier gains (…, G) [1/s], inside their interval, of the command ``neurons`` (…, C)."""
    return policy.gain_low + (policy.gain_high - policy.gain_low) * sigmoid(neurons @ weight + bias)


def make_step(bundle: Bundle, wiring: Wiring) -> LtcStep | CfcStep:
    """The cell of ``bundle`` as a function of NumPy arrays, in C where this installation has it.

    Raises:
        KeyError, ValueError, IndexError: arrays are missing or do not fit ``wiring``.
    """
    arrays = bundle.part("liquid.cell")
    if bundle.policy.cell == "cfc":
        return cfc_step(wiring, arrays)
    return ltc_step(wiring, arrays, bundle.policy.substeps, bundle.policy.solver)
