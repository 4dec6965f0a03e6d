# SPDX-License-Identifier: Apache-2.0
"""The last line: whatever computed the efforts, what leaves here is finite, inside its box and inside its slew."""

from __future__ import annotations

from typing import Any

import numpy as np

from tidegate.records import Floats


class Limiter:
    """Holds by itself: it knows nothing but the box, the slew, what it sent last and what to do about garbage."""

    def __init__(self, low: Floats, high: Floats, step: Floats, safe: Floats) -> None:
        """``low``, ``high``, ``step`` (J,) [N·m]: box and largest change per command; ``safe`` (J,): for garbage."""
        self._low, self._high, self._step = (np.array(part, np.float64) for part in (low, high, step))
        self._safe = np.clip(np.array(safe, np.float64), self._low, self._high)
        self.last: Floats = np.clip(np.zeros(len(self._low)), self._low, self._high)

    def tighten(self, high: Floats) -> None:
        """Upper edges (J,) [N·m] of the box from the next command on; what lies beyond comes in at its slew."""
        self._high = np.array(high, np.float64)

    def hold(self, safe: Floats) -> None:
        """Efforts (J,) [N·m] to head for on garbage from now on, as far as the box goes."""
        self._safe = np.clip(np.array(safe, np.float64), self._low, self._high)

    def __call__(self, efforts: Any) -> Floats:
        """Efforts (J,) [N·m] to send; any joint that is no finite number heads for its safe effort. Never raises."""
        try:
            wanted = np.array(efforts, np.float64)
        except (TypeError, ValueError):
            wanted = self._safe
        if wanted.shape != self._safe.shape:
            wanted = self._safe
        wanted = np.where(np.isfinite(wanted), wanted, self._safe)
        wanted = np.minimum(np.maximum(wanted, self._low), self._high)
        return self._head_for(wanted, self._step)

    def rest(self, periods: float) -> Floats:
        """Efforts (J,) [N·m] of actuators that have headed for their safe ones by themselves for so many periods."""
        return self._head_for(self._safe, periods * self._step)

    def _head_for(self, wanted: Floats, way: Floats) -> Floats:
        # the last command lies in the box or on its way into it, so the slew around it leads no further out
        self.last = np.minimum(np.maximum(wanted, self.last - way), self.last + way)
        return self.last.copy()
