# SPDX-License-Identifier: Apache-2.0
"""The models that are compared: an LTC, and of nearly as many parameters a CfC, an LSTM and a GRU.

All are called ``model(inputs, dt)`` and answer with outputs (B, T, O) and a state.
"""

from __future__ import annotations

from enum import Enum

import torch
from torch import Tensor, nn

from tidegate.liquid.cfc import CfC
from tidegate.liquid.ltc import LTC
from tidegate.liquid.network import Affine, LiquidNetwork
from tidegate.liquid.wiring import Wiring

SUBSTEPS = 2
"""Of the LTC's solver."""


class Kind(Enum):
    """Value: how it is called in tables."""

    LTC = "LTC"
    CFC = "CfC"
    LSTM = "LSTM"
    GRU = "GRU"


class Gated(nn.Module):
    """LSTM or GRU of torch to which dt is one more input, as dt / period − 1.

    Args:
        layer: ``nn.LSTM`` or ``nn.GRU``.
        inputs, units, outputs: I, N and O.
        period: usual dt [s].
    """

    def __init__(self, layer: type[nn.LSTM | nn.GRU], inputs: int, units: int, outputs: int, period: float) -> None:
        super().__init__()
        self.period = period
        self.recurrent = layer(inputs + 1, units, batch_first=True)
        self.read = nn.Linear(units, outputs)

    def forward(self, inputs: Tensor, dt: Tensor) -> tuple[Tensor, object]:
        """Outputs (B, T, O) and the last state for ``inputs`` (B, T, I) and ``dt`` (B, T) [s]."""
        units, state = self.recurrent(torch.cat((inputs, (dt / self.period - 1)[..., None]), dim=2))
        return self.read(units), state


def parameters(model: nn.Module) -> int:
    """How many numbers training may change."""
    return sum(parameter.numel() for parameter in model.parameters())


def build(
    kind: Kind, wiring: Wiring, outputs: int, period: float, tau: tuple[float, float], seed: int
) -> LiquidNetwork | Gated:
    """A model that has learned nothing yet.

    Args:
        kind: which.
        wiring: of LTC and CfC. LSTM and GRU have as many units as bring them nearest to the LTC's parameters.
        outputs: O.
        period: usual dt [s].
        tau: time constants of the LTC at the start [s].
        seed: draws the initial parameters.
    """
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    if kind is Kind.CFC:
        return LiquidNetwork(CfC(wiring, random), Affine(wiring.inputs), nn.Linear(wiring.motor, outputs))
    ltc = LiquidNetwork(LTC(wiring, SUBSTEPS, random, tau=tau), Affine(wiring.inputs), nn.Linear(wiring.motor, outputs))
    if kind is Kind.LTC:
        return ltc
    layer = nn.LSTM if kind is Kind.LSTM else nn.GRU

    def excess(units: int) -> int:
        with torch.device("meta"):
            return abs(parameters(Gated(layer, wiring.inputs, units, outputs, period)) - parameters(ltc))

    return Gated(layer, wiring.inputs, min(range(1, 2 * wiring.neurons), key=excess), outputs, period)
