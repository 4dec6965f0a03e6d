# SPDX-License-Identifier: Apache-2.0
"""Features and speed → liquid neurons → command and gains, for training; ``policy.py`` is its live twin."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from tidegate.liquid.cfc import CfC
from tidegate.liquid.ltc import LTC
from tidegate.liquid.wiring import Wiring
from tidegate.settings.policy import PolicySettings


class PolicyOutput(NamedTuple):
    """``acceleration`` [m/s²] and ``curvature`` [1/m] (B, T), ``gains`` [1/s] (B, T, G), ``neurons`` (B, T, N)."""

    acceleration: Tensor
    curvature: Tensor
    gains: Tensor
    neurons: Tensor


class WiredCell(nn.Module):
    """Affine input map, liquid cell, affine output of the motor neurons."""

    def __init__(self, wiring: Wiring, settings: PolicySettings, random: torch.Generator) -> None:
        super().__init__()
        self.settings = settings
        self.wiring = wiring
        self.input_weight = nn.Parameter(torch.ones(wiring.inputs))
        self.input_bias = nn.Parameter(torch.zeros(wiring.inputs))
        self.cell: LTC | CfC
        if settings.cell == "ltc":
            self.cell = LTC(wiring, settings.substeps, random, solver=settings.solver)
        else:
            self.cell = CfC(wiring, random)
        self.output_weight = nn.Parameter(torch.ones(wiring.motor))
        self.output_bias = nn.Parameter(torch.zeros(wiring.motor))

    def outputs(self, inputs: Tensor, dt: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs (B, T, motor) and neurons (B, T, N) after each step.

        Args:
            inputs: (B, T, I); dt: (B, T) [s] since the frame before.
            state: (B, N) neurons before the first frame; None = zero.
        """
        neurons = self.cell(inputs * self.input_weight + self.input_bias, dt, state)
        return neurons[..., self.wiring.layers[2]] * self.output_weight + self.output_bias, neurons


class WiredPolicy(WiredCell):
    """A car's: with a bounded read-out of the command neurons."""

    def __init__(self, wiring: Wiring, settings: PolicySettings, random: torch.Generator) -> None:
        super().__init__(wiring, settings, random)
        self.gain_weight = nn.Parameter(torch.zeros(wiring.command, len(settings.gain_names)))
        self.gain_bias = nn.Parameter(torch.zeros(len(settings.gain_names)))

    def forward(self, features: Tensor, speed: Tensor, dt: Tensor, state: Tensor | None = None) -> PolicyOutput:
        """Step through time.

        Args:
            features: (B, T, F); speed: (B, T) [m/s]; dt: (B, T) [s] since the frame before.
            state: (B, N) neurons before the first frame; None = zero.
        """
        settings = self.settings
        inputs = torch.cat([features, speed[..., None] / settings.speed_scale], dim=-1)
        output, neurons = self.outputs(inputs, dt, state)
        share = torch.sigmoid(neurons[..., self.wiring.layers[1]] @ self.gain_weight + self.gain_bias)
        return PolicyOutput(
            acceleration=output[..., 0] * settings.acceleration_scale,
            curvature=output[..., 1] * settings.curvature_scale,
            gains=settings.gain_low + (settings.gain_high - settings.gain_low) * share,
            neurons=neurons,
        )
