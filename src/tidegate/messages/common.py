# SPDX-License-Identifier: Apache-2.0
"""What every message needs: its stamp, and arrays set without a Python list."""

from __future__ import annotations

import array
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.errors import MessageError
from tidegate.messages.topics import Make
from tidegate.records import NANOSECONDS


def stamp_of(message: Any) -> int:
    """The stamp [ns] in the message's header.

    Raises:
        MessageError: it is none; what is made of the message could not carry it.
    """
    return time_of(message.header.stamp)


def time_of(time: Any) -> int:
    """A ``builtin_interfaces/Time`` in [ns].

    Raises:
        MessageError: it is none.
    """
    sec, nanosec = int(time.sec), int(time.nanosec)
    if nanosec >= NANOSECONDS:
        raise MessageError(f"a time of {sec} s has {nanosec} ns besides; it must be less than {NANOSECONDS}")
    return sec * NANOSECONDS + nanosec


def serialised_stamp(data: bytes) -> int | None:
    """The stamp [ns] that serialised data (CDR) of a message with a header begins with; None = no room for one, or what
    is there is none."""
    if len(data) < 12:
        return None
    sec, nanosec = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return None if nanosec >= NANOSECONDS else int(sec) * NANOSECONDS + int(nanosec)


def clock_of(message: Any) -> int:
    """The time [ns] that a message of ``/clock`` tells.

    Raises:
        MessageError: it is none.
    """
    return time_of(message.clock)


def set_time(time: Any, stamp: int) -> None:
    time.sec, time.nanosec = divmod(stamp, NANOSECONDS)


def stamped(type_name: str, stamp: int, make: Make, frame_id: str = "") -> Any:
    message = make(type_name)
    set_time(message.header.stamp, stamp)
    message.header.frame_id = frame_id
    return message


def assign(message: Any, name: str, values: NDArray[Any]) -> None:
    """Set an array field from NumPy through its bytes; rclpy checks any but ``array.array`` element by element."""
    present = getattr(message, name)
    if isinstance(present, array.array):
        filled = array.array(present.typecode)
        filled.frombytes(np.ascontiguousarray(values, np.dtype(present.typecode)).tobytes())
        setattr(message, name, filled)
    else:
        setattr(message, name, np.ascontiguousarray(values, present.dtype).reshape(-1))
