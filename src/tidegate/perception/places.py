# SPDX-License-Identifier: Apache-2.0
"""The convolutional network that tells an arm where things are, for training; ``places_export`` makes what runs live.

The last maps are read by where they are strong, not by how strong: a softmax over each, and the mean and spread of the
places under it (Levine et al., End-to-end training of deep visuomotor policies, JMLR 17(39), 2016). A place so has
fractions of a pixel, and what moves in the picture moves the numbers alike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tidegate.perception.layout import PLACE_CONVS, PLACE_HIDDEN, place_grid
from tidegate.settings.perception import PerceptionSettings

Array = NDArray[np.float32]


class Scale(NamedTuple):
    """What one and zero of the head mean: values (V,) each, in the units of what it tells."""

    unit: Array
    zero: Array


class Places(nn.Module):
    """Four convolutions, the places of their maps, two dense layers."""

    grid: Tensor
    unit: Tensor
    zero: Tensor

    def __init__(self, settings: PerceptionSettings, scale: Scale) -> None:
        """Draw initial weights from torch's global generator."""
        super().__init__()
        channels = [3, *(conv.channels for conv in PLACE_CONVS)]
        self.convs = nn.ModuleList(
            nn.Conv2d(before, conv.channels, conv.kernel, conv.stride, conv.kernel // 2)
            for before, conv in zip(channels, PLACE_CONVS, strict=False)
        )
        self.hidden = nn.Linear(3 * channels[-1], PLACE_HIDDEN)
        self.head = nn.Linear(PLACE_HIDDEN, len(scale.unit))
        for name, values in (("grid", place_grid(settings)), ("unit", scale.unit), ("zero", scale.zero)):
            self.register_buffer(name, torch.from_numpy(values), persistent=False)
        for module in (*self.convs, self.hidden):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """What is told (M, V) of ``images`` (M, 3, h, w), as ``image.normalise`` makes them."""
        return self.read(self.maps(images))

    def maps(self, images: Tensor) -> Tensor:
        """The last maps (M, C, h', w'); half the digits are enough for them while they learn."""
        maps = images.contiguous(memory_format=torch.channels_last)
        for conv in self.convs[:-1]:
            maps = torch.relu(conv(maps))
        last: Tensor = self.convs[-1](maps)
        return last

    def read(self, maps: Tensor) -> Tensor:
        """What ``maps`` tell (M, V): by mean x, mean y and spread of the places under each."""
        x, y, square = (maps.flatten(2).softmax(dim=2) @ self.grid).unbind(dim=2)
        seen = torch.cat((x, y, square - x * x - y * y), dim=1)
        told: Tensor = self.head(torch.relu(self.hidden(seen))) * self.unit + self.zero
        return told
