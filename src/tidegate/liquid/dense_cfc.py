# SPDX-License-Identifier: Apache-2.0
"""Closed-form continuous-time network without a wiring: its maps share hidden layers, the paper's backbone.

It is the baseline that the public ``ncps`` package builds when it is given a number of units instead of a wiring.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from tidegate.liquid.closed_form import MAPS, ClosedForm
from tidegate.liquid.ragged import present


class LeCunTanh(nn.Module):
    """1.7159 tanh(2/3 x), as LeCun et al. 1998 scale it (``ncps`` writes 0.666)."""

    def forward(self, value: Tensor) -> Tensor:
        """Of any shape."""
        return 1.7159 * torch.tanh(0.666 * value)


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "lecun_tanh": LeCunTanh,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}


class DenseCfC(nn.Module):
    """Recurrent network of N neurons that all read everything.

    Args:
        inputs, neurons: I and N.
        random: source of the initial weights.
        form: one of ``closed_form.MAPS``.
        hidden: units of each hidden layer.
        layers: hidden layers; 0 = the maps read inputs and states.
        activation: one of ``ACTIVATIONS``.

    Raises:
        ValueError: there is no such form or activation.
    """

    def __init__(
        self,
        inputs: int,
        neurons: int,
        random: torch.Generator,
        form: str = "default",
        hidden: int = 128,
        layers: int = 1,
        activation: str = "lecun_tanh",
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation '{activation}': must be one of {', '.join(ACTIVATIONS)}")
        self.neurons = self.motor = neurons
        self.closed_form = ClosedForm(form, neurons)
        widths = [inputs + neurons] + [hidden] * layers
        self.backbone = nn.Sequential()
        for before, after in pairwise(widths):
            self.backbone.append(_linear(before, after, random)).append(ACTIVATIONS[activation]())
        self.heads = _linear(widths[-1], MAPS[form] * neurons, random)

    def forward(self, inputs: Tensor, dt: Tensor, state: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """States (B, T, N) after each step; arguments and errors as ``LTC.forward``."""
        inputs, dt = present(inputs, dt, mask)
        if state is None:
            state = inputs.new_zeros(len(inputs), self.neurons)
        states = []
        for t in range(inputs.shape[1]):
            maps = self.heads(self.backbone(torch.cat([inputs[:, t], state], dim=1)))
            updated = self.closed_form(maps.unflatten(1, (-1, self.neurons)), dt[:, t, None], slice(None))
            state = updated if mask is None else torch.where(mask[:, t, None], updated, state)
            states.append(state)
        return torch.stack(states, dim=1)


def _linear(inputs: int, outputs: int, random: torch.Generator) -> nn.Linear:
    with torch.random.fork_rng(devices=[]):
        layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight, generator=random)
    nn.init.zeros_(layer.bias)
    return layer
