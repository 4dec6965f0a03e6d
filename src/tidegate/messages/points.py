# SPDX-License-Identifier: Apache-2.0
"""Range returns as a point cloud; foreign clouds are read by their fields."""

from __future__ import annotations

from typing import Any

import numpy as np

from tidegate.errors import MessageError
from tidegate.messages.common import assign, stamp_of, stamped
from tidegate.messages.topics import CLOUD, POINT_FIELD, Make
from tidegate.records import Points

_POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("ring", "<u2")])
_POINT_FIELDS: Any = _POINT.fields
_KINDS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}  # sensor_msgs/PointField
_CODES = {kind: code for code, kind in _KINDS.items()}


def encode_points(record: Points, make: Make) -> Any:
    packed = np.empty(len(record.xyz), _POINT)
    for axis, name in enumerate("xyz"):
        packed[name] = record.xyz[:, axis]
    packed["ring"] = record.ring
    message = stamped(CLOUD, record.stamp, make, record.frame)
    message.height, message.width = 1, len(packed)
    message.point_step, message.row_step = _POINT.itemsize, packed.nbytes
    message.is_dense = True
    message.fields = []
    for name in _POINT_FIELDS:
        kind, offset = _POINT_FIELDS[name][:2]
        field = make(POINT_FIELD)
        field.name, field.offset, field.datatype, field.count = name, offset, _CODES[kind.str[1:]], 1
        message.fields.append(field)
    assign(message, "data", packed.view(np.uint8))
    return message


def decode_points(message: Any) -> Points:
    layout = {field.name: (int(field.offset), int(field.datatype)) for field in message.fields}
    missing = [name for name in ("x", "y", "z", "ring") if name not in layout]
    if missing:
        raise MessageError(f"point cloud has the fields {', '.join(layout) or 'none'}; it lacks {', '.join(missing)}")
    order = ">" if message.is_bigendian else "<"
    try:
        kind = np.dtype(
            {
                "names": ["x", "y", "z", "ring"],
                "formats": [order + _KINDS[layout[name][1]] for name in ("x", "y", "z", "ring")],
                "offsets": [layout[name][0] for name in ("x", "y", "z", "ring")],
                "itemsize": int(message.point_step),
            }
        )
    except (KeyError, ValueError) as error:
        told = ", ".join(f"{name} at byte {at} of type {code}" for name, (at, code) in layout.items())
        raise MessageError(f"point cloud of {message.point_step} bytes a point has {told}") from error
    count, data = int(message.height) * int(message.width), np.frombuffer(message.data, np.uint8)
    if len(data) != count * kind.itemsize:
        raise MessageError(f"point cloud of {count} points of {kind.itemsize} bytes has {len(data)} bytes")
    points = data.view(kind)
    with np.errstate(all="ignore"):  # whatever a scan holds; what is no ring is judged by who uses it
        xyz = np.stack([points[name].astype(np.float32) for name in "xyz"], axis=1)
        ring = points["ring"].astype(np.int32)
    return Points(stamp_of(message), xyz, ring, str(message.header.frame_id))
