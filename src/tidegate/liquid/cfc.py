# SPDX-License-Identifier: Apache-2.0
"""Closed-form continuous-time network on a wiring, for training (Hasani et al. 2022, Nature Machine Intelligence).

Every affine map of ``closed_form`` has weights for existing synapses and the neuron's own state only, the time
branches too: the graph that is drawn is the graph that computes. The one exception is a wiring marked ``dense_time``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tidegate.liquid.closed_form import MAPS, ClosedForm
from tidegate.liquid.live import closed_form_reads, dense_time_reads
from tidegate.liquid.ragged import present
from tidegate.liquid.wiring import Wiring


class CfC(nn.Module):
    """Recurrent network of N neurons, evaluated layer by layer: a frame moves its own command within one step."""

    row: Tensor
    target: Tensor
    dense_time_row: Tensor
    dense_time_target: Tensor

    def __init__(self, wiring: Wiring, random: torch.Generator, form: str = "default") -> None:
        """Draw weights from ``random``; ``form`` is one of ``closed_form.MAPS``.

        Raises:
            ValueError: there is no such form.
        """
        super().__init__()
        self.wiring = wiring
        self.neurons, self.motor = wiring.neurons, wiring.motor
        self.layers = [layer for layer in wiring.layers if layer.start < layer.stop]
        self.closed_form = ClosedForm(form, self.neurons)
        maps = MAPS[form]
        row, target = closed_form_reads(wiring)
        self.register_buffer("row", torch.from_numpy(row), persistent=False)
        self.register_buffer("target", torch.from_numpy(target), persistent=False)
        fan_in = torch.bincount(self.target, minlength=self.neurons)[self.target]
        spread = 2 * torch.rand(maps, len(row), generator=random) - 1
        self.weight = nn.Parameter(spread * (3.0 / fan_in).sqrt())
        self.bias = nn.Parameter(torch.zeros(maps, self.neurons))
        if wiring.dense_time:
            row, target = dense_time_reads(wiring)
            self.register_buffer("dense_time_row", torch.from_numpy(row), persistent=False)
            self.register_buffer("dense_time_target", torch.from_numpy(target), persistent=False)
            self.dense_time_weight = nn.Parameter(torch.zeros(max(maps - 2, 0), len(row)))

    def matrices(self) -> Tensor:
        """Weights (K, I + N, N) of the K maps from inputs and states, zero where there is no synapse."""
        maps = len(self.weight)
        dense = self.weight.new_zeros(maps, self.wiring.inputs + self.neurons, self.neurons)
        each = torch.arange(maps, device=dense.device)[:, None]
        dense = dense.index_put((each, self.row, self.target), self.weight)
        if self.wiring.dense_time:
            at = (each[2:], self.dense_time_row, self.dense_time_target)
            dense = dense.index_put(at, self.dense_time_weight)
        return dense

    def forward(self, inputs: Tensor, dt: Tensor, state: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """States (B, T, N) after each step; arguments and errors as ``LTC.forward``."""
        inputs, dt = present(inputs, dt, mask)
        dense = self.matrices()
        sensors = self.wiring.inputs
        sensory = torch.einsum("bti,kin->btkn", inputs, dense[:, :sensors]) + self.bias  # (B, T, K, N)
        recurrent = dense[:, sensors:]
        if state is None:
            state = inputs.new_zeros(len(inputs), self.neurons)
        states = []
        for t in range(inputs.shape[1]):
            before = state
            for layer in self.layers:
                maps = sensory[:, t, :, layer] + torch.einsum("bm,kmn->bkn", state, recurrent[:, :, layer])
                updated = self.closed_form(maps, dt[:, t, None], layer)
                state = torch.cat([state[:, : layer.start], updated, state[:, layer.stop :]], dim=1)
            if mask is not None:
                state = torch.where(mask[:, t, None], state, before)
            states.append(state)
        return torch.stack(states, dim=1)
