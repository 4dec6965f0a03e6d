# SPDX-License-Identifier: Apache-2.0
"""The campaign itself: give out episodes, keep what comes, try again what a worker died of."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence

from tidegate.campaign.fleet import Ended, Fleet
from tidegate.campaign.journal import DRIVEN, FAILED, POISONED, Entry, Journal
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
    ``attempts`` workers it is poisoned, and the rest goes on.

    Raises:
        ClusterError: a worker has another code, bundle or settings than the campaign.
    """
    waiting, under_way, lost = deque(jobs), 0, Counter[str]()
    while waiting or under_way:
        for _ in range(min(fleet.free, len(waiting))):
            fleet.start(waiting.popleft())
            under_way += 1
        entries = []
        for one in fleet.ended():
            under_way -= 1
            if one.result is None:
                lost[one.job.key] += 1
                if lost[one.job.key] < attempts:
                    waiting.append(one.job)
                    continue
            entries.append(_entry(one, lost[one.job.key]))
        if entries:
            journal.append(entries)
        for entry in entries:
            heard(entry)


def _entry(one: Ended[Job, Driven], lost: int) -> Entry:
    """What came of an episode of which ``lost`` workers died."""
    key, result = one.job.key, one.result
    if result is None:
        return Entry(key, POISONED, error=f"{lost} workers died of it", attempts=lost)
    if result.unfit:
        raise ClusterError(f"worker '{one.worker}' has {result.unfit} than this campaign; make them the same")
    status, attempts = FAILED if result.error else DRIVEN, lost + 1
    return Entry(key, status, result.figures, result.error, attempts, one.worker, result.wall_s)
