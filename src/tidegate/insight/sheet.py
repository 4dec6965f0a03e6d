# SPDX-License-Identifier: Apache-2.0
"""Many small pictures on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

BAND = 18
"""Height of the band with the name above a picture [px]."""


def sheet(tiles: Sequence[tuple[str, Image]], columns: int, scale: int = 2) -> Image:
    """Pictures (H, W, 3) RGB of one size, each ``scale`` times as large below its name, row after row."""
    made = [_tile(name, image, scale) for name, image in tiles]
    made += [np.full_like(made[0], 255)] * (-len(made) % columns)
    rows = [np.concatenate(made[first : first + columns], axis=1) for first in range(0, len(made), columns)]
    whole: Image = np.concatenate(rows)
    return whole


def write_png(path: Path, image: Image) -> None:
    """Write a picture (H, W, 3) RGB.

    Raises:
        OSError: it cannot be written.
    """
    path.write_bytes(cv2.imencode(".png", image[..., ::-1])[1].tobytes())


def _tile(name: str, image: Image, scale: int) -> Image:
    large = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    band = np.full((BAND, large.shape[1], 3), 255, np.uint8)
    cv2.putText(band, name, (4, BAND - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (28, 43, 51), 1, cv2.LINE_AA)
    tile: Image = np.concatenate([band, large])
    return tile
