# SPDX-License-Identifier: Apache-2.0
"""What a hardware emergency stop's chain says between two ticks of the safety node, and whether it still speaks."""

from __future__ import annotations

import math

from tidegate.records import nanoseconds


class EmergencyChain:
    """A short pulse stops the car too; a chain that is cut or has crashed is silent, as is one that never spoke."""

    def __init__(self, timeout_s: float) -> None:
        """``timeout_s``: it may say nothing for no longer [s]; 0 = for ever."""
        self._timeout = nanoseconds(timeout_s)
        self._pressed = self._seen = self._spoke = False
        self._at = -math.inf

    def hear(self, pressed: bool) -> None:
        """Take in one message."""
        self._pressed, self._spoke = pressed, True
        self._seen |= pressed

    def tick(self, steady: int) -> tuple[bool, bool]:
        """At a tick [ns]: whether it was pressed at any moment since the last one, and whether it is silent."""
        seen, self._seen = self._seen, self._pressed
        if self._spoke:
            self._spoke, self._at = False, steady
        self._at = min(self._at, steady)  # simulated time may run back
        return seen, self._timeout > 0 and steady - self._at > self._timeout
