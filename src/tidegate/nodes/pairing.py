# SPDX-License-Identifier: Apache-2.0
"""Which odometry belongs to which features, whatever the order of arrival."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from tidegate.records import Features, Odometry


class Pairing:
    """Gives features the newest odometry not later than they are, once one not earlier has arrived.

    So the pair depends on stamps alone, never on which message came first.
    """

    def __init__(self, history: int) -> None:
        """Keep the last ``history`` records of odometry, and as many features that wait for theirs."""
        self._odometry: deque[Odometry] = deque(maxlen=history)
        self._waiting: deque[Features] = deque(maxlen=history)

    def odometry(self, record: Odometry) -> Iterator[tuple[Features, Odometry]]:
        """Take in odometry; the pairs that are complete now. Stamps that go back begin a new history."""
        if self._odometry and record.stamp < self._odometry[-1].stamp:
            self._odometry.clear()
            self._waiting.clear()
        self._odometry.append(record)
        return self._ready()

    def features(self, record: Features) -> Iterator[tuple[Features, Odometry]]:
        """Take in features; the pairs that are complete now. Those that wait with a later stamp are given up: one that
        is stamped far ahead would hold up all that follow."""
        if self._waiting and record.stamp < self._waiting[-1].stamp:
            self._waiting.clear()
        self._waiting.append(record)
        return self._ready()

    def _ready(self) -> Iterator[tuple[Features, Odometry]]:
        while self._waiting and self._odometry and self._odometry[-1].stamp >= self._waiting[0].stamp:
            features = self._waiting.popleft()
            known = next((one for one in reversed(self._odometry) if one.stamp <= features.stamp), None)
            if known is not None:
                yield features, known
