# SPDX-License-Identifier: Apache-2.0
"""What curation keeps of a bag's pictures: a few bytes a frame, so that hours of driving fit into memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tidegate.bag import Drive, kept_drive
from tidegate.bag.reader import AS_IT_IS
from tidegate.perception.image import shrink
from tidegate.records import Floats
from tidegate.settings.perception import PerceptionSettings

WIDE, HIGH = 8, 8
"""Size [px] of the grey picture that is kept."""
PIXELS = WIDE * HIGH
MEAN, CONTRAST, SAME = PIXELS, PIXELS + 1, PIXELS + 2
"""Columns after the pixels: mean and standard deviation (of 255) of what the network would see, and whether it is the
frame before again (1) or not (0)."""
_VERSION = 1


class Glance:
    """Makes (PIXELS + 3,) uint8 of each frame of a drive, in order: the network's input, grey and smaller still."""

    def __init__(self, shape: PerceptionSettings) -> None:
        self._shape = shape
        self._last: NDArray[np.uint8] | None = None

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Of ``image`` (H, W, 3)."""
        small = shrink(image, self._shape)
        grey = cv2.resize(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), (WIDE, HIGH), interpolation=cv2.INTER_AREA)
        mean, contrast = (value.item() for value in cv2.meanStdDev(small.reshape(-1, 1)))
        same = self._last is not None and np.array_equal(small, self._last)
        self._last = small
        told = np.array([round(mean), min(255, round(contrast)), same], np.uint8)
        return np.asarray(np.concatenate([grey.ravel(), told]), np.uint8)


def look(
    path: Path, shape: PerceptionSettings, cache: Path | None = None, remap: Mapping[str, str] = AS_IT_IS
) -> tuple[Drive, str]:
    """A drive, labelled where the bag has labels, whose ``images`` are (T, PIXELS + 3) as ``Glance`` makes them, and
    the bag's hash.

    Raises:
        BagError: as ``align``.
    """
    seen = {name: value for name, value in asdict(shape).items() if name.startswith(("crop_", "input_"))}
    return kept_drive(path, Glance(shape), ["glance", _VERSION, WIDE, HIGH, seen], cache, remap, labels=None)


def blind(drive: Drive, shape: PerceptionSettings) -> NDArray[np.bool_]:
    """Frames (T,) that show nothing: black, without contrast, or frozen while the car moves."""
    seen = drive.images
    frozen = np.zeros(len(seen), bool)
    count = 1
    for index, same in enumerate(seen[:, SAME] > 0):
        count = count + 1 if same else 1
        if count >= shape.frozen_frames:
            frozen[index - count + 1 : index + 1] = True
    frozen &= np.abs(drive.speed) > 0.1  # what stands sees the same
    return np.asarray((seen[:, MEAN] < shape.black_level) | (seen[:, CONTRAST] < shape.contrast_min) | frozen)


def plain(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pictures (N, PIXELS) with mean zero and standard deviation one: the light is no part of the view."""
    values = pictures.astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    return np.asarray(values / np.maximum(values.std(axis=1, keepdims=True), 8.0), np.float32)


def brightness(drive: Drive) -> Floats:
    """Mean brightness (T,) of 255."""
    return drive.images[:, MEAN].astype(np.float64)
