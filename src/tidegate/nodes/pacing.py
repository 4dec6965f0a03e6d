# SPDX-License-Identifier: Apache-2.0
"""Simulated time that keeps up with a steady clock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any


class Pacer:
    """Says how many periods are due, and what stamp of the wall clock a simulated stamp is.

    A simulation that falls behind by more than ``patience`` periods cannot catch up: it gives that time up and counts
    it as ``lost`` [ns]. Stamps then stay true to the wall clock.
    """

    def __init__(self, period: int, patience: int, simulated: int, wall: int, steady: int) -> None:
        """``period`` [ns] of a step; the three clocks [ns] at this moment."""
        self._period, self._patience = period, patience
        self._begun = steady
        self._offset = wall - simulated
        self._stepped = 0
        self.lost = 0

    def due(self, steady: int) -> int:
        """Periods to simulate at ``steady`` [ns]; they count as done."""
        behind = (steady - self._begun) // self._period - self._stepped
        if behind > self._patience:
            given_up = (behind - self._patience) * self._period
            self._begun += given_up
            self._offset += given_up
            self.lost += given_up
            behind = self._patience
        self._stepped += behind
        return int(behind)

    def stamped(self, record: Any) -> Any:
        """The record with the stamp of the wall clock."""
        return replace(record, stamp=record.stamp + self._offset)
