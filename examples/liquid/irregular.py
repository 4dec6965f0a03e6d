# SPDX-License-Identifier: Apache-2.0
"""A noisy signal sampled with jitter and gaps: what will it be a moment later?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from examples.liquid.task import Data, Series, Task
from torch import Tensor

from tidegate.liquid.generators import fully_connected
from tidegate.liquid.wiring import Wiring

SAMPLES = 32
SLOW, FAST = (0.3, 0.7), (0.7, 1.5)
"""Frequencies of the two sines of a signal [Hz]."""
NOISE = 0.05
"""Standard deviation of a sample's error; the sines' amplitudes are 0.5 to 1."""
JITTER = 0.5
"""Greatest deviation of an interval, as a share of the period."""
GAPS, GAP = 0.1, (0.15, 0.5)
"""Share of the intervals with a gap, and its length [s]."""


@dataclass(frozen=True)
class Irregular(Task):
    """Two sines of unknown frequency, seen through samples that come when they come."""

    name, title = "irregular", "A signal sampled with jitter and gaps"
    text = (
        "Two sines of 0.3 to 0.7 and 0.7 to 1.5 Hz, amplitudes of 0.5 to 1, noise of 0.05 on every sample; "
        "frequencies, amplitudes and phases differ from series to series. Samples come every 50 ms ± 50 %, and a "
        "tenth of them after a gap of another 0.15 to 0.5 s. Asked is the signal without noise 0.1 s after each "
        "sample. In the last column every second sample is missing, as in no training series. *Not told*: the same "
        "models and the same samples, dt always the period."
    )
    inputs, outputs = 1, 1
    period, ahead, tau = 0.05, 0.1, (0.05, 1.0)
    shown = 0, "signal"
    blind = True

    steps: int = 300
    batch: int = 32
    train: int = 256
    test: int = 256

    def draw(self) -> Data:
        test = self.some(self.test, 1)
        return Data(self.some(self.train, 0), {"test": test, "every second sample": thinned(test)})

    def wiring(self, seed: int) -> Wiring:
        return fully_connected(self.inputs, 16, 16, seed)

    def some(self, count: int, seed: int) -> Series:
        """``count`` series."""
        random = torch.Generator().manual_seed(seed)

        def between(low: float, high: float, *shape: int) -> Tensor:
            return low + (high - low) * torch.rand(*shape, generator=random)

        dt = self.period * between(1 - JITTER, 1 + JITTER, count, SAMPLES)
        dt += torch.where(torch.rand(count, SAMPLES, generator=random) < GAPS, between(*GAP, count, SAMPLES), 0.0)
        time = dt.cumsum(dim=1)
        frequency = torch.cat((between(*SLOW, count, 1), between(*FAST, count, 1)), dim=1)
        amplitude, phase = between(0.5, 1.0, count, 2), between(0.0, 2 * math.pi, count, 2)

        def signal(at: Tensor) -> Tensor:
            angles = 2 * math.pi * frequency[:, None] * at[..., None] + phase[:, None]
            return (amplitude[:, None] * angles.sin()).sum(dim=2, keepdim=True)

        inputs = signal(time) + NOISE * torch.randn(count, SAMPLES, 1, generator=random)
        return Series(inputs, dt, signal(time + self.ahead), inputs)


def thinned(series: Series) -> Series:
    """Every second sample, with the time since the one before it that is left."""
    last = series.dt.shape[1] // 2 * 2
    dt = series.dt[:, :last:2] + series.dt[:, 1:last:2]
    inputs, targets, repeated = (each[:, 1:last:2] for each in (series.inputs, series.targets, series.repeated))
    return Series(inputs, dt, targets, repeated)
