# SPDX-License-Identifier: Apache-2.0
"""Closed-form continuous-time network on a wiring, for training (Hasani et al. 2022, Nature Machine Intelligence).

    x(t + dt) = (1 − s) ⊙ g + s ⊙ h,   s = σ(a·dt + b),   with g = tanh(·), h = tanh(·), a, b affine

in the inputs and the states a neuron is wired to. Every branch has weights for existing synapses and the neuron's own
state only, the time branches a and b too: the graph that is drawn is the graph that computes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tidegate.liquid.live import BRANCHES, TIME_UNIT, closed_form_reads
from tidegate.liquid.wiring import Wiring


class CfC(nn.Module):
    """Recurrent network of N neurons, evaluated layer by layer: a frame moves its own command within one step."""

    row: Tensor
    target: Tensor

    def __init__(self, wiring: Wiring, random: torch.Generator) -> None:
        super().__init__()
        self.inputs = wiring.inputs
        self.neurons = wiring.neurons
        self.layers = wiring.layers
        row, target = closed_form_reads(wiring)
        self.register_buffer("row", torch.from_numpy(row), persistent=False)
        self.register_buffer("target", torch.from_numpy(target), persistent=False)
        fan_in = torch.bincount(self.target, minlength=self.neurons)[self.target]
        spread = 2 * torch.rand(BRANCHES, len(row), generator=random) - 1
        self.weight = nn.Parameter(spread * (3.0 / fan_in).sqrt())
        self.bias = nn.Parameter(torch.zeros(BRANCHES, self.neurons))

    def forward(self, inputs: Tensor, dt: Tensor, state: Tensor | None = None) -> Tensor:
        """States (B, T, N) after each step; ``inputs`` (B, T, I), ``dt`` (B, T) [s], ``state`` (B, N) or None."""
        dense = self.weight.new_zeros(BRANCHES, self.inputs + self.neurons, self.neurons)
        dense = dense.index_put((torch.arange(BRANCHES)[:, None], self.row, self.target), self.weight)
        sensory = torch.einsum("bti,kin->btkn", inputs, dense[:, : self.inputs]) + self.bias  # (B, T, 4, N)
        recurrent = dense[:, self.inputs :]
        if state is None:
            state = inputs.new_zeros(len(inputs), self.neurons)
        states = []
        for t in range(inputs.shape[1]):
            for layer in self.layers:
                branch = sensory[:, t, :, layer] + torch.einsum("bm,kmn->bkn", state, recurrent[:, :, layer])
                gate = torch.sigmoid(branch[:, 2] * (dt[:, t, None] / TIME_UNIT) + branch[:, 3])
                updated = (1 - gate) * torch.tanh(branch[:, 0]) + gate * torch.tanh(branch[:, 1])
                state = torch.cat([state[:, : layer.start], updated, state[:, layer.stop :]], dim=1)
            states.append(state)
        return torch.stack(states, dim=1)
