# SPDX-License-Identifier: Apache-2.0
"""A campaign's scheduler as a discrete-event simulation: one process that gives out, collects and writes, and many
workers. It follows ``tidegate.campaign.run``, in simulated time."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Costs:
    """What the one process spends [s].

    Attributes:
        episode: to give out one episode, take in its result and write its line.
        call: to ask which have ended, for each that is under way.
        sync: until the disk has what was written, once for all that have ended.
        ahead: episodes under way for each worker; with 1 a worker waits for its next.
    """

    episode: float
    call: float
    sync: float
    ahead: int


@dataclass(frozen=True, slots=True)
class Found:
    """``used``: share of the workers' time in which they drove; ``busy``: share of the one process's time in which it
    worked; ``batch``: episodes that it took in at once, in the mean."""

    used: float
    busy: float
    batch: float


class Workers:
    """Each drives one episode at a time; ``queued`` ones wait at them."""

    def __init__(self, count: int) -> None:
        self.idle, self.drove = count, 0.0
        self.queued: deque[float] = deque()
        self.driving: list[tuple[float, float]] = []  # when it ends, and how long it takes

    def give(self, now: float, duration: float) -> None:
        """An episode that takes ``duration``."""
        self.queued.append(duration)
        self._begin(now)

    def advance(self, now: float) -> int:
        """Drive until ``now``: how many episodes ended since."""
        count = 0
        while self.driving and self.driving[0][0] <= now:
            end, duration = heapq.heappop(self.driving)
            self.drove, self.idle, count = self.drove + duration, self.idle + 1, count + 1
            self._begin(end)
        return count

    def driven(self, now: float) -> float:
        """Time that all of them have driven for [s], that of unfinished episodes included."""
        return self.drove + sum(duration - (end - now) for end, duration in self.driving)

    def _begin(self, now: float) -> None:
        while self.idle and self.queued:
            duration = self.queued.popleft()
            heapq.heappush(self.driving, (now + duration, duration))
            self.idle -= 1


def simulate(count: int, mean_s: float, costs: Costs, each: int = 20, seed: int = 0) -> Found:
    """A campaign of ``each`` times as many episodes as the ``count`` of workers, of 0.5 to 1.5 times ``mean_s``.

    Seen until the last episode was given out: how evenly a campaign ends is up to its episodes, not to the scheduler.
    """
    left = deque((np.random.default_rng(seed).uniform(0.5, 1.5, each * count) * mean_s).tolist())
    workers, now, spent, under_way, ended, batches = Workers(count), 0.0, 0.0, 0, 0, []
    while left:
        for _ in range(min(costs.ahead * count - under_way, len(left))):
            now, spent, under_way = now + costs.episode, spent + costs.episode, under_way + 1
            ended += workers.advance(now)
            workers.give(now, left.popleft())
        if not ended:
            now = workers.driving[0][0]
            ended = workers.advance(now)
        batches.append(ended)
        cost, under_way = costs.call * under_way + costs.sync, under_way - ended
        now, spent = now + cost, spent + cost
        ended = workers.advance(now)
    return Found(workers.driven(now) / (count * now), spent / now, float(np.mean(batches)))
