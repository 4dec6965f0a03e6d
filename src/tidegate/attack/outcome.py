# SPDX-License-Identifier: Apache-2.0
"""What came of a hostile drive, and what each violation has to do with what was assumed."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from tidegate.attack.assumption import Assumptions
from tidegate.evaluation.log import DriveLog
from tidegate.evaluation.metrics import Trace, smallest_gap
from tidegate.evaluation.pilot import Moment
from tidegate.records import Mode, nanoseconds
from tidegate.robot import Car
from tidegate.settings import Settings


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an episode. Lengths [m], times [s].

    ``violations``: kinds of promise that were broken ('contact', 'limit' at any physics step, 'lane': a side of the
    car beyond the lane's edge, 'road': a wheel beyond the pavement, 'fault': an exception that the filter caught), and
    for each the stated assumptions that were broken shortly before; ``broken``: assumptions broken at any time.
    ``margin``: the least that was left of the reserves, as a share of them: gap over ``distance.standstill_gap``, room
    to the lane's edge over ``lane.bound_cap``, speed limit less speed over ``speed_margin``; zero where anything broke.
    ``episode`` are its ``Episode.facts``, ``fault`` the fault that befell it ('' = none).
    ``lowest`` is the smallest h of each barrier while driving, ``relaxed`` the barriers that had to give way.
    """

    episode: dict[str, Any]
    fault: str
    end: str
    duration_s: float
    distance_m: float
    top_speed: float
    contacts: int
    limit_violations: int
    worst_limit: str
    off_lane_s: float
    off_road_s: float
    min_gap_m: float | None
    max_abs_lane_error_m: float
    margin: float
    violations: dict[str, list[str]]
    broken: list[str]
    lowest: dict[str, float]
    relaxed: dict[str, int]

    @property
    def key(self) -> str:
        """The key of its episode."""
        return json.dumps(self.episode)

    @property
    def name(self) -> str:
        """Scene, adversary and seed, in words."""
        return f"{self.episode['scene']} {self.who} {self.episode['seed']}"

    @property
    def who(self) -> str:
        """Who asked, whether a search chose it, and whether with a camera."""
        return f"{self.episode['adversary']}{', searched' * self.searched}{', camera' * self.episode['camera']}"

    @property
    def searched(self) -> bool:
        """Whether it was chosen by a search: no sample of anything."""
        return bool(self.episode["plan"])

    @property
    def harmless(self) -> bool:
        """Whether nothing was touched, no limit broken and the lane kept."""
        return not self.violations

    @property
    def excused(self) -> bool:
        """Whether something was broken, and each time an assumption that it rests on was broken before."""
        return bool(self.violations) and all(self.violations.values())


class Witness:
    """Sees every tick of an episode and says what came of it."""

    def __init__(self, settings: Settings, car: Car) -> None:
        self._settings = settings
        self._assumptions = Assumptions(settings, car)
        self._lowest: dict[str, float] = defaultdict(lambda: math.inf)
        self._relaxed: dict[str, int] = defaultdict(int)
        self._first: int | None = None
        self._fault: int | None = None

    def watch(self, moment: Moment, *, blind: bool) -> None:
        """Take in one tick; ``blind`` as ``Assumptions.watch``."""
        tick, stamp = moment.step.tick, moment.truth.stamp
        self._assumptions.watch(moment, blind=blind)
        self._first = self._first or stamp
        if self._fault is None and any(why.startswith("fault in the safety filter") for why in tick.reasons):
            self._fault = stamp
        if tick.mode is Mode.STOPPED:
            return
        for barrier in tick.barriers:
            self._lowest[barrier.name] = min(self._lowest[barrier.name], barrier.h)
            self._relaxed[barrier.name] += barrier.relaxed

    def judge(self, episode: dict[str, Any], fault: str, log: DriveLog, end: str) -> Outcome:
        """What came of the drive that ``log`` holds; the first two as in ``Outcome``."""
        trace, last = log.trace(), log.last
        assert last is not None
        violations = self._violations(trace)
        return Outcome(
            episode=episode,
            fault=fault,
            end=end,
            duration_s=round(len(trace) * trace.period, 3),
            distance_m=float(trace.distance[-1]),
            top_speed=float(trace.speed.max()),
            contacts=last.contacts,
            limit_violations=int(trace.violations.sum()),
            worst_limit=last.limit_worst if trace.violations.any() else "",
            off_lane_s=float(trace.off_lane.sum() * trace.period),
            off_road_s=float(trace.wheels_off.sum() * trace.period),
            min_gap_m=smallest_gap(trace),
            max_abs_lane_error_m=float(np.abs(trace.lane_error).max()),
            margin=min(self._margin(trace), 0.0 if violations else math.inf),
            violations=violations,
            broken=self._assumptions.broken,
            lowest={name: value for name, value in sorted(self._lowest.items()) if math.isfinite(value)},
            relaxed={name: count for name, count in sorted(self._relaxed.items()) if count},
        )

    def _margin(self, trace: Trace) -> float:
        safety, most = self._settings.safety, self._settings.vehicle.speed_max
        gap = float(trace.gap.min()) / safety.distance.standstill_gap
        room = float(trace.room.min()) / safety.lane.bound_cap
        return min(gap, room, (most - float(trace.speed.max())) / safety.speed_margin)

    def _violations(self, trace: Trace) -> dict[str, list[str]]:
        assert self._first is not None
        broken = {"contact": trace.contact, "limit": trace.violations > 0}
        broken |= {"lane": trace.off_lane, "road": trace.wheels_off}
        ticks = {kind: int(flags.argmax()) + 1 for kind, flags in broken.items() if flags.any()}
        when = {kind: self._first + nanoseconds(tick * trace.period) for kind, tick in ticks.items()}
        if self._fault is not None:
            when["fault"] = self._fault
        return {kind: self._assumptions.behind(kind, stamp) for kind, stamp in when.items()}
