# SPDX-License-Identifier: Apache-2.0
"""JPEG and PNG, as ``compressed_image_transport`` publishes them; nothing is decoded before its size is known."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import ImageError

LARGEST_PIXELS = 1 << 25
"""An image of more is refused: 100 MB once decoded, from a few kB."""
JPEG, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
PNG, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
FRAME_HEADERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers of JPEG's SOF segments, of whatever coding; those left out hold tables."""
TRAILING = 64
"""Bytes that some cameras add after the end."""


def decompress(data: bytes) -> NDArray[np.uint8]:
    """The image (H, W, 3) in RGB.

    Raises:
        ImageError: neither JPEG nor PNG, cut off, corrupt, or more than ``LARGEST_PIXELS``.
    """
    import cv2  # nodes that see no images do without it

    width, height = size(data)
    if not 0 < width * height <= LARGEST_PIXELS:
        raise ImageError(f"compressed image of {width} × {height} px; it must have 1 to {LARGEST_PIXELS} pixels")
    if (PNG_END if data.startswith(PNG) else JPEG_END) not in data[-TRAILING:]:
        raise ImageError(f"compressed image of {width} × {height} px is cut off after {len(data)} bytes")
    try:
        found: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise ImageError(f"compressed image cannot be decoded ({error.err})") from error
    if found is None or found.shape != (height, width, 3):
        raise ImageError(f"compressed image of {width} × {height} px cannot be decoded")
    return np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB), np.uint8)


def size(data: bytes) -> tuple[int, int]:
    """Width and height [px] as the header says (ISO/IEC 15948 11.2.2; ITU-T T.81 B.2.2).

    Raises:
        ImageError: neither JPEG nor PNG, or the header is cut off.
    """
    if data.startswith(PNG):
        if len(data) >= 24 and data[12:16] == b"IHDR":
            return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    elif data.startswith(JPEG):
        place = 2
        while place + 9 <= len(data) and data[place] == 0xFF:
            marker = data[place + 1]
            if marker in FRAME_HEADERS:
                height, width = (int.from_bytes(data[at : at + 2], "big") for at in (place + 5, place + 7))
                return width, height
            filled = marker == 0xFF  # any number of these may stand before a marker
            place += 1 if filled else 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    else:
        raise ImageError(f"compressed image begins with {data[:8].hex(' ') or 'nothing'}; it must be JPEG or PNG")
    raise ImageError(f"compressed image of {len(data)} bytes has no size in its header")
