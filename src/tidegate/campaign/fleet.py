# SPDX-License-Identifier: Apache-2.0
"""Where episodes are driven: an interface, and the processes of this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from tidegate.workers import Workers, worker_pool

J = TypeVar("J")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Ended(Generic[J, R]):
    """A job that is no longer under way: its ``result`` and the name of the worker, or None where that one died."""

    job: J
    result: R | None
    worker: str = ""


class Fleet(Protocol[J, R]):
    """Workers; each has one job at a time, so that one that dies names the job that it died of."""

    @property
    def free(self) -> int:
        """How many more jobs it takes now."""

    def start(self, job: J) -> None:
        """Begin a job; only while there are ``free`` places."""

    def ended(self) -> list[Ended[J, R]]:
        """Wait until at least one job has ended: all that have."""


@contextmanager
def processes(work: Callable[[J], R], count: int) -> Iterator[Fleet[J, R]]:
    """``count`` processes of this machine that do ``work``; gone with the block."""
    with ExitStack() as stack:
        yield _Processes(work, count, lambda: stack.enter_context(worker_pool(1)))


class _Processes(Generic[J, R]):
    """A pool of one process for each place: where a process of a larger pool dies, all its jobs are lost, and nobody
    knows which of them it was."""

    def __init__(self, work: Callable[[J], R], count: int, make: Callable[[], Workers]) -> None:
        self._work, self._make = work, make
        self._idle = [make() for _ in range(count)]
        self._busy: dict[Future[tuple[str, R]], tuple[J, Workers]] = {}

    @property
    def free(self) -> int:
        return len(self._idle)

    def start(self, job: J) -> None:
        pool = self._idle.pop()
        try:
            future = pool.submit(_named, self._work, job)
        except BrokenProcessPool:  # it died while it had nothing to do
            pool = self._make()
            future = pool.submit(_named, self._work, job)
        self._busy[future] = job, pool

    def ended(self) -> list[Ended[J, R]]:
        return [self._result(future) for future in wait(self._busy, return_when=FIRST_COMPLETED).done]

    def _result(self, future: Future[tuple[str, R]]) -> Ended[J, R]:
        job, pool = self._busy.pop(future)
        try:
            worker, result = future.result()
        except BrokenProcessPool:
            pool.shutdown()
            self._idle.append(self._make())
            return Ended(job, None)
        self._idle.append(pool)
        return Ended(job, result, worker)


def _named(work: Callable[[J], R], job: J) -> tuple[str, R]:
    return f"{socket.gethostname()} {os.getpid()}", work(job)
