# SPDX-License-Identifier: Apache-2.0
"""Adaptive cruise control with a limited brake (Ames, Grizzle & Tabuada 2014; Xiao & Belta 2022).

Headway 1.8 s and 0.3 g of brake as there, without drag. The leader sways in speed and in some runs brakes to a stop at
0.2 g, the hardest that is assumed of it. Constants: amplitude [m/s²], period [s], phase [rad], when it brakes [s].
"""

from __future__ import annotations

import math

import torch
from following import Following
from torch import Tensor

GRAVITY = 9.81


class CruiseControl(Following):
    """Approach a slower car that may brake."""

    name, title = "acc", "adaptive cruise control, brake limited to 0.3 g"
    steps = 200
    standstill = 2.0
    brake, leader_brake = 0.3 * GRAVITY, 0.2 * GRAVITY
    cruise = 28.0

    def leader(self, state: Tensor) -> Tensor:
        _, v, _, _, t, amplitude, period, phase, stop = state.unbind(1)
        sway = amplitude * torch.sin(2 * math.pi * t / period + phase)
        wanted = torch.where(t >= stop, -self.leader_brake, sway)
        return torch.where((v <= 0) & (wanted < 0), 0.0, wanted)

    def predicted(self, state: Tensor, u: Tensor) -> Tensor:
        """The leader brakes as hard as is assumed, until it stands."""
        worst = torch.where(state[:, 1] > 0, -self.leader_brake, 0.0)
        return self._move(state, u[:, 0], worst)

    def _move(self, state: Tensor, u: Tensor, leader: Tensor) -> Tensor:
        rates = super()._move(state, u, leader)
        standing = (state[:, 3] <= 0) & (u < 0)
        rates[:, 3] = torch.where(standing, 0.0, rates[:, 3])
        return rates

    def starts(self, generator: torch.Generator, count: int) -> Tensor:
        """Only starts with H > 0: from the others nothing keeps b ≥ 0 against the worst leader."""
        low = torch.tensor([10.0, 15.0, 0.5, 0.0, 6.0, 0.0, 2.0], dtype=torch.float64)
        high = torch.tensor([25.0, 30.0, 40.0, 1.5, 15.0, 2 * math.pi, 40.0], dtype=torch.float64)
        drawn = low + (high - low) * torch.rand(count, 7, generator=generator, dtype=torch.float64)
        state = torch.zeros(count, 9, dtype=torch.float64)
        state[:, 1], state[:, 3], state[:, 5:] = drawn[:, 0], drawn[:, 1], drawn[:, 3:]
        state[:, 0] = drawn[:, 2] - self.row(state, reserve=True)[0][:, 0]
        return state

    def shown(self) -> dict[str, Tensor]:
        start = torch.tensor([[85.0, 16.0, 0.0, 26.0, 0.0, 0.5, 8.0, 0.0, 10.0]], dtype=torch.float64)
        return {"10 m/s slower, brakes to a stop after 10 s": start}
