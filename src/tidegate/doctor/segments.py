# SPDX-License-Identifier: Apache-2.0
"""Fast DDS's segments of shared memory: whose they are, how large, and whether their owner is no more.

A process locks the segments that are its own by a file beside each, which it keeps open as long as it lives.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tidegate.doctor.facts import MachineFacts
from tidegate.doctor.finding import Finding, ok, warn

MEMORY = Path("/dev/shm")
LOCK = re.compile(r"fastrtps_[0-9a-f]{16}_el")
FAST_DDS_VENDOR = b"\x01\x0f"
LEFT_OVER = 100
"""Segments of killed processes from which they are told of, half a MiB or more each. A graph of tidegate has a dozen;
beside a thousand nodes did not come up."""


def segment_of(publisher: bytes, here: bytes) -> int | None:
    """Shared memory segment [B] of the process that has the endpoint ``publisher``; None = it cannot be told.

    Both are identifiers of endpoints (RTPS GUIDs), ``here`` of one on this machine. Fast DDS makes them of its vendor's
    number, two bytes of the host's addresses and the low half of the process's number.
    """
    if len(publisher) < 6 or publisher[:2] != FAST_DDS_VENDOR or publisher[:4] != here[:4]:
        return None
    sizes = []
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) & 0xFFFF != int.from_bytes(publisher[4:6], "little"):
            continue
        try:
            opened = {descriptor.readlink() for descriptor in process.joinpath("fd").iterdir()}
            locks = [path for path in opened if path.parent == MEMORY and LOCK.fullmatch(path.name)]
            sizes += [path.with_name(path.name.removesuffix("_el")).stat().st_size for path in locks]
        except OSError:  # it has ended, or is somebody else's
            continue
    return max(sizes, default=None)  # beside a profile's there is one as Fast DDS comes


def left_over(memory: Path, locks: Path = Path("/proc/locks")) -> int:
    """How many segments in ``memory`` have an owner that was killed: nobody holds their lock any more. 0 where the
    system does not tell of ``locks``."""
    try:
        held = {
            line.split()[5].rpartition(":")[2] for line in locks.read_text("ascii").splitlines() if "->" not in line
        }
        beside = [path.stat().st_ino for path in memory.iterdir() if LOCK.fullmatch(path.name)]
    except (OSError, IndexError):  # somebody's ended meanwhile
        return 0
    return sum(str(inode) not in held for inode in beside)


def check_left_over(machine: MachineFacts) -> Iterator[Finding]:
    """What killed processes left in shared memory."""
    said = f"{machine.left_over} segments of killed processes in /dev/shm"
    if machine.left_over < LEFT_OVER:
        yield ok("left over", said)
    else:
        remedy = "end all of ROS on this machine, then: rm /dev/shm/fastrtps_* /dev/shm/sem.fastrtps_*"
        yield warn("left over", f"{said}: nodes may not come up, or not hear each other", remedy)
