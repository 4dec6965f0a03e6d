# SPDX-License-Identifier: Apache-2.0
"""Write in a thread: a disk that stalls or is full holds up nobody who hands messages in."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Protocol

from tidegate.bag.mcap_file import Quality
from tidegate.bag.source import Raw

PERIOD_S = 0.05
"""How often the thread looks for messages; they are not worth a wake-up each."""
FLUSH_S = 0.5
"""Messages are on the disk this long after they came, and a period of the thread."""
ROOM_BYTES = 256 * 2**20
"""Messages that may wait while the disk stalls: two minutes of the car's, ten seconds of 640 × 480 images at 20 Hz."""
END_S = 8.0
"""Longest wait at the end for a disk that does not answer."""


class Keeper(Protocol):
    """What messages are written to, such as a ``BagWriter``; each may raise BagError."""

    def offer(self, topic: str, qualities: Sequence[Quality]) -> None:
        """Hear what a topic's publishers offer, before its first message."""

    def write_raw(self, topic: str, type_name: str, data: bytes, stamp: int) -> None:
        """Take a message in."""

    def flush(self) -> None:
        """Put all on the disk."""

    def close(self) -> None:
        """Write what readers want at the end."""


class BackgroundWriter:
    """Hands messages on to keepers, in order.

    Attributes:
        failure: why nothing is written any more; empty = all is well.
        lost: messages that found no room.
        written: messages that were handed on.
    """

    def __init__(self, keepers: Sequence[Keeper]) -> None:
        self.failure, self.lost, self.written = "", 0, 0
        self._keepers = keepers
        self._waiting: list[Raw] = []
        self._bytes = 0
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="bag writer", daemon=True)
        self._thread.start()

    def offer(self, topic: str, qualities: Sequence[Quality]) -> None:
        """Tell the keepers what the publishers of ``topic`` offer, before its first message is put."""
        for keeper in self._keepers:
            keeper.offer(topic, qualities)

    def put(self, topic: str, type_name: str, stamp: int, data: bytes) -> None:
        """Take in a message; never waits for the disk."""
        if self.failure:
            return
        with self._lock:
            if self._bytes + len(data) > ROOM_BYTES:
                self.lost += 1
            else:
                self._bytes += len(data)
                self._waiting.append((topic, type_name, stamp, data))

    def close(self) -> None:
        """Write what waits and close the keepers; a disk that does not answer is given up, and told as ``failure``."""
        self._ended.set()
        self._thread.join(END_S)
        if self._thread.is_alive():
            self.failure = self.failure or f"the disk did not answer for {END_S:g} s; what waited is lost"

    def _run(self) -> None:
        try:
            flushed, ended = time.monotonic(), False
            while not ended:
                ended = self._ended.wait(PERIOD_S)
                for topic, type_name, stamp, data in self._take():
                    for keeper in self._keepers:
                        keeper.write_raw(topic, type_name, data, stamp)
                    self.written += 1
                if time.monotonic() - flushed > FLUSH_S:
                    flushed = time.monotonic()
                    for keeper in self._keepers:
                        keeper.flush()
        except Exception as error:  # a fault of ours too must be told instead of ending the thread in silence
            self.failure = str(error) or type(error).__name__
        for keeper in self._keepers:
            try:
                keeper.close()
            except Exception as error:
                self.failure = self.failure or str(error)

    def _take(self) -> list[Raw]:
        with self._lock:
            taken, self._waiting, self._bytes = self._waiting, [], 0
        return taken
