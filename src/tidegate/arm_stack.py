# SPDX-License-Identifier: Apache-2.0
"""An arm's picture and senses to its tool's aim as one differentiable module; what becomes a bundle."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tidegate.bundle import Bundle
from tidegate.liquid.generators import ncp
from tidegate.liquid.wired import WiredCell
from tidegate.liquid.wiring import SENSES, TOOL_MOTORS
from tidegate.perception.backbone import Backbone
from tidegate.perception.export import export_backbone
from tidegate.settings.arm import ArmSettings
from tidegate.settings.arm_policy import network_settings

SIGHTS = 7
"""Values of the head that tells where things are (``ArmTask.sights``)."""


class ArmStack(nn.Module):
    """Backbone and liquid network of an arm's policy."""

    def __init__(self, settings: ArmSettings, seed: int) -> None:
        """Draw wiring and weights from ``seed``; torch's global generator is left as it was.

        Raises:
            SettingsError: the wiring asked for cannot be drawn.
        """
        super().__init__()
        self.settings = settings
        self.perception, policy = network_settings(settings.camera, settings.policy)
        self.scales = [settings.policy.tool.place] * SIGHTS
        wiring = ncp(self.perception.features + len(SENSES), policy, seed, len(TOOL_MOTORS))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.backbone = Backbone(self.perception, self.scales)
        self.policy = WiredCell(wiring, policy, torch.Generator().manual_seed(seed))

    def forward(self, code: Tensor, senses: Tensor, dt: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs (B, T, 4) of the motor neurons and neurons (B, T, N).

        Args:
            code: (B, T, C) of the pictures, as ``backbone.code`` makes them.
            senses: (B, T, 9) as ``tool_policy.scaled`` makes them.
            dt: (B, T) [s] since the picture before.
            state: (B, N) neurons before the first picture; None = zero.
        """
        features = self.backbone.features(code)
        return self.policy.outputs(torch.cat([features, senses], dim=-1), dt, state)

    def to_bundle(self, name: str, training: dict[str, Any] | None = None) -> Bundle:
        """Pack the network; ``training`` is the record of how it was trained."""
        arrays = {f"liquid.{key}": value.detach().numpy() for key, value in self.policy.state_dict().items()}
        weights = {key: value.detach().numpy() for key, value in self.backbone.state_dict().items()}
        return Bundle(
            name=name,
            robot=self.settings.arm.name,
            mass_kg=0.0,
            wiring=self.policy.wiring.to_dict(),
            perception=self.perception,
            policy=self.policy.settings,
            arrays=arrays,
            backbone=export_backbone(weights, self.perception, self.scales),
            tool=self.settings.policy.tool,
            training=training or {},
        )
