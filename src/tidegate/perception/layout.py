# SPDX-License-Identifier: Apache-2.0
"""Shape of the backbone, known to its training form, its export and its saliency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegate.settings.perception import PerceptionSettings


@dataclass(frozen=True, slots=True)
class Conv:
    """A convolution with ReLU, padded by ``kernel // 2``."""

    channels: int
    kernel: int
    stride: int

    def size(self, size: int) -> int:
        """Length of the output along a side of length ``size``."""
        return (size + 2 * (self.kernel // 2) - self.kernel) // self.stride + 1


CONVS = (Conv(8, 5, 2), Conv(24, 3, 2), Conv(32, 3, 2), Conv(64, 3, 2), Conv(64, 3, 1))
HIDDEN = 64

PLACE_CONVS = (Conv(16, 5, 2), Conv(32, 3, 2), Conv(32, 3, 1), Conv(32, 3, 1))
PLACE_HIDDEN = 96
"""Of an arm's sight, which tells where things are; its last maps have no ReLU."""

SIGNATURE_CONVS = CONVS[:3]
"""Convolutions whose mean activation per channel is the signature of an image: what out-of-distribution is judged by.

The features themselves tell little: trained to ignore what does not matter, they are no further from those of
training for noise or an inverted image than for a road (0.3 of the training quantile; the signature: 2 to 5).
"""

LOG_SCALE_LIMIT = 6.0
"""The lane head's log-scales stay within ± this of the settings' scales: exp never overflows."""


def map_sizes(settings: PerceptionSettings) -> list[tuple[int, int]]:
    """(height, width) of the input and of each convolution's output."""
    sizes = [(settings.input_height, settings.input_width)]
    for conv in CONVS:
        sizes.append((conv.size(sizes[-1][0]), conv.size(sizes[-1][1])))
    return sizes


def place_grid(settings: PerceptionSettings) -> NDArray[np.float32]:
    """x, y and x² + y² of every place of an arm's last maps (P, 3), row by row; the picture's longer half is one."""
    height, width = settings.input_height, settings.input_width
    for conv in PLACE_CONVS:
        height, width = conv.size(height), conv.size(width)
    longer = max(height, width)
    x, y = ((2 * np.arange(count) + 1 - count) / longer for count in (width, height))
    columns, rows = np.meshgrid(x, y)
    places: NDArray[np.float32] = np.stack((columns, rows, columns**2 + rows**2), axis=-1).astype(np.float32)
    return places.reshape(-1, 3)


def lane_values(settings: PerceptionSettings) -> list[float]:
    """Scale of each lane value (2 + K,): offset [m], heading [rad], curvatures [1/m]."""
    curvatures = [settings.lane_curvature_scale] * len(settings.preview_m)
    return [settings.offset_scale, settings.heading_scale, *curvatures]
