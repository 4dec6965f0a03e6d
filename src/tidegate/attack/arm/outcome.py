# SPDX-License-Identifier: Apache-2.0
"""What came of a hostile episode of an arm, with the filter and without it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tidegate.attack.arm.limits import ROUNDING

PAYLOAD, SLOPE = "payload", "surface's slope"
FAULT = "fault"
RESTS_ON = {
    "position": (PAYLOAD, SLOPE),
    "velocity": (PAYLOAD, SLOPE),
    "torque": (),
    "torque rate": (),
    "power": (),
    "tool speed": (PAYLOAD, SLOPE),
    "contact force": (PAYLOAD, SLOPE),
    FAULT: (),
}
"""Kind of violation → assumptions, of those that an episode can break, on which the promise behind it rests."""


@dataclass(frozen=True, slots=True)
class ArmOutcome:
    """What came of an episode.

    ``episode`` are its ``ArmEpisode.facts``. ``excess`` and ``alone``: by limit the worst excess at any physics step,
    with the filter and without (empty = not driven), negative = what was left; ``level``: with the filter, but for
    what was shortly after a touch that broke SLOPE (empty = none did); ``touched``: how fast the tool touched
    the surface with the filter, at most [m/s], 0 = never. ``faults``: ticks with an exception that
    the supervisor caught. ``broken``: stated assumptions that the episode broke. ``ticks``, of which the ladder was in
    each of ``modes``, each barrier gave way in ``relaxed``, the filter ``changed`` the wish, and ``unsolved`` were
    answered with the backup.
    """

    episode: dict[str, Any]
    excess: dict[str, float]
    level: dict[str, float]
    alone: dict[str, float]
    touched: float
    faults: int
    broken: list[str]
    ticks: int
    modes: dict[str, int]
    relaxed: dict[str, int]
    changed: int
    unsolved: int

    @property
    def key(self) -> str:
        """The key of its episode."""
        return json.dumps(self.episode)

    @property
    def name(self) -> str:
        """Start, adversary and seed, in words."""
        return f"{self.episode['start']} {self.who} {self.episode['seed']}"

    @property
    def who(self) -> str:
        """Who asked, and whether a search chose it."""
        return f"{self.episode['adversary']}{', searched' * self.searched}"

    @property
    def searched(self) -> bool:
        """Whether it was chosen by a search: no sample of anything."""
        return bool(self.episode["plan"])

    @property
    def violations(self) -> list[str]:
        """Limits that were broken with the filter; 'fault' where it raised."""
        return over(self.excess) + [FAULT] * bool(self.faults)

    @property
    def harmless(self) -> bool:
        """Whether none was."""
        return not self.violations

    @property
    def excused(self) -> bool:
        """Whether one was, and for each an assumption was broken that it rests on."""
        return bool(self.violations) and all(map(self.behind, self.violations))

    def behind(self, kind: str) -> list[str]:
        """Assumptions that were broken before the limit ``kind`` was, of those on which its promise rests."""
        others = (SLOPE,) if kind in over(self.level) else ()  # where nothing sloped was touched it was exceeded too
        return [name for name in self.broken if name in RESTS_ON[kind] and name not in others]


def over(excess: dict[str, float]) -> list[str]:
    """The limits that were broken."""
    return [name for name, value in excess.items() if value > ROUNDING]
