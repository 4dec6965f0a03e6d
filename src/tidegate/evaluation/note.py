# SPDX-License-Identifier: Apache-2.0
"""What the reader of a replay should know, and the moments that it is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tidegate.records import seconds


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence, and every moment ``at`` which it is so [s since the bag's start], stretches as ``1.0 to 1.5``."""

    text: str
    at: tuple[str, ...] = ()

    def line(self, most: int | None = None) -> str:
        """One line that names ``most`` moments at most; None = all."""
        if not self.at:
            return self.text
        more = len(self.at[most:]) if most is not None else 0
        return f"{self.text} (at {', '.join(self.at[:most])}{f' and {more} more' if more else ''} s)"


def moments(stamps: Iterable[int], start: int) -> tuple[str, ...]:
    """``stamps`` [ns] as times since ``start`` [s]."""
    return tuple(f"{seconds(stamp - start):.3f}" for stamp in stamps)


def stretches(frames: Sequence[int], chosen: set[int], start: int) -> tuple[str, ...]:
    """The ``chosen`` of ``frames`` (stamps [ns]); of neighbours the first and the last."""
    runs: list[list[int]] = []
    before = None
    for stamp in frames:
        if stamp in chosen:
            if before in chosen:
                runs[-1].append(stamp)
            else:
                runs.append([stamp])
        before = stamp
    return tuple(" to ".join(dict.fromkeys(moments((run[0], run[-1]), start))) for run in runs)
