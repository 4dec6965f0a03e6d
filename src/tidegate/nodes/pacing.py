# SPDX-License-Identifier: Apache-2.0
"""Simulated time that keeps up with a steady clock as far as it can."""

from __future__ import annotations


class Pacer:
    """Says how many periods of simulated time are due.

    A simulation that falls behind by more than ``patience`` periods cannot catch up: it goes on from there, in slow
    motion, and what it fell behind is counted as ``lost`` [ns].
    """

    def __init__(self, period: int, patience: int, steady: int) -> None:
        """``period`` [ns] of a step; ``steady`` [ns] now."""
        self._period, self._patience = period, patience
        self._begun = steady
        self._stepped = 0
        self.lost = 0

    def due(self, steady: int) -> int:
        """Periods to simulate at ``steady`` [ns]; they count as done."""
        behind = (steady - self._begun) // self._period - self._stepped
        if behind > self._patience:
            given_up = (behind - self._patience) * self._period
            self._begun += given_up
            self.lost += given_up
            behind = self._patience
        self._stepped += behind
        return int(behind)
