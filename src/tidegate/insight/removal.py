# SPDX-License-Identifier: Apache-2.0
"""Whether the limit that a row stands for is broken once the row is left out: for every intervention of an episode.

The episode is driven, then driven again; where an intervention began, a copy of the process drives on without the row
that acted. So all that was before, random numbers included, is the same to the bit.
"""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from tidegate.attack.episode import Episode, hostile
from tidegate.evaluation.log import DriveLog
from tidegate.evaluation.pilot import Pilot
from tidegate.evaluation.rollout import drive_tick
from tidegate.insight.intervention import stretches
from tidegate.insight.limits import After, limit_of
from tidegate.records import nanoseconds, seconds
from tidegate.safety import Filter, Supervisor
from tidegate.settings import load_settings
from tidegate.simulation import EPOCH, Simulator

HORIZON_S = 5.0
"""For so long after the beginning of an intervention its limit is watched."""
WORSE = 1.5
"""Without the row a limit that is exceeded with it as well must be exceeded so many times as far to count as worse."""
CAUSED, WORSE_OFF, BACKED, NOT_NEEDED, NO_HELP = VERDICTS = (
    "broken without the row alone",
    "broken with it, further without",
    "kept by other rows",
    "kept without any row",
    "broken with it as far",
)

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Removal:
    """What became of the limit of ``row``, a barrier of the type ``kind``, once the row was left out.

    ``begin_s``, ``end_s`` [s] of the intervention since the start, ``rung`` of the ladder as it began; ``verdict``: one
    of ``VERDICTS``; ``after_s`` [s] from its beginning until the limit was broken without the row, None = it was not;
    ``others``: the rows that acted without it.
    """

    row: str
    kind: str
    begin_s: float
    end_s: float
    rung: str
    verdict: str
    after_s: float | None
    others: tuple[str, ...]

    @property
    def lasted_s(self) -> float:
        """From its first tick to its last [s]."""
        return self.end_s - self.begin_s


@dataclass(frozen=True, slots=True)
class _Course:
    """By how much a limit was exceeded at ``most``, after what time [s] it was first, and the rows that acted."""

    most: float
    after_s: float | None
    rows: tuple[str, ...]


class _World:
    """An episode while it is driven."""

    def __init__(self, episode: Episode) -> None:
        self.settings, self._disable = load_settings(episode.settings), frozenset(episode.disable)
        driver, heard = hostile(self.settings, episode)
        self._simulator = Simulator(self.settings, episode.scene, episode.seed, camera=episode.camera)
        self._supervisor = Supervisor(self.settings, self._simulator.car, disable=self._disable)
        self._pilot = Pilot(driver(self._simulator), self._supervisor)
        self._pilot.tamper = heard.begin(self._simulator)
        self._log = DriveLog(self.settings, self._simulator.car)
        self.limits = {
            name: limit_of(name, self.settings, self._simulator.car) for name in self.settings.safety.barriers
        }
        self.over = False
        self.row = self.rung = ""

    @property
    def now(self) -> int:
        return self._simulator.now

    def tick(self) -> After:
        tick = drive_tick(self._simulator, self._pilot, self._log)
        truth = self._log.last
        assert truth is not None
        self.over = self._log.end() is not None
        self.row, self.rung = tick.intervened, tick.mode.name
        return After(truth, self._log.room(truth), tick.allowed[0], self._supervisor.state)

    def without(self, names: frozenset[str], row: str, *, first: bool) -> _Course:
        """Drive on without the rows ``names`` and watch the limit of ``row``, until it is broken where ``first``."""
        self._supervisor.filter = Filter(self.settings, self._simulator.car, disable=self._disable | names)
        begin, most, after, rows = self.now, -math.inf, None, set()
        while seconds(self.now - begin) < HORIZON_S and not self.over and not (first and after is not None):
            most = max(most, self.limits[row](self.tick()))
            rows.add(self.row)
            if after is None and most > 0:
                after = seconds(self.now - begin)
        return _Course(most, after, tuple(sorted(rows - {""})))

    def close(self) -> None:
        self._simulator.close()


def removals(episode: Episode) -> list[Removal]:
    """Every intervention that begins in the ``longest_s`` of an episode without a camera, in the order of time.

    Raises:
        KeyError: no such adversary; SettingsError, SceneError: as ``Simulator``.
    """
    begins, rows, rungs = [], [], []
    exceeded: list[dict[str, float]] = []
    longest = EPOCH + nanoseconds(episode.longest_s)
    with closing(_World(episode)) as world:
        while world.now < longest + nanoseconds(HORIZON_S) and not world.over:
            begins.append(world.now)
            after = world.tick()
            exceeded.append({name: limit(after) for name, limit in world.limits.items()})
            rows.append(world.row)
            rungs.append(world.rung)
    period, found = nanoseconds(1 / world.settings.safety.rate_hz), []
    with closing(_World(episode)) as world:
        for span in stretches(rows, begins):
            first, last = span[0], span[-1]
            if begins[first] >= longest:
                break
            while world.now < begins[first]:
                world.tick()
            row = rows[first]
            most = max(one[row] for one in exceeded[first : first + nanoseconds(HORIZON_S) // period])
            verdict, course = _judged(world, row, most)
            kind = world.settings.safety.barriers[row].type
            begin, end = (seconds(begins[place] - EPOCH) for place in (first, last))
            found.append(Removal(row, kind, begin, end, rungs[first], verdict, course.after_s, course.rows))
    return found


def _judged(world: _World, row: str, most: float) -> tuple[str, _Course]:
    """What comes of going on without ``row``, whose limit was exceeded by ``most`` with it."""
    course = _in_a_copy(partial(world.without, frozenset([row]), row, first=most <= 0))
    bare = partial(world.without, frozenset(world.settings.safety.barriers), row, first=True)
    return verdict_of(most, course.most, lambda: _in_a_copy(bare).most), course


def verdict_of(most: float, without: float, bare: Callable[[], float]) -> str:
    """What is said of a limit that was exceeded by ``most`` with the row and by ``without`` without it; ``bare`` tells
    by how much without any row, where that is the question."""
    if most > 0:
        return WORSE_OFF if without > WORSE * most else NO_HELP
    if without > 0:
        return CAUSED
    return BACKED if bare() > 0 else NOT_NEEDED


def _in_a_copy(work: Callable[[], R]) -> R:
    """What ``work`` returns in a copy of this process; nothing of what it does is seen here."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(work()))
    process.start()
    sender.close()
    found: R = receiver.recv()
    process.join()
    return found
