# SPDX-License-Identifier: Apache-2.0
"""Camera frame and speed → wanted command and barrier gains, with NumPy alone.

    model = Model.load("folder")
    neurons = model.start()
    for image, speed, dt in drive:                    # dt = 0 for the first frame
        out, neurons = model.step(image, speed, dt, neurons)

``python network.py`` compares the model with the outputs that tidegate's live path gave at the export.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[Any]

TOLERANCE = 1e-5
"""Allowed difference from the live path, as a share of full scale."""


class Output(NamedTuple):
    """What the network says about a frame.

    ``drive_force`` [N] and ``path_curvature`` [1/m, left positive]; NaN = not commanded. ``gains`` (G,) [1/s];
    ``lane`` (2 + K,) and ``lane_bound`` (2 + K,): offset [m], heading [rad], curvatures [1/m] and the bounds of their
    errors. The order of gains and curvatures is in ``network.json``.
    """

    drive_force: float
    path_curvature: float
    gains: Array
    lane: Array
    lane_bound: Array


class Model:
    """Image normalisation, convolutional network, liquid neurons and their read-out."""

    def __init__(self, facts: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        """Take what ``network.json`` and ``weights.npz`` hold."""
        self.facts, self.arrays = facts, arrays

    @classmethod
    def load(cls, folder: str | Path) -> Model:
        """Read an exported folder."""
        facts = json.loads((Path(folder) / "network.json").read_text(encoding="utf-8"))
        with np.load(Path(folder) / "weights.npz", allow_pickle=False) as arrays:
            return cls(facts, dict(arrays))

    def start(self) -> Array:
        """Neurons (N,) at rest."""
        return np.zeros(sum(self.facts["neurons"].values()))

    def step(self, image: Array, speed: float, dt: float, neurons: Array) -> tuple[Output, Array]:
        """One frame.

        Args:
            image: (H, W, 3) uint8 RGB, rows from the top.
            speed: of the car [m/s].
            dt: since the last frame with a finite command [s]; at 0 or above ``dt_max_s`` the neurons start anew.
            neurons: (N,) after that frame.

        Returns:
            outputs and the neurons (N,) after this frame.
        """
        features, lane, bound = self.see(image)
        if not 0 < dt <= self.facts["dt_max_s"]:
            dt, neurons = self.facts["period_s"], self.start()
        values = np.append(features, speed).astype(np.float64)
        force = curvature = np.nan
        if np.isfinite(values).all():
            inputs = values * self.arrays["input_weight"] + self.arrays["input_bias"]
            cell = self._ltc if self.facts["cell"] == "ltc" else self._cfc
            moved = cell(inputs, neurons.astype(np.float64), dt)
            if np.isfinite(moved).all():  # finite values may be too large for their sums
                neurons = moved
                motor = neurons[-self.facts["neurons"]["motor"] :]
                force, curvature = motor * self.arrays["output_weight"] + self.arrays["output_bias"]
        return Output(float(force), float(curvature), self._gains(neurons), lane, bound), neurons

    def see(self, image: Array) -> tuple[Array, Array, Array]:
        """Features (F,), lane (2 + K,) and the bounds of its errors (2 + K,) of an ``image`` (H, W, 3) uint8."""
        a = self.arrays
        pixels = image.astype(np.float32).transpose(2, 0, 1)
        maps = np.rint(a["rows"] @ pixels @ a["columns"].T) * np.float32(1 / 127.5) - np.float32(1)
        for index, stride in enumerate(self.facts["strides"]):
            maps = relu(convolve(maps, a[f"convs.{index}.weight"], a[f"convs.{index}.bias"], stride))
        code = relu(a["hidden.weight"] @ maps.reshape(-1) + a["hidden.bias"])
        features = a["features.weight"] @ code + a["features.bias"]
        value, log_scale = np.split(a["lane.weight"] @ code + a["lane.bias"], 2)
        limit = self.facts["log_scale_limit"]
        scale = np.exp(np.clip(log_scale, -limit, limit)) * a["lane_unit"]
        return features, value * a["lane_unit"], a["lane_factor"] * (scale + a["lane_added"])

    def _gains(self, neurons: Array) -> Array:
        first, count = self.facts["neurons"]["inter"], self.facts["neurons"]["command"]
        share = sigmoid(neurons[first : first + count] @ self.arrays["gain_weight"] + self.arrays["gain_bias"])
        low, high = self.facts["gain_low"], self.facts["gain_high"]
        return np.asarray(low + (high - low) * share)

    def _ltc(self, inputs: Array, neurons: Array, dt: float) -> Array:
        """Sub-steps of the liquid time-constant network (Hasani et al. 2021, AAAI): fused Euler, or the exponential
        midpoint rule (Hochbruck and Ostermann 2010, Acta Numerica)."""
        a = self.arrays
        held, held_total = self._currents("sensory", inputs)
        inertia = a["inertia"] / dt
        if self.facts["solver"] == "exponential_midpoint":
            for _ in range(self.facts["substeps"]):
                start = neurons
                for share in (0.5, 1.0):
                    current, total = self._currents("recurrent", neurons)
                    conductance = a["leak"] + held_total + total
                    asymptote = (a["rest"] + held + current) / conductance
                    neurons = start - np.expm1(-share * conductance / inertia) * (asymptote - start)
            return neurons
        for _ in range(self.facts["substeps"]):
            current, total = self._currents("recurrent", neurons)
            top = inertia * neurons + a["rest"] + held + current
            neurons = top / (inertia + a["leak"] + held_total + total)
        return neurons

    def _currents(self, kind: str, values: Array) -> tuple[Array, Array]:
        """Sums over each neuron's synapses: weight · reversal potential · opening, and weight · opening, (N,)."""
        a, count = self.arrays, len(self.start())
        opening = sigmoid(a[f"{kind}_slope"] * values[a[f"{kind}_source"]] + a[f"{kind}_shift"])
        target = a[f"{kind}_target"]
        return (
            np.bincount(target, a[f"{kind}_current"] * opening, count),
            np.bincount(target, a[f"{kind}_weight"] * opening, count),
        )

    def _cfc(self, inputs: Array, neurons: Array, dt: float) -> Array:
        """Closed-form step (Hasani et al. 2022, Nature Machine Intelligence), layer by layer."""
        a, first = self.arrays, 0
        neurons = neurons.copy()
        for size in self.facts["neurons"].values():
            layer = slice(first, first + size)
            read = np.concatenate([inputs, neurons])[a["source"]]
            sums = [np.bincount(a["target"], weight * read, len(neurons)) for weight in a["weight"]]
            start, end, rate, offset = (np.array(sums) + a["bias"])[:, layer]
            gate = sigmoid(rate * dt + offset)
            neurons[layer] = (1 - gate) * np.tanh(start) + gate * np.tanh(end)
            first += size
        return neurons


def convolve(maps: Array, weight: Array, bias: Array, stride: int) -> Array:
    """``maps`` (C, h, w), padded by half of the kernel, with ``weight`` (O, C, k, k)."""
    size = weight.shape[-1]
    padded = np.pad(maps, ((0, 0), (size // 2,) * 2, (size // 2,) * 2))
    windows = sliding_window_view(padded, (len(maps), size, size))[0, ::stride, ::stride]  # (h', w', C, k, k)
    return np.asarray(np.tensordot(weight, windows, axes=([1, 2, 3], [2, 3, 4])) + bias[:, None, None])


def relu(values: Array) -> Array:
    """max(0, x)."""
    return np.maximum(values, 0)


def sigmoid(values: Array) -> Array:
    """1 / (1 + e⁻ˣ), through tanh, which does not overflow."""
    return np.asarray(0.5 * np.tanh(0.5 * values) + 0.5)


def share_off(found: Array, expected: Array, full_scale: Array) -> float:
    """Largest difference in units of ``full_scale``; values that are equally infinite or not finite do not differ.

    Error bounds may be many times their full scale: what is above it is compared in relation to itself.
    """
    scale = np.maximum(full_scale, np.where(np.isfinite(expected), np.abs(expected), 0))
    with np.errstate(invalid="ignore"):
        off = np.abs(found - expected) / scale
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    return float(np.max(np.where(same, 0.0, off)))


def check(folder: Path) -> float:
    """Largest difference from ``parity.npz``, as a share of full scale."""
    model = Model.load(folder)
    with np.load(folder / "parity.npz", allow_pickle=False) as archive:
        parity = dict(archive)
    neurons, rows = model.start(), []
    for image, speed, dt in zip(parity["images"], parity["speed"], parity["dt"], strict=True):
        output, neurons = model.step(image, float(speed), float(dt), neurons)
        rows.append(np.hstack(output))
    return share_off(np.array(rows), parity["outputs"], parity["full_scale"])


if __name__ == "__main__":
    difference = check(Path(__file__).parent)
    print(f"differs from the live path by {difference:.1e} of full scale; allowed {TOLERANCE:g}")
    sys.exit(not difference <= TOLERANCE)
