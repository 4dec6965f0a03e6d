# SPDX-License-Identifier: Apache-2.0
"""The campaign itself: give out episodes, keep what comes, try again what a worker died of."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence

from tidegate.campaign.fleet import Ended, Fleet
from tidegate.campaign.journal import DRIVEN, FAILED, LOST, POISONED, Entry, Journal
from tidegate.campaign.work import Driven, Job
from tidegate.errors import ClusterError

ATTEMPTS = 3


def run(
    jobs: Sequence[Job],
    fleet: Fleet[Job, Driven],
    journal: Journal,
    attempts: int = ATTEMPTS,
    heard: Callable[[Entry], None] = lambda entry: None,
) -> None:
    """Have ``jobs`` done by ``fleet``; ``heard`` gets what came of each once ``journal`` has it.

    An episode whose worker died waits until the others have been begun and is given to another worker; after
    ``attempts`` workers, those of earlier runs included, it is poisoned, and the rest goes on.

    Raises:
        ClusterError: a worker has another code, bundle or settings than the campaign.
    """
    waiting, under_way = deque(jobs), 0
    lost = Counter({key: entry.attempts for key, entry in journal.entries.items() if entry.status == LOST})
    while waiting or under_way:
        for _ in range(min(fleet.free, len(waiting))):
            fleet.start(waiting.popleft())
            under_way += 1
        entries = []
        for one in fleet.ended():
            under_way -= 1
            lost[one.job.key] += one.result is None
            entries.append(_entry(one, lost[one.job.key], attempts))
            if entries[-1].status == LOST:
                waiting.append(one.job)
        journal.append(entries)
        for entry in entries:
            if entry.status != LOST:
                heard(entry)


def _entry(one: Ended[Job, Driven], lost: int, attempts: int) -> Entry:
    """What came of an episode of which ``lost`` workers died, of at most ``attempts``."""
    key, result = one.job.key, one.result
    if result is None:
        status = LOST if lost < attempts else POISONED
        return Entry(key, status, error=f"{lost} workers died of it", attempts=lost)
    if result.unfit:
        raise ClusterError(f"worker '{one.worker}' has {result.unfit} than this campaign; make them the same")
    status = FAILED if result.error else DRIVEN
    return Entry(key, status, result.figures, result.error, lost + 1, one.worker, result.wall_s)
