# SPDX-License-Identifier: Apache-2.0
"""What the camera backbone sees and when its input is not to be trusted."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.settings.schema import setting


@dataclass(frozen=True, slots=True)
class PerceptionSettings:
    """Image crop and size, features, lane preview, health thresholds.

    What shapes the network (down to ``lane_curvature_scale``) is taken from the bundle once one is loaded: it was
    trained so. The thresholds below it are the robot's and are taken from its YAML.
    """

    crop_top: float = setting(0.3, "1", "share of the image height cut off at the top (sky)", low=0, high=0.9)
    crop_bottom: float = setting(0.0, "1", "share of the image height cut off at the bottom", low=0, high=0.9)
    input_height: int = setting(48, "px", "height of the network's input", low=16, high=512)
    input_width: int = setting(96, "px", "width of the network's input", low=16, high=1024)
    features: int = setting(32, "1", "features handed to the liquid network", low=1, high=1024)
    preview_m: tuple[float, ...] = setting(
        (0.0, 12.0, 24.0, 36.0), "m", "distances ahead at which the lane's curvature is estimated", low=0, high=200
    )
    offset_scale: float = setting(1.0, "m", "lane offset of a head output of one", low=0.01, high=10)
    heading_scale: float = setting(0.1, "rad", "lane heading of a head output of one", low=0.001, high=3)
    lane_curvature_scale: float = setting(0.02, "1/m", "lane curvature of a head output of one", low=1e-4, high=2)

    saturated_level: int = setting(250, "1", "a pixel of which a channel reaches this is saturated", low=128, high=255)
    saturated_share: float = setting(
        0.48, "1", "share of saturated pixels from which an image is over-exposed", low=0.01, high=1
    )
    black_level: float = setting(6.0, "1", "mean below which an image is black (of 255)", low=0, high=128)
    contrast_min: float = setting(6.0, "1", "standard deviation below which an image shows nothing (of 255)", low=0)
    frozen_frames: int = setting(
        4, "1", "images in a row, the same as one of those before, from which the camera is frozen", low=2, high=1000
    )
    outlier_factor: float = setting(
        1.6, "1", "distance from the training images that is out of distribution, in training quantiles", low=1, high=20
    )
    outlier_frames: int = setting(
        3, "1", "frames in a row beyond (within) it that raise (clear) the alarm", low=1, high=100
    )
