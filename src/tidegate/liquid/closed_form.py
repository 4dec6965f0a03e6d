# SPDX-License-Identifier: Apache-2.0
"""The closed form itself: how its affine maps and dt become a state (Hasani et al. 2022, Nature Machine Intelligence).

With g, h, f (or a, b) affine in what a neuron reads, and s the gate:

    default        (1 − s) ⊙ tanh g + s ⊙ tanh h    s = σ(a·dt + b)      maps g, h, a, b: the authors' code
    three_branch   the same                         s = σ(f·dt)          maps g, h, f: the paper's formula
    no_gate        tanh g + s ⊙ tanh h              s = σ(a·dt + b)      maps g, h, a, b
    pure           A − A ⊙ exp(−(w + |f|)·dt) ⊙ f                        map f, with w > 0 and A per neuron

The gates count dt in units of ``TIME_UNIT``, the pure form in seconds.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from tidegate.liquid.live import TIME_UNIT
from tidegate.records import Floats

MAPS = {"default": 4, "three_branch": 3, "no_gate": 4, "pure": 1}
"""Affine maps of each form."""


def equation_2(start: Floats, asymptote: Floats, rate: Floats, closing: Floats, time: Floats) -> Floats:
    """The paper's eq. 2, from which the forms above come: (x₀ − A) exp(−(w + f(I))·t) f(−I) + A.

    It approximates ẋ = −(w + f(I))(x − A), an LTC neuron that a single synapse drives and whose rest is A, and is off
    by no more than |x₀ − A| exp(−w·t) however the input I moved before.

    Args:
        start, asymptote: x₀ and A.
        rate: w + f(I) [1/s] at the present input.
        closing: f(−I).
        time: since x₀ [s]. All of one shape after broadcasting.
    """
    state: Floats = (start - asymptote) * np.exp(-rate * time) * closing + asymptote
    return state


class ClosedForm(nn.Module):
    """From the maps of N neurons to their states."""

    def __init__(self, form: str, neurons: int) -> None:
        """Take one of ``MAPS``.

        Raises:
            ValueError: there is no such form.
        """
        super().__init__()
        if form not in MAPS:
            raise ValueError(f"closed form '{form}': must be one of {', '.join(MAPS)}")
        self.form = form
        if form == "pure":
            self.raw_rate = nn.Parameter(torch.zeros(neurons))
            self.asymptote = nn.Parameter(torch.ones(neurons))

    def forward(self, maps: Tensor, dt: Tensor, layer: slice) -> Tensor:
        """States (B, n) of the neurons in ``layer`` from their ``maps`` (B, K, n) and ``dt`` (B, 1) [s]."""
        if self.form == "pure":
            asymptote, drive = self.asymptote[layer], maps[:, 0]
            decay = torch.exp(-dt * (softplus(self.raw_rate[layer]) + drive.abs()))
            return asymptote - asymptote * decay * drive
        opening = maps[:, 2] * (dt / TIME_UNIT)
        gate = torch.sigmoid(opening if self.form == "three_branch" else opening + maps[:, 3])
        first, second = torch.tanh(maps[:, 0]), torch.tanh(maps[:, 1])
        if self.form == "no_gate":
            return first + gate * second
        return (1 - gate) * first + gate * second
