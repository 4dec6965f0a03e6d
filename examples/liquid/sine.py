# SPDX-License-Identifier: Apache-2.0
"""The quick start of ``ncps``: a sine and a cosine tell a sine of twice their frequency, one series of 48 samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from examples.liquid.task import Data, Series, Task

from tidegate.liquid.generators import auto_ncp
from tidegate.liquid.wiring import Wiring

SAMPLES = 48
CYCLES = 1.5
"""Of the inputs, over all samples; the target has twice as many."""


@dataclass(frozen=True)
class Sine(Task):
    """Learn one series by heart, and be asked for it at other rates."""

    name, title = "sine", "The sine of the quick start"
    text = (
        "The quick start of `ncps`: from a sine and a cosine the sine of twice their frequency, one series of 48 "
        "samples at 20 Hz, one series a step. As there, the first column is the series that was trained on. The "
        "others ask for the same seconds sampled half and twice as often, dt told: to the models that is a new dt, "
        "which training never changed."
    )
    inputs, outputs = 2, 1
    period, ahead, tau = 0.05, 0.0, (0.05, 1.0)

    steps: int = 300
    batch: int = 1

    def draw(self) -> Data:
        trained = self.at(1.0)
        return Data(trained, {"as trained": trained, "half the rate": self.at(0.5), "twice": self.at(2.0)})

    def wiring(self, seed: int) -> Wiring:
        return auto_ncp(self.inputs, 16, 1, seed)

    def at(self, rate: float) -> Series:
        """The series sampled ``rate`` times as often as it is trained on."""
        seconds = (SAMPLES - 1) * self.period
        count = math.floor((SAMPLES - 1) * rate) + 1
        time = torch.arange(count) * (self.period / rate)
        angle = 2 * math.pi * CYCLES * time / seconds
        inputs = torch.stack((angle.sin(), angle.cos()), dim=1)[None]
        dt = torch.full((1, count), self.period / rate)
        return Series(inputs, dt, (2 * angle).sin()[None, :, None], inputs[..., :1])
