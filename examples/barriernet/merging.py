# SPDX-License-Identifier: Apache-2.0
"""Merging behind a car on the main road (Xiao et al. 2023; start and leader are those of its code).

The leader speeds up, v_L = 23.276 + 1.09333 t − 0.04444 t² until t = 12.3 s, and never brakes (ℓ = 0).
"""

from __future__ import annotations

import torch
from following import Following
from torch import Tensor

LEADER = (58.568, 23.276)
EGO = (0.270, 27.010)
GAIN = (1.09333, -2 * 0.04444)
"""The leader's acceleration at t = 0 [m/s²] and its change [m/s³]."""
STEADY = 12.3
"""When the leader has reached its speed [s]."""


class Merging(Following):
    """As published: no limit on the brake."""

    name, title = "merging", "traffic merging, no limit on the brake"
    reference = (
        "Xiao et al., their released weights replayed: min b +0.242 with the layer and −0.142 without. Their "
        "demonstrations are not ours."
    )
    steps = 141

    def leader(self, state: Tensor) -> Tensor:
        t = state[:, 4]
        return torch.where(t < STEADY, GAIN[0] + GAIN[1] * t, 0.0)

    def starts(self, generator: torch.Generator, count: int) -> Tensor:
        """Both speeds and the gap vary around the published ones; only starts with H > 0, with a brake of 0.8 m/s²."""
        drawn = torch.rand(count, 3, generator=generator, dtype=torch.float64)
        state = torch.zeros(count, 5, dtype=torch.float64)
        state[:, 1] = LEADER[1] + 4 * drawn[:, 0] - 2
        state[:, 3] = EGO[1] + 4 * drawn[:, 1] - 2
        need = -LIMITED.row(state, reserve=True)[0][:, 0]
        state[:, 0] = need + 0.5 + 15 * drawn[:, 2]
        return state

    def shown(self) -> dict[str, Tensor]:
        return {"published start": torch.tensor([[*LEADER, *EGO, 0.0]], dtype=torch.float64)}


class LimitedMerging(Merging):
    """The same with a brake of 0.8 m/s²."""

    name, title = "merging_limited", "traffic merging, brake limited to 0.8 m/s²"
    reference = ""
    brake = 0.8


LIMITED = LimitedMerging()
