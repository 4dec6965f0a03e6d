# SPDX-License-Identifier: Apache-2.0
"""Shapes in the car's frame as ``visualization_msgs/MarkerArray``, for RViz and Foxglove."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from zlib import crc32

from tidegate.messages.common import set_time, stamped
from tidegate.messages.topics import MARKER, MARKERS, POINT, Make
from tidegate.records import Floats, nanoseconds

Colour = tuple[float, float, float, float]
"""Red, green, blue, opacity, 0 to 1 each."""
BASE = "base_link"
LIFETIME_S = 0.5
"""A shape that is not drawn anew vanishes: what is not known any more is not shown."""
_TYPES = {"line": 4, "arrow": 0, "text": 9}  # visualization_msgs/Marker: LINE_STRIP, ARROW, TEXT_VIEW_FACING


@dataclass(frozen=True, slots=True)
class Shape:
    """A ``line`` through ``points`` (N, 3) [m], an ``arrow`` from the first to the last, or a ``text`` at the first.

    ``name`` is its own within ``group``, which viewers switch on and off; ``size`` [m] is width or height of letters.
    """

    group: str
    name: str
    kind: Literal["line", "arrow", "text"]
    points: Floats
    colour: Colour
    size: float
    text: str = ""


def encode_shapes(stamp: int, shapes: Iterable[Shape], make: Make) -> Any:
    """A MarkerArray of all ``shapes``, in the frame ``base_link``; a shape has the same number every time."""
    array = make(MARKERS)
    array.markers = [_marker(stamp, shape, make) for shape in shapes]
    return array


def _marker(stamp: int, shape: Shape, make: Make) -> Any:
    marker = stamped(MARKER, stamp, make, BASE)
    marker.ns, marker.type, marker.action = shape.group, _TYPES[shape.kind], 0
    marker.id = crc32(shape.name.encode()) >> 1  # of 31 bits
    set_time(marker.lifetime, nanoseconds(LIFETIME_S))
    marker.pose.orientation.w = 1.0
    marker.color.r, marker.color.g, marker.color.b, marker.color.a = shape.colour
    if shape.kind == "text":
        position = marker.pose.position
        position.x, position.y, position.z = shape.points[0].tolist()
        marker.scale.z, marker.text = shape.size, shape.text
        return marker
    if shape.kind == "arrow":  # shaft, head
        marker.scale.x, marker.scale.y = shape.size, 2.5 * shape.size
    else:
        marker.scale.x = shape.size
    ends = shape.points[[0, -1]] if shape.kind == "arrow" else shape.points
    marker.points = [_point(row, make) for row in ends.tolist()]
    return marker


def _point(row: Sequence[float], make: Make) -> Any:
    point = make(POINT)
    point.x, point.y, point.z = row
    return point
