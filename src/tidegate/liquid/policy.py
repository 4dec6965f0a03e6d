# SPDX-License-Identifier: Apache-2.0
"""The policy as it drives: features and speed in, wanted command and barrier gains out, state carried in true time."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.errors import BundleError
from tidegate.liquid.live import sigmoid
from tidegate.liquid.live_network import LiveNetwork
from tidegate.records import Decision, Features, Floats, Gains, Nominal, Odometry
from tidegate.settings import Settings
from tidegate.settings.policy import PolicySettings


class LiquidPolicy:
    """Nineteen liquid neurons at the wheel.

    The network's clock is the difference of the features' stamps, so a late or dropped frame is one longer step. A
    frame that was seen already changes nothing. A gap above ``policy.dt_max_s``, or time that goes back by more, resets
    the state. A frame of before the last one, values that are not finite, or so large that a neuron would not be, give
    a command of NaN (= not commanded) and leave the state alone.
    """

    def __init__(self, bundle: Bundle, settings: Settings) -> None:
        """Take the network from ``bundle``, the camera's nominal period and ``dt_max_s`` from ``settings``.

        Raises:
            BundleError: the bundle's arrays do not fit its wiring.
        """
        self._policy = bundle.policy
        self._mass = bundle.mass_kg
        try:
            self._network = LiveNetwork(bundle, settings.camera.rate_hz, settings.policy.dt_max_s)
            self.wiring = self._network.wiring
            arrays = bundle.part("liquid")
            self._gains: tuple[Floats, Floats] = (
                arrays["gain_weight"].astype(np.float64),
                arrays["gain_bias"].astype(np.float64),
            )
            self.reset()
            self._decision(0, *self._command())
        except (KeyError, ValueError, IndexError, TypeError) as error:
            raise BundleError(f"bundle '{bundle.name}': its network is corrupt ({error})") from error

    @property
    def runs_in(self) -> str:
        """``C`` or ``NumPy``: their steps round otherwise, so a drive repeats to the bit with the same one alone."""
        return self._network.runs_in

    def reset(self) -> None:
        """Forget everything: neurons at zero, no frame seen."""
        self._network.reset()
        self._last: Decision | None = None

    def resume(self, stamp: int, neurons: NDArray[np.float32]) -> None:
        """Go on from the state (N,) that a decision at ``stamp`` [ns] told, as exactly as its ``neurons`` are."""
        self.reset()
        self._network.resume(stamp, neurons)

    def step(self, features: Features, odometry: Odometry) -> Decision:
        """Decide on one frame; never raises for what a message may hold.

        Args:
            features: of the frame, (F,).
            odometry: the newest; its ``speed`` is used.
        """
        stamp = features.stamp
        if self._last is not None and stamp == self._last.nominal.stamp:
            return self._last
        values = np.append(features.values.astype(np.float64), odometry.speed / self._policy.speed_scale)
        moved = self._network.advance(stamp, values)
        decision = self._decision(stamp, *(self._command() if moved else (math.nan, math.nan)))
        if moved or self._last is None or stamp > self._last.nominal.stamp:
            self._last = decision
        return decision

    def _command(self) -> tuple[float, float]:
        """The wanted force [N] and curvature [1/m]."""
        output = self._network.outputs()
        acceleration = output[0] * self._policy.acceleration_scale
        return float(acceleration * self._mass), float(output[1] * self._policy.curvature_scale)

    def _decision(self, stamp: int, force: float, curvature: float) -> Decision:
        neurons = self._network.neurons
        gains = read_gains(neurons[self.wiring.layers[1]], *self._gains, self._policy)
        named = {name: float(gain) for name, gain in zip(self._policy.gain_names, gains, strict=True)}
        return Decision(Nominal(stamp, force, curvature), Gains(stamp, named), neurons.astype(np.float32))


def read_gains(neurons: Floats, weight: Floats, bias: Floats, policy: PolicySettings) -> Floats:
    """Barrier gains (…, G) [1/s], inside their interval, of the command ``neurons`` (…, C)."""
    return policy.gain_low + (policy.gain_high - policy.gain_low) * sigmoid(neurons @ weight + bias)
