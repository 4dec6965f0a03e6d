# SPDX-License-Identifier: Apache-2.0
"""What the camera backbone sees and when its input is not to be trusted."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.settings.schema import setting


@dataclass(frozen=True, slots=True)
class PerceptionSettings:
    """Image crop and size, features, lane preview, health thresholds."""

    crop_top: float = setting(0.3, "1", "share of the image height cut off at the top (sky)", low=0, high=0.9)
    crop_bottom: float = setting(0.0, "1", "share of the image height cut off at the bottom", low=0, high=0.9)
    input_height: int = setting(48, "px", "height of the network's input", low=16, high=512)
    input_width: int = setting(96, "px", "width of the network's input", low=16, high=1024)
    features: int = setting(32, "1", "features handed to the liquid network", low=1, high=1024)
    preview_m: tuple[float, ...] = setting(
        (0.0, 12.0, 24.0, 36.0), "m", "distances ahead at which the lane's curvature is estimated", low=0, high=200
    )
