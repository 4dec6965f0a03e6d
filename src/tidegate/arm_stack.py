# SPDX-License-Identifier: Apache-2.0
"""An arm's picture and senses to its tool's aim: what is trained and becomes a bundle."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tidegate.bundle import Bundle
from tidegate.liquid.generators import ncp
from tidegate.liquid.wired import WiredCell
from tidegate.liquid.wiring import TOOL_HEARS, TOOL_MOTORS
from tidegate.perception.places import Places, Scale
from tidegate.perception.places_export import export_places
from tidegate.settings.arm import ArmSettings
from tidegate.settings.arm_policy import ToolScales, network_settings


class ArmStack(nn.Module):
    """Sight and liquid network of an arm's policy. Between them ``tool_policy.heard`` puts what is seen and what is
    sensed together; it has nothing to learn."""

    def __init__(self, settings: ArmSettings, seed: int) -> None:
        """Draw wiring and weights from ``seed``; torch's global generator is left as it was.

        Raises:
            SettingsError: the wiring asked for cannot be drawn.
        """
        super().__init__()
        self.settings = settings
        self.perception, policy = network_settings(settings.camera, settings.policy)
        self.scale = sight_scale(settings.policy.tool)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.sight = Places(self.perception, self.scale)
        wiring = ncp(len(TOOL_HEARS), policy, seed, len(TOOL_MOTORS))
        self.policy = WiredCell(wiring, policy, torch.Generator().manual_seed(seed))

    def forward(self, heard: Tensor, dt: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs (B, T, 4) of the motor neurons and neurons (B, T, N).

        Args:
            heard: (B, T, 19) as ``tool_policy.heard`` makes them.
            dt: (B, T) [s] since the picture before.
            state: (B, N) neurons before the first picture; None = zero.
        """
        return self.policy.outputs(heard, dt, state)

    def to_bundle(self, name: str, training: dict[str, Any] | None = None) -> Bundle:
        """Pack the network; ``training`` is the record of how it was trained."""
        arrays = {f"liquid.{key}": value.detach().numpy() for key, value in self.policy.state_dict().items()}
        weights = {key: value.detach().numpy() for key, value in self.sight.state_dict().items()}
        return Bundle(
            name=name,
            robot=self.settings.arm.name,
            mass_kg=0.0,
            wiring=self.policy.wiring.to_dict(),
            perception=self.perception,
            policy=self.policy.settings,
            arrays=arrays,
            backbone=export_places(weights, self.perception, *self.scale),
            tool=self.settings.policy.tool,
            training=training or {},
        )


def sight_scale(tool: ToolScales) -> Scale:
    """Of what a sight tells (8,): a goal's place and extent, an obstacle's place, and whether there is one."""
    unit, zero = [*[tool.place] * 7, 1.0], [*tool.centre, 0.0, *tool.centre, 0.0]
    return Scale(np.array(unit, np.float32), np.array(zero, np.float32))
