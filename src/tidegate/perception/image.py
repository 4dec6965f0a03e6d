# SPDX-License-Identifier: Apache-2.0
"""From a camera image to the network's input: the same functions in training and on the robot."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tidegate.errors import ImageError
from tidegate.settings.perception import PerceptionSettings
from tidegate.settings.sensors import CameraSettings


def crop_rows(height: int, settings: PerceptionSettings) -> tuple[int, int]:
    """First row kept and first row cut off again, of an image ``height`` rows tall.

    Raises:
        ImageError: nothing is left.
    """
    top, bottom = round(height * settings.crop_top), height - round(height * settings.crop_bottom)
    if top >= bottom:
        raise ImageError(f"crop_top {settings.crop_top:g} and crop_bottom {settings.crop_bottom:g} leave no image")
    return top, bottom


def shrink(image: NDArray[np.uint8], settings: PerceptionSettings) -> NDArray[np.uint8]:
    """Crop and resize (H, W, 3) uint8 RGB to (input_height, input_width, 3), averaging over areas.

    Raises:
        ImageError: another shape or type.
    """
    check_kind(image)
    top, bottom = crop_rows(image.shape[0], settings)
    return resize(image[top:bottom], settings)


def resize(cropped: NDArray[np.uint8], settings: PerceptionSettings) -> NDArray[np.uint8]:
    """Resize a cropped image to the network's input, averaging over areas."""
    size = (settings.input_width, settings.input_height)
    return np.asarray(cv2.resize(cropped, size, interpolation=cv2.INTER_AREA), np.uint8)


def normalise(small: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Map (…, h, w, 3) uint8 to (…, 3, h, w) float32 in [−1, 1]."""
    moved = np.empty((*small.shape[:-3], 3, *small.shape[-3:-1]), np.float32)
    for channel in range(3):  # half the time of moving all axes at once
        moved[..., channel, :, :] = small[..., channel]
    moved *= np.float32(1 / 127.5)
    moved -= np.float32(1)
    return moved


def prepare(image: NDArray[np.uint8], settings: PerceptionSettings) -> NDArray[np.float32]:
    """``shrink``, then ``normalise``: (3, input_height, input_width) float32.

    Raises:
        ImageError: as ``shrink``.
    """
    return normalise(shrink(image, settings))


def check_kind(image: NDArray[Any]) -> None:
    """Refuse what is no image.

    Raises:
        ImageError: another shape or type than (H, W, 3) uint8.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ImageError(f"image is {image.shape} {image.dtype}; it must be (height, width, 3) uint8 RGB")


def check_size(image: NDArray[Any], camera: CameraSettings) -> None:
    """Refuse an image that is not the camera's.

    Raises:
        ImageError: naming both sizes.
    """
    if image.shape[:2] != (camera.height, camera.width):
        seen = " × ".join(map(str, image.shape[1::-1]))
        raise ImageError(f"image is {seen} px; the camera was set up for {camera.width} × {camera.height} px")
