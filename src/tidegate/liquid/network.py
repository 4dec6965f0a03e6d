# SPDX-License-Identifier: Apache-2.0
"""A liquid cell as a sequence model: input map, cell, memory beside it, output map of the motor neurons."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from tidegate.liquid.cfc import CfC
from tidegate.liquid.dense_cfc import DenseCfC
from tidegate.liquid.ltc import LTC
from tidegate.liquid.ragged import present

Cell = LTC | CfC | DenseCfC


class State(NamedTuple):
    """``neurons`` (B, N), and ``memory`` (B, N) where the network has one."""

    neurons: Tensor
    memory: Tensor | None = None


class Affine(nn.Module):
    """Elementwise weight · x + bias; starts as the identity."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))

    def forward(self, value: Tensor) -> Tensor:
        """Of ``value`` (…, size)."""
        return value * self.weight + self.bias


class LiquidNetwork(nn.Module):
    """Time series in, time series out; time in seconds, per sample and step.

    Args:
        cell: N neurons; the last ``cell.motor`` of them are read out.
        input_map, output_map: modules before the cell and after its motor neurons; None = nothing.
        memory: LSTM cell from I inputs to N neurons that rewrites the neurons before each step, so that gradients
            last (mixed memory; Lechner and Hasani 2020, arXiv:2006.04418). See ``lstm_memory``.
    """

    def __init__(
        self,
        cell: Cell,
        input_map: nn.Module | None = None,
        output_map: nn.Module | None = None,
        memory: nn.LSTMCell | None = None,
    ) -> None:
        super().__init__()
        self.cell = cell
        self.input_map = input_map or nn.Identity()
        self.output_map = output_map or nn.Identity()
        self.memory = memory

    def forward(
        self, inputs: Tensor, dt: Tensor, state: State | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Outputs (B, T, O) after each step and the state after the last.

        Args:
            inputs: (B, T, I), held over their step.
            dt: (B, T) [s], length of each step, positive.
            state: before the first step; None = zero.
            mask: (B, T), False where there is no sample: state and outputs are held.

        Raises:
            ValueError: ``dt`` or ``mask`` is not (B, T), or ``dt`` is not positive where ``mask`` is True.
        """
        inputs, dt = present(inputs, dt, mask)
        if self.memory is None:
            neurons = self.cell(self.input_map(inputs), dt, None if state is None else state.neurons, mask)
            return self._read(neurons), State(neurons[:, -1])
        neurons, last = self._remember(self.memory, inputs, dt, state, mask)
        return self._read(neurons), last

    def _read(self, neurons: Tensor) -> Tensor:
        outputs: Tensor = self.output_map(neurons[..., -self.cell.motor :])
        return outputs

    def _remember(
        self, memory: nn.LSTMCell, inputs: Tensor, dt: Tensor, state: State | None, mask: Tensor | None
    ) -> tuple[Tensor, State]:
        """Neurons (B, T, N) and the last state where the memory writes them before each step."""
        zero = inputs.new_zeros(len(inputs), self.cell.neurons)
        neurons = zero if state is None else state.neurons
        kept = zero if state is None or state.memory is None else state.memory
        mapped, states = self.input_map(inputs), []
        for t in range(inputs.shape[1]):
            step = slice(t, t + 1)
            written, new = memory(inputs[:, t], (neurons, kept))
            now = None if mask is None else mask[:, step]
            if now is not None:
                written, new = torch.where(now, written, neurons), torch.where(now, new, kept)
            neurons, kept = self.cell(mapped[:, step], dt[:, step], written, now)[:, 0], new
            states.append(neurons)
        return torch.stack(states, dim=1), State(neurons, kept)


def lstm_memory(inputs: int, neurons: int, random: torch.Generator) -> nn.LSTMCell:
    """An LSTM cell drawn from ``random`` as torch draws it, but that starts by keeping: forget bias one."""
    with torch.random.fork_rng(devices=[]):
        cell = nn.LSTMCell(inputs, neurons)
    for parameter in cell.parameters():
        nn.init.uniform_(parameter, -(neurons**-0.5), neurons**-0.5, generator=random)
    with torch.no_grad():
        cell.bias_ih[neurons : 2 * neurons] = 1.0
        cell.bias_hh.zero_()
    return cell
