# SPDX-License-Identifier: Apache-2.0
"""A camera's image as a view of its serialised message: no pixel is copied.

``sensor_msgs/msg/Image`` and ``CompressedImage`` in CDR, as the OMG's DDSI-RTPS lays it down (10.2) and every ROS 2
middleware sends it: four bytes that tell the order of bytes, then the fields in order, each number at a multiple of its
size from there.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import MessageError
from tidegate.messages.topics import COMPRESSED_IMAGE, IMAGE

ORDERS = {b"\x00\x00": ">", b"\x00\x01": "<"}
"""Plain CDR, which ROS 2 messages are sent in."""
HEAD = 4


@dataclass(slots=True)
class ImageView:
    """The fields of an image that are read here, by the names of ``sensor_msgs/msg/Image``; ``data`` is a view."""

    header: Any
    height: int
    width: int
    encoding: str
    step: int
    data: NDArray[np.uint8]


@dataclass(slots=True)
class CompressedView:
    """The same of ``sensor_msgs/msg/CompressedImage``."""

    header: Any
    format: str
    data: NDArray[np.uint8]


@dataclass(slots=True)
class _Stamp:
    sec: int
    nanosec: int


@dataclass(slots=True)
class _Header:
    stamp: _Stamp
    frame_id: str


class _Fields:
    """Reads one field of CDR after the other."""

    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, HEAD
        order = ORDERS.get(data[:2])
        if order is None or len(data) < HEAD:
            raise MessageError(f"image is not plain CDR: it begins with {data[:HEAD].hex() or 'nothing'}")
        self._order = order

    def number(self, kind: str) -> int:
        """``i`` and ``I`` of four bytes, ``B`` of one."""
        form = struct.Struct(self._order + kind)
        self.at += -(self.at - HEAD) % form.size
        try:
            (value,) = form.unpack_from(self._data, self.at)
        except struct.error:
            raise MessageError(f"image of {len(self._data)} bytes ends before its byte {self.at + form.size}") from None
        self.at += form.size
        return int(value)

    def text(self) -> str:
        """A string: its length with the zero at its end, then that."""
        piece = self.piece(self.number("I"))
        if piece[-1:] != b"\x00" or b"\x00" in piece[:-1]:
            raise MessageError("image has a text that does not end where it says")
        try:
            return piece[:-1].decode("utf-8")
        except UnicodeDecodeError as error:
            raise MessageError(f"image has a text that is no UTF-8 ({error.reason})") from error

    def piece(self, size: int) -> bytes:
        """So many bytes."""
        if size > len(self._data) - self.at:
            raise MessageError(f"image of {len(self._data)} bytes says that {size} follow byte {self.at}")
        self.at += size
        return self._data[self.at - size : self.at]

    def header(self) -> _Header:
        """``std_msgs/msg/Header``."""
        return _Header(_Stamp(self.number("i"), self.number("I")), self.text())

    def rest(self) -> NDArray[np.uint8]:
        """The bytes of the last field, as a view."""
        size = self.number("I")
        if size > len(self._data) - self.at:
            raise MessageError(f"image of {len(self._data)} bytes says that {size} of pixels follow byte {self.at}")
        return np.frombuffer(self._data, np.uint8, size, self.at)


def view_image(data: bytes) -> ImageView:
    """The image in a serialised message.

    Raises:
        MessageError: the bytes are not one whole image.
    """
    fields = _Fields(data)
    header = fields.header()
    height, width, encoding = fields.number("I"), fields.number("I"), fields.text()
    fields.number("B")  # is_bigendian: of no account for bytes
    return ImageView(header, height, width, encoding, fields.number("I"), fields.rest())


def view_compressed(data: bytes) -> CompressedView:
    """The compressed image in a serialised message.

    Raises:
        MessageError: the bytes are not one whole message.
    """
    fields = _Fields(data)
    return CompressedView(fields.header(), fields.text(), fields.rest())


VIEWS = {IMAGE: view_image, COMPRESSED_IMAGE: view_compressed}
"""By the ROS type of a topic of pictures."""
