# SPDX-License-Identifier: Apache-2.0
"""What the training data cover: at which speeds it was driven, and in which light."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from tidegate.bag import Drive
from tidegate.perception.health import saturated_share

SHARES = (0.01, 0.5, 0.99)
EVERY = 4
"""Frames of a drive between two pictures that are measured: neighbours look alike."""


def seen_range(drives: Sequence[Drive], saturated_level: int) -> dict[str, list[float]]:
    """The quantiles ``SHARES`` of the speed [m/s] and of what image health judges, by its names: ``mean``, ``contrast``
    (standard deviation) and ``saturated_share`` of the pictures as the network sees them, not yet augmented."""
    pictures = [image for drive in drives for image in drive.images[::EVERY]]
    light = [cv2.meanStdDev(image.reshape(-1, 1)) for image in pictures]
    values: dict[str, list[float]] = {
        "speed": [one for drive in drives for one in drive.speed.tolist()],
        "mean": [mean.item() for mean, _ in light],
        "contrast": [deviation.item() for _, deviation in light],
        "saturated_share": [saturated_share(image, saturated_level) for image in pictures],
    }
    return {name: [float(f"{one:.4g}") for one in np.quantile(found, SHARES)] for name, found in values.items()}
