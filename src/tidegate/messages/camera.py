# SPDX-License-Identifier: Apache-2.0
"""Images, vectors as one-row images, and the camera's intrinsics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import ImageError
from tidegate.messages.common import assign, stamp_of, stamped
from tidegate.messages.compressed import decompress
from tidegate.messages.topics import CAMERA_INFO, IMAGE, Make
from tidegate.records import CameraInfo, Features, Frame, Neurons
from tidegate.settings.sensors import CameraSettings

OPTICAL_FRAME = "camera_optical_frame"
"""Frame of pictures and intrinsics: z ahead, x right, y down (REP 103); fixed to ``camera_link``, which has x ahead."""


def camera_info(stamp: int, camera: CameraSettings) -> CameraInfo:
    """Intrinsics of the camera that the settings state: square pixels, no distortion, axis in the picture's centre.

    Pixel centres are at whole numbers, as calibrations of real cameras have them (OpenCV, REP 104).
    """
    focal = camera.height / 2 / math.tan(math.radians(camera.fov_deg) / 2)
    k = np.array([[focal, 0, (camera.width - 1) / 2], [0, focal, (camera.height - 1) / 2], [0, 0, 1.0]])
    return CameraInfo(stamp, camera.width, camera.height, k)


def encode_frame(frame: Frame, make: Make) -> Any:
    message = stamped(IMAGE, frame.stamp, make, OPTICAL_FRAME)
    message.height, message.width = frame.image.shape[:2]
    message.encoding = "rgb8"
    message.step = 3 * frame.image.shape[1]
    assign(message, "data", frame.image)
    return message


CHANNELS = {"rgb8": [0, 1, 2], "bgr8": [2, 1, 0], "rgba8": [0, 1, 2], "bgra8": [2, 1, 0], "mono8": [0, 0, 0]}
"""Where red, green and blue are in a pixel, by encoding."""
PIXEL_BYTES = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}


def decode_frame(message: Any) -> Frame:
    """Of an Image or a CompressedImage."""
    if hasattr(message, "format"):
        return Frame(stamp_of(message), decompress(bytes(message.data)))
    encoding = message.encoding
    if encoding not in CHANNELS:
        *others, last = CHANNELS
        raise ImageError(f"image has encoding {encoding!r}; it must be {', '.join(others)} or {last}")
    pixel, height, width = PIXEL_BYTES[encoding], int(message.height), int(message.width)
    image = _rows(message, pixel * width, np.uint8).reshape(height, width, pixel)
    if encoding != "rgb8":
        image = np.ascontiguousarray(image[..., CHANNELS[encoding]])
    return Frame(stamp_of(message), image)


def _rows(message: Any, used: int, kind: type) -> NDArray[Any]:
    """Rows (height, used bytes) of an image without the padding at their ends, seen as ``kind``.

    Raises:
        ImageError: the image holds less than its size says.
    """
    height, step, data = int(message.height), int(message.step), np.frombuffer(message.data, np.uint8)
    if used == 0 or height == 0 or step < used or len(data) != height * step:
        raise ImageError(
            f"image of {message.width} × {height} px {message.encoding} has rows of {step} bytes and {len(data)} bytes"
        )
    return np.ascontiguousarray(data.reshape(height, step)[:, :used]).view(kind)


def encode_vector(record: Features | Neurons, make: Make) -> Any:
    message = stamped(IMAGE, record.stamp, make)
    message.height, message.width, message.encoding = 1, len(record.values), "32FC1"
    message.step = 4 * len(record.values)
    assign(message, "data", np.ascontiguousarray(record.values, np.float32).view(np.uint8))
    return message


def vector(message: Any) -> NDArray[np.float32]:
    if message.encoding != "32FC1" or message.height != 1 or message.is_bigendian:
        order = "big" if message.is_bigendian else "little"
        told = f"{message.encoding}, {message.height} rows, {order}-endian"
        raise ImageError(f"vector is {told}; it must be 32FC1 in one row, little-endian")
    return np.asarray(_rows(message, 4 * int(message.width), np.float32)[0])


def encode_camera_info(info: CameraInfo, make: Make) -> Any:
    message = stamped(CAMERA_INFO, info.stamp, make, OPTICAL_FRAME)
    message.width, message.height = info.width, info.height
    message.distortion_model = info.distortion_model
    assign(message, "d", info.d)
    message.binning_x, message.binning_y = info.binning
    window = message.roi
    window.x_offset, window.y_offset, window.width, window.height = info.window
    message.k = np.asarray(info.k, np.float64).reshape(9)
    message.r = np.eye(3).reshape(9)
    message.p = np.concatenate([info.k, np.zeros((3, 1))], axis=1).reshape(12)
    return message


def decode_camera_info(message: Any) -> CameraInfo:
    window = message.roi
    return CameraInfo(
        stamp_of(message),
        int(message.width),
        int(message.height),
        np.array(message.k, np.float64).reshape(3, 3),
        str(message.distortion_model),
        np.array(message.d, np.float64),
        (int(message.binning_x), int(message.binning_y)),
        (int(window.x_offset), int(window.y_offset), int(window.width), int(window.height)),
    )
