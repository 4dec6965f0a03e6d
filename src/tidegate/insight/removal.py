# SPDX-License-Identifier: Apache-2.0
"""Whether the limit that a row stands for is broken once the row is left out: for every intervention of an episode.

The episode is driven, then driven again; where an intervention began, a copy of the process drives on without the row
that acted, and others without those that act in its place. So all that was before, random numbers included, is the same
to the bit.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from tidegate.attack.episode import Episode, hostile
from tidegate.evaluation.log import DriveLog
from tidegate.evaluation.pilot import Moment, Pilot, Step
from tidegate.evaluation.rollout import drive_tick
from tidegate.insight.intervention import stretches
from tidegate.insight.limits import After, limit_of
from tidegate.insight.together import HORIZON_S, NOT_NEEDED, Finding, Watched, Watcher, judged
from tidegate.insight.worlds import Drive, World, until_explained, worlds
from tidegate.records import Mode, Tick, nanoseconds, seconds
from tidegate.safety import Filter, Supervisor
from tidegate.settings import load_settings
from tidegate.simulation import EPOCH, Simulator

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Removal:
    """What became of the limit of ``row``, a barrier of the type ``kind``, once rows were left out.

    ``begin_s``, ``end_s`` [s] of the intervention since the start, ``rung`` of the ladder as it began. ``worlds``: what
    was found in those that the row counts with, where its limit is kept without any row (``in_worlds``).
    """

    row: str
    kind: str
    begin_s: float
    end_s: float
    rung: str
    found: Finding
    worlds: dict[str, Finding] = field(default_factory=dict)

    @property
    def lasted_s(self) -> float:
        """From its first tick to its last [s]."""
        return self.end_s - self.begin_s


class _World:
    """An episode while it is driven.

    Attributes:
        limits: of every row.
        period: of a tick [s].
        over: whether the drive has ended.
    """

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
        self.period, self.over = 1 / self.settings.safety.rate_hz, False

    @property
    def now(self) -> int:
        return self._simulator.now

    def tick(self) -> tuple[Tick, After]:
        tick = drive_tick(self._simulator, self._pilot, self._log)
        truth = self._log.last
        assert truth is not None
        stands = abs(truth.speed) < self.settings.evaluation.still_speed
        for_good = stands and tick.mode is Mode.STOPPED and truth.distance > 1.0
        self.over = for_good or self._log.end() is not None
        return tick, After(truth, self._log.room(truth), tick.allowed[0], self._supervisor.state)

    def step(self) -> Step:
        """As ``tick``: what the filter heard and made of it."""
        seen: list[Moment] = []
        drive_tick(self._simulator, self._pilot, self._log, seen.append)
        return seen[0].step

    def without(
        self, row: str, names: frozenset[str], *, until_s: float, first: bool, world: World | None = None
    ) -> Watched:
        """Drive on without the rows ``names`` and watch the limit of ``row``, until it is broken where ``first``; in
        another ``world`` than the one that is."""
        if world is not None:
            world(Drive(self._simulator, self._pilot, self._log))
        self._supervisor.filter = Filter(self.settings, self._simulator.car, disable=self._disable | names)
        begin, watcher = self.now, Watcher(row, self.limits, self.period)
        while seconds(self.now - begin) < until_s and not self.over and not (first and watcher.over):
            watcher.see(*self.tick())
        return watcher.seen()

    def close(self) -> None:
        self._simulator.close()


def removals(episode: Episode, every: int = 1) -> list[Removal]:
    """Interventions that begin in the ``longest_s`` of an episode without a camera, in the order of time.

    Args:
        episode: what is driven.
        every: of its interventions every so many-th is looked into, by the episode's seed another one first.

    Raises:
        KeyError: no such adversary; SettingsError, SceneError: as ``Simulator``.
    """
    begins, rows, rungs = [], [], []
    exceeded: list[dict[str, float]] = []
    longest = EPOCH + nanoseconds(episode.longest_s)
    with closing(_World(episode)) as world:
        while world.now < longest + nanoseconds(HORIZON_S) and not world.over:
            begins.append(world.now)
            tick, after = world.tick()
            exceeded.append({name: limit(after) for name, limit in world.limits.items()})
            rows.append(tick.intervened)
            rungs.append(tick.mode.name)
    found = []
    with closing(_World(episode)) as world:
        spans = [span for span in stretches(rows, begins) if begins[span[0]] < longest]
        for span in spans[episode.seed % every :: every]:
            first, last = span[0], span[-1]
            while world.now < begins[first]:
                world.tick()
            row, kept = rows[first], _kept(rows[first], exceeded[first:], world.period)

            def drive(names: frozenset[str], *, until_s: float, first: bool, row: str = row) -> Watched:
                return _in_a_copy(lambda: world.without(row, names, until_s=until_s, first=first))

            told = judged(row, frozenset(world.settings.safety.barriers), kept, drive)
            kind = world.settings.safety.barriers[row].type
            begin, end = (seconds(begins[place] - EPOCH) for place in (first, last))
            found.append(Removal(row, kind, begin, end, rungs[first], told))
    return found


def in_worlds(episode: Episode, found: Sequence[Removal]) -> list[Removal]:
    """``found`` of the episode; of those whose limit is kept without any row, what comes of it in the worlds that the
    row counts with, until in one of them it is explained.

    Raises:
        As ``removals``.
    """
    made = []
    with closing(_World(episode)) as world:
        every = frozenset(world.settings.safety.barriers)
        for one in found:
            if one.found.verdict != NOT_NEEDED:
                made.append(one)
                continue
            while world.now < EPOCH + nanoseconds(one.begin_s):
                world.tick()
            step = _in_a_copy(world.step)

            def judge(other: World, row: str = one.row) -> Finding:
                def drive(names: frozenset[str], *, until_s: float, first: bool) -> Watched:
                    return _in_a_copy(lambda: world.without(row, names, until_s=until_s, first=first, world=other))

                return judged(row, every, drive(frozenset(), until_s=HORIZON_S, first=False), drive)

            told = until_explained(worlds(one.kind, one.row, step.tick, step.inputs), judge)
            made.append(replace(one, worlds=told))
    return made


def _kept(row: str, exceeded: list[dict[str, float]], period: float) -> Watched:
    """The episode as it was, from an intervention of ``row`` on."""
    watched = exceeded[: round(HORIZON_S / period)]
    broken = frozenset(name for one in watched for name, value in one.items() if value > 0)
    return Watched(np.array([one[row] for one in watched]), period, {}, broken)


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
