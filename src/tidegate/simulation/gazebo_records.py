# SPDX-License-Identifier: Apache-2.0
"""What Gazebo's sensors say as our records, and in step with the world; knows the messages by their fields alone."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Generic, TypeVar

import numpy as np

from tidegate.errors import SceneError
from tidegate.records import NANOSECONDS, Frame, Imu, Points, nanoseconds, seconds

Record = TypeVar("Record", Frame, Imu, Points)

RGB8 = 3
"""``gz.msgs.PixelFormatType``."""
KINDS = ("i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8")
"""Types of NumPy in the order of ``gz.msgs.PointCloudPacked.Field.DataType``."""
PATIENCE_S = 20.0
"""A picture drawn without a graphics card takes its time."""


def stamp_of(message: Any) -> int:
    """When a message's content was measured [ns]."""
    stamp = message.header.stamp
    return int(stamp.sec) * NANOSECONDS + int(stamp.nsec)


def frame_of(message: Any) -> Frame:
    """A ``gz.msgs.Image``.

    Raises:
        SceneError: it is not 8-bit RGB, or has another number of bytes than its size says.
    """
    width, height, step, data = int(message.width), int(message.height), int(message.step), message.data
    if message.pixel_format_type != RGB8 or step < 3 * width or len(data) != step * height:
        raise SceneError(
            f"Gazebo's camera gave {width} × {height} pixels of format {message.pixel_format_type} in {len(data)} "
            f"bytes, {step} a row; it must be RGB_INT8 ({RGB8})"
        )
    rows = np.frombuffer(data, np.uint8).reshape(height, step)[:, : 3 * width]
    return Frame(stamp_of(message), rows.reshape(height, width, 3).copy())


def points_of(message: Any, frame: str) -> Points:
    """The returns of a ``gz.msgs.PointCloudPacked`` in the link ``frame``; beams that hit nothing are left out.

    Raises:
        SceneError: a field is missing, or it has another number of bytes than it says.
    """
    layout = {field.name: (int(field.offset), KINDS[field.datatype]) for field in message.field}
    names = ("x", "y", "z", "ring")
    missing = [name for name in names if name not in layout]
    count, step = int(message.width) * int(message.height), int(message.point_step)
    if missing or len(message.data) != count * step:
        raise SceneError(
            f"Gazebo's range sensor gave {count} points of {step} bytes with {', '.join(layout) or 'no fields'} in "
            f"{len(message.data)} bytes; it must have {', '.join(names)}"
        )
    order = ">" if message.is_bigendian else "<"
    kind = np.dtype(
        {
            "names": names,
            "formats": [order + layout[name][1] for name in names],
            "offsets": [layout[name][0] for name in names],
            "itemsize": step,
        }
    )
    points = np.frombuffer(message.data, kind)
    xyz = np.stack([points[name].astype(np.float32) for name in "xyz"], axis=1)
    hit = np.isfinite(xyz).all(axis=1)
    return Points(stamp_of(message), xyz[hit], points["ring"][hit].astype(np.int32), frame)


def imu_of(message: Any) -> Imu:
    """A ``gz.msgs.IMU``."""
    turn, push = message.angular_velocity, message.linear_acceleration
    return Imu(stamp_of(message), np.array([turn.x, turn.y, turn.z]), np.array([push.x, push.y, push.z]))


class Inbox(Generic[Record]):
    """What one sensor sent: put in by the middleware's thread, fetched by whoever steps the world.

    A world that stands still sends no more, but what it sent may be on its way: what is due is waited for.
    """

    def __init__(self, sensor: str, rate_hz: float, patience_s: float = PATIENCE_S) -> None:
        """``patience_s`` [s] of real time that a record may be on its way."""
        self._sensor, self._period, self._patience = sensor, nanoseconds(1 / rate_hz), patience_s
        self._arrived = threading.Condition()
        self._waiting: deque[Record] = deque()
        self.last: int | None = None
        """Stamp of the newest that was fetched [ns]; None = nothing came yet, and nothing is due."""

    def put(self, record: Record) -> None:
        """Take in a record; stamps never run back."""
        with self._arrived:
            self._waiting.append(record)
            self._arrived.notify()

    def fetch(self, now: int) -> Record | None:
        """The newest record of up to ``now`` [ns]; None = nothing new was due.

        Raises:
            SceneError: what is due did not come.
        """
        newest = None
        with self._arrived:
            if self.last is not None and self.last + self._period <= now:
                came = self._arrived.wait_for(lambda: self._has(now), self._patience)
                if not came:
                    raise SceneError(
                        f"Gazebo's {self._sensor} gave nothing between {seconds(self.last):.3f} and "
                        f"{seconds(now):.3f} s of simulated time"
                    )
            while self._has(now):
                newest = self._waiting.popleft()
                self.last = newest.stamp
        return newest

    def _has(self, now: int) -> bool:
        return bool(self._waiting) and self._waiting[0].stamp <= now
