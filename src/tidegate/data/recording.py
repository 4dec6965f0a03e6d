# SPDX-License-Identifier: Apache-2.0
"""The one form between foreign files and our bags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tidegate.records import Floats

Picture = bytes | NDArray[np.uint8]
"""A JPEG or PNG as it was stored, or pixels (H, W, 3) in RGB."""


@dataclass(slots=True)
class Tally:
    """What was left out and why, and what else a user should know.

    Attributes:
        left_out: frames by reason; lines or files that never became frames are ``skipped`` by reason.
        notes: a line each.
    """

    left_out: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Keep a line, once."""
        if text not in self.notes:
            self.notes.append(text)


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One stretch that was recorded without a break that the source tells of, T frames.

    Attributes:
        name: of the stretch in its source, such as a session or an episode.
        stamp: (T,) [ns], as they stand there: they may repeat or go back.
        number: (T,) which frame of the stretch each is, advancing; what is missing in between was deleted or lost.
        channels: (T,) each, by the names of ``mapping.CHANNELS``; NaN where unknown.
        pictures: makes T pictures, one after the other, each time that it is called; text = why there is none.
        tally: what its reader left out.
    """

    name: str
    stamp: NDArray[np.int64]
    number: NDArray[np.int64]
    channels: Mapping[str, Floats]
    pictures: Callable[[], Iterator[Picture | str]]
    tally: Tally
