# SPDX-License-Identifier: Apache-2.0
"""The convolutional network that reads the road, for training; ``export`` turns it into what runs live."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from tidegate.perception.layout import CONVS, HIDDEN, LOG_SCALE_LIMIT, SIGNATURE_CONVS, lane_values, map_sizes
from tidegate.settings.perception import PerceptionSettings


class BackboneOutput(NamedTuple):
    """``features`` (M, F); ``lane`` (M, 2 + K) [m, rad, 1/m…]; ``lane_log_scale`` (M, 2 + K) log of its error scale."""

    features: Tensor
    lane: Tensor
    lane_log_scale: Tensor


class Backbone(nn.Module):
    """Five convolutions and a dense layer, shared by the features and the lane head."""

    lane_scale: Tensor

    def __init__(self, settings: PerceptionSettings) -> None:
        """Draw initial weights from torch's global generator."""
        super().__init__()
        channels = [3, *(conv.channels for conv in CONVS)]
        self.convs = nn.ModuleList(
            nn.Conv2d(before, conv.channels, conv.kernel, conv.stride, conv.kernel // 2)
            for before, conv in zip(channels, CONVS, strict=False)
        )
        height, width = map_sizes(settings)[-1]
        values = lane_values(settings)
        self.hidden = nn.Linear(channels[-1] * height * width, HIDDEN)
        self.features = nn.Linear(HIDDEN, settings.features)
        self.lane = nn.Linear(HIDDEN, 2 * len(values))
        self.register_buffer("lane_scale", torch.tensor(values), persistent=False)
        for module in (*self.convs, self.hidden):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)
        nn.init.normal_(self.features.weight, std=2 / HIDDEN**0.5)  # features of about one, as the synapses expect

    @torch.no_grad()
    def signature(self, images: Tensor) -> Tensor:
        """Mean activation of each channel of the first convolutions, (M, S): what ``health.Training`` describes."""
        maps, means = images.contiguous(memory_format=torch.channels_last), []
        for conv in self.convs[: len(SIGNATURE_CONVS)]:
            maps = torch.relu(conv(maps))
            means.append(maps.mean(dim=(2, 3)))
        return torch.cat(means, dim=1)

    def forward(self, images: Tensor) -> BackboneOutput:
        """Read ``images`` (M, 3, h, w), as ``image.prepare`` makes them."""
        return self.heads(self.code(images))

    def code(self, images: Tensor) -> Tensor:
        """What is known of ``images`` (M, 3, h, w) before the heads, (M, HIDDEN)."""
        maps = images.contiguous(memory_format=torch.channels_last)
        for conv in self.convs:
            maps = torch.relu(conv(maps))
        return torch.relu(self.hidden(maps.flatten(1)))

    def heads(self, code: Tensor) -> BackboneOutput:
        """Features and lane from ``code`` (M, HIDDEN)."""
        value, log_scale = self.lane(code).chunk(2, dim=-1)
        log_scale = log_scale.clamp(-LOG_SCALE_LIMIT, LOG_SCALE_LIMIT) + self.lane_scale.log()
        return BackboneOutput(self.features(code), value * self.lane_scale, log_scale)
