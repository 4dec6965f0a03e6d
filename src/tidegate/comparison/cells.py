# SPDX-License-Identifier: Apache-2.0
"""What the liquid cells are compared with: cells of the field, each carrying its whole state from frame to frame.

A cell is called with inputs (B, T, I), dt (B, T) [s] and the state (B, N) before the first frame (None = zero). It
returns what is read out (B, T, H) and the state after every frame (B, T, N), so that a sequence in one go is the same
as frame after frame. ``weights`` counts the parameters that have an effect of their own.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from tidegate.liquid.ltc import TAU_FAST, TAU_SLOW, inverse_softplus

WIDTH = 64
"""Units of the plain recurrent cells, as in Lechner et al. 2020."""


class PeerCell(nn.Module, ABC):
    """A cell with ``neurons`` numbers N of state, of which ``hidden`` values H are read out."""

    def __init__(self, neurons: int, hidden: int) -> None:
        super().__init__()
        self.neurons, self.hidden = neurons, hidden

    @abstractmethod
    def forward(self, inputs: Tensor, dt: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What is read out and the states, as this module says."""

    @property
    def weights(self) -> int:
        """Parameters with an effect of their own."""
        return sum(parameter.numel() for parameter in self.parameters())

    def start(self, inputs: Tensor, state: Tensor | None) -> Tensor:
        """The state (B, N) to begin with."""
        return inputs.new_zeros(len(inputs), self.neurons) if state is None else state


class LSTM(PeerCell):
    """Long short-term memory (Hochreiter and Schmidhuber 1997; Gers et al. 2000). It hears nothing of dt."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__(2 * width, width)
        self.cell = nn.LSTMCell(inputs, width)

    @property
    def weights(self) -> int:
        """torch has two biases where only their sum has an effect."""
        return super().weights - self.cell.bias_hh.numel()

    @staticmethod
    def count(inputs: int, width: int) -> int:
        """``weights`` of such a cell."""
        return 4 * width * (inputs + width + 1)

    def forward(self, inputs: Tensor, dt: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        hidden, memory = self.start(inputs, state).chunk(2, dim=-1)
        states = []
        for each in inputs.unbind(1):
            hidden, memory = self.cell(each, (hidden, memory))
            states.append(torch.cat([hidden, memory], dim=-1))
        made = torch.stack(states, dim=1)
        return made[..., : self.hidden], made


class GRU(PeerCell):
    """Gated recurrent unit (Cho et al. 2014), in torch's form. It hears nothing of dt."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__(width, width)
        self.cell = nn.GRU(inputs, width, batch_first=True)

    @property
    def weights(self) -> int:
        """Of torch's two biases only the sum has an effect in the two gates; the candidate needs both."""
        return super().weights - 2 * self.hidden

    def forward(self, inputs: Tensor, dt: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        made, _ = self.cell(inputs, self.start(inputs, state)[None].contiguous())
        return made, made


class CTRNN(PeerCell):
    """Continuous-time recurrent network (Funahashi and Nakamura 1993): τ dx/dt = −x + tanh(W [I, x] + b).

    The right side is held over a frame and the equation solved exactly: x ← x + (1 − exp(−dt/τ)) (tanh(…) − x).
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__(width, width)
        self.drive = nn.Linear(inputs + width, width)
        self.raw_tau = nn.Parameter(inverse_softplus(torch.logspace(math.log10(TAU_FAST), math.log10(TAU_SLOW), width)))

    def forward(self, inputs: Tensor, dt: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        share = -torch.expm1(-dt[..., None] / nn.functional.softplus(self.raw_tau))
        now, states = self.start(inputs, state), []
        for each, part in zip(inputs.unbind(1), share.unbind(1), strict=True):
            now = now + part * (torch.tanh(self.drive(torch.cat([each, now], dim=-1))) - now)
            states.append(now)
        made = torch.stack(states, dim=1)
        return made, made


class TCN(PeerCell):
    """Temporal convolutions (Bai, Kolter and Koltun 2018): causal, dilated, residual; without their dropout and weight
    norm. Its state is what it heard in the frames that it still sees. It hears nothing of dt."""

    KERNEL, DILATIONS = 3, (1, 2, 4)

    def __init__(self, inputs: int, width: int) -> None:
        self.reach = (self.KERNEL - 1) * sum(self.DILATIONS)
        super().__init__(self.reach * inputs, width)
        self.lift = nn.Conv1d(inputs, width, 1)
        self.layers = nn.ModuleList(nn.Conv1d(width, width, self.KERNEL, dilation=by) for by in self.DILATIONS)

    def forward(self, inputs: Tensor, dt: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        before = self.start(inputs, state).view(len(inputs), self.reach, inputs.shape[-1])
        heard = torch.cat([before, inputs], dim=1)  # (B, reach + T, I)
        value = self.lift(heard.mT)
        for layer in self.layers:
            more = torch.relu(layer(value))
            value = value[..., -more.shape[-1] :] + more
        states = heard.unfold(1, self.reach, 1)[:, 1:].mT.flatten(2)
        return value.mT, states


class Memoryless(PeerCell):
    """One hidden layer that sees one frame alone; its state is empty."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__(0, width)
        self.layer = nn.Linear(inputs, width)

    def forward(self, inputs: Tensor, dt: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return torch.tanh(self.layer(inputs)), inputs.new_zeros(*inputs.shape[:2], 0)
