# SPDX-License-Identifier: Apache-2.0
"""The newest record of every input of the safety filter, with its age by an injected clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tidegate.records import Received

FIELDS = {
    "nominal": "nominal",
    "gains": "gains",
    "lane": "lane",
    "health": "health",
    "joint_states": "joints",
    "odom": "odometry",
    "imu": "imu",
    "points": "points",
    "manual": "manual",
}
"""Topic → field of ``SafetyInputs``."""


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment on two clocks [ns]: ``stamp`` as messages are stamped, ``steady`` never steps. The same in lock-step."""

    stamp: int
    steady: int


AHEAD_TOLD = 10_000_000
"""How far a stamp must be ahead of the time of its arrival to be told [ns]; clocks that agree differ less."""


class Inbox:
    """Keeps the newest record by stamp.

    The age of a record is how far its stamp was from the time when it arrived, whichever way, plus the steady time
    since: how old something is that is stamped ahead nobody knows, and what is told of one moment by two clocks that
    disagree does not belong together. A system clock that is set does not make records young again. A record that is
    not newer than the one held is dropped, so a source whose time runs back grows old.
    """

    def __init__(self) -> None:
        self._held: dict[str, tuple[Any, int, int]] = {}
        self.dropped: dict[str, int] = {}

    def put(self, topic: str, record: Any, arrived: Instant) -> None:
        """Take in a ``record`` that arrived on ``topic``."""
        held = self._held.get(topic)
        if held is not None and record.stamp <= held[0].stamp:
            self.dropped[topic] = self.dropped.get(topic, 0) + 1
            return
        self._held[topic] = record, arrived.stamp - record.stamp, arrived.steady

    def received(self, now: Instant) -> dict[str, Received[Any]]:
        """The newest records as fields of ``SafetyInputs``."""
        return {
            FIELDS[topic]: Received(record, abs(transit) + now.steady - since)
            for topic, (record, transit, since) in self._held.items()
        }

    def ahead(self) -> dict[str, int]:
        """How far [ns] the newest records were stamped ahead of the time of their arrival, where that is to be told."""
        return {topic: -transit for topic, (_, transit, _) in self._held.items() if transit < -AHEAD_TOLD}

    def forget(self) -> None:
        """Begin anew, whatever the stamps; an operator's reset does this."""
        self._held.clear()
        self.dropped.clear()
