# SPDX-License-Identifier: Apache-2.0
"""The time that the solver may take at a tick."""

from __future__ import annotations

from collections.abc import Callable

from tidegate.records import Floats, Solve
from tidegate.safety.qp import QPResult, nothing, solve_qp

OUT_OF_TIME = "out of time"
Clock = Callable[[], int]
"""A steady clock [ns], such as ``time.monotonic_ns``."""


class Budget:
    """``solve_qp`` for the programmes of one tick: they are counted, and have an end.

    An answer that comes later than the budget allows is thrown away, and nothing is solved after it. A programme that
    has begun is not broken off: how long one may take is bounded by ``ITERATIONS``.
    """

    def __init__(self, clock: Clock | None, longest: int, *, out_of_time: bool = False) -> None:
        """``clock`` None: no time is taken, none is too long. ``longest`` [ns]. ``out_of_time``: begin at the end."""
        self._clock, self._longest = clock, longest
        if clock is not None:
            self._began = clock()
        self._programmes, self._time, self._out_of_time = 0, 0, out_of_time

    def __call__(self, P: Floats, q: Floats, G: Floats, lower: Floats, tolerance: float) -> QPResult:
        """See ``solve_qp``; ``status`` may be 'out of time' too."""
        if not self._out_of_time:
            result = solve_qp(P, q, G, lower, tolerance)
            self._programmes += 1
            if self._clock is not None:
                self._time = self._clock() - self._began
                self._out_of_time = self._time > self._longest
            if not self._out_of_time:
                return result
        return nothing(len(q), len(lower), OUT_OF_TIME)

    def spent(self, status: str) -> Solve:
        """What was done, ``status`` being what came of it."""
        return Solve(status, self._programmes, self._time / 1e9)
