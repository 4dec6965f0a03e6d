# SPDX-License-Identifier: Apache-2.0
"""The seconds before and after each intervention of the safety filter, as small bags by themselves."""

from __future__ import annotations

import re
import shutil
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from tidegate.bag.mcap_file import Quality
from tidegate.bag.reader import relative
from tidegate.bag.typestore import deserialise
from tidegate.bag.writer import BagWriter
from tidegate.errors import BagError
from tidegate.messages import TOPICS, decode
from tidegate.records import NANOSECONDS, Mode, SafetyState, nanoseconds

RING_BYTES = 256 * 2**20
"""Most memory that the seconds before may take; beyond it they become fewer."""
SHARE = 4
"""A snapshot ends when it takes this part of the folder's room, however long the filter goes on intervening."""
TOPIC = "safety_node/barriers"
NAMED = re.compile(r"\d{8}T\d{6}\.\d{3}Z_\w+")
"""Folders of snapshots; nothing else is ever deleted."""


class Snapshots:
    """Keeps the newest messages in memory; on an intervention, writes them and what follows into a bag of its own.

    It looks at the filter's own topic, ``safety_node/barriers``: a snapshot is due when a barrier begins to change the
    command, and when the mode leaves NORMAL. Snapshots that would overlap are one. No message is in two of them.
    """

    def __init__(
        self, folder: Path, before_s: float, after_s: float, max_size: int, contract: Mapping[str, str] | None = None
    ) -> None:
        """Begin to keep messages.

        Args:
            folder: where the bags go, each named by time (UTC) and cause.
            before_s: seconds before an intervention.
            after_s: seconds after it.
            max_size: of all snapshots together [B]; the oldest are deleted.
            contract: as ``BagWriter`` takes it.

        Raises:
            BagError: the folder cannot be made.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BagError(f"{folder}: cannot be made ({error.strerror or error})") from error
        self._folder, self._max_size, self._contract = folder, max_size, dict(contract or {})
        self._before, self._after = nanoseconds(before_s), nanoseconds(after_s)
        self._ring: deque[tuple[int, str, str, bytes, int]] = deque()
        self._bytes = self._number = self._written = self._until = 0
        self._offered: dict[str, Sequence[Quality]] = {}
        self._bag: BagWriter | None = None
        self._last: SafetyState | None = None

    def offer(self, topic: str, qualities: Sequence[Quality]) -> None:
        """As ``BagWriter.offer``, for the snapshots to come."""
        self._offered[topic] = qualities

    def write_raw(self, topic: str, type_name: str, data: bytes, stamp: int) -> None:
        """Take in a message: as ``BagWriter.write_raw``.

        Raises:
            BagError: a snapshot cannot be written.
        """
        if self._bag is not None and (stamp > self._until + self._before or SHARE * self._bag.size > self._max_size):
            self.close()
        self._number += 1
        self._ring.append((self._number, topic, type_name, data, stamp))
        self._bytes += len(data)
        while len(self._ring) > 1 and (self._bytes > RING_BYTES or stamp - self._ring[0][4] > self._before):
            self._bytes -= len(self._ring.popleft()[3])
        if relative(topic) == TOPIC and type_name == TOPICS[TOPIC].type and (cause := self._cause(data, type_name)):
            self._begin(cause, stamp)
        if self._bag is not None and stamp <= self._until:
            self._catch_up(self._bag)

    def flush(self) -> None:
        """Put what was written of a snapshot on the disk.

        Raises:
            BagError: it cannot be written.
        """
        if self._bag is not None:
            self._bag.flush()

    def close(self) -> None:
        """Complete the snapshot that is being written, if any, and make room.

        Raises:
            BagError: it cannot be written.
        """
        if self._bag is None:
            return
        bag, self._bag = self._bag, None
        bag.close()
        self._prune(bag.path)

    def _cause(self, data: bytes, type_name: str) -> str:
        """Why a snapshot is due; empty = it is not."""
        try:
            state: SafetyState = decode(TOPIC, deserialise(data, type_name))
        except Exception:  # rosbags has no error class of its own for bytes that are no such message
            return ""
        last, self._last = self._last, state
        if last is None:
            return ""
        if last.mode == Mode.NORMAL != state.mode:
            return state.mode.name
        return state.intervened if state.mode != Mode.STOPPED and not last.intervened else ""

    def _begin(self, cause: str, stamp: int) -> None:
        """Begin a snapshot, or go on with the one that this one would overlap."""
        if self._bag is None:
            when = datetime.fromtimestamp(stamp // NANOSECONDS, timezone.utc)
            milli = stamp % NANOSECONDS // 1_000_000
            name = f"{when:%Y%m%dT%H%M%S}.{milli:03d}Z_{cause}"
            told = {"snapshot_cause": cause, "snapshot_at_ns": str(stamp)}
            self._bag = BagWriter(self._folder / name, self._contract | told)
            for topic, qualities in list(self._offered.items()):
                self._bag.offer(topic, qualities)
        self._until = stamp + self._after
        self._catch_up(self._bag)

    def _catch_up(self, bag: BagWriter) -> None:
        """Write what the ring holds and no snapshot has yet."""
        fresh = []
        for item in reversed(self._ring):
            if item[0] <= self._written:
                break
            fresh.append(item)
        for number, topic, type_name, data, stamp in reversed(fresh):
            bag.write_raw(topic, type_name, data, stamp)
            self._written = number

    def _prune(self, newest: Path) -> None:
        """Delete the oldest snapshots until all take no more than ``max_size``; the newest stays."""
        bags = sorted(path for path in self._folder.iterdir() if path.is_dir() and NAMED.fullmatch(path.name))
        sizes = {path: sum(file.stat().st_size for file in path.iterdir()) for path in bags}
        for path in bags:
            if sum(sizes.values()) <= self._max_size:
                break
            if path != newest:
                shutil.rmtree(path, ignore_errors=True)
                del sizes[path]
