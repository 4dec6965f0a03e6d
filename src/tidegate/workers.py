# SPDX-License-Identifier: Apache-2.0
"""Parallel processes for drives that are evaluated or recorded."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, ParamSpec, TypeVar

from tidegate.errors import SettingsError

J = TypeVar("J")
R = TypeVar("R")
P = ParamSpec("P")


class Workers(ProcessPoolExecutor):
    """Processes that never hear Ctrl-C, which a terminal sends to all of a command: who asked for them ends them."""

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """As ever; a process that starts for it inherits a mask without SIGINT."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def worker_pool(processes: int) -> Iterator[Workers]:
    """Processes that begin as fresh interpreters, so that nothing of one drive reaches another.

    They end with the block, at once where it is broken off (an error, Ctrl-C), and with the process that asked for
    them, even if it is killed.
    """
    others = multiprocessing.active_children()
    pool = Workers(processes, multiprocessing.get_context("spawn"), _end_with_parent)
    try:
        yield pool
    except BaseException:
        for process in multiprocessing.active_children():
            if process not in others:
                process.terminate()
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()


def as_they_end(work: Callable[[J], R], jobs: Sequence[J], processes: int) -> Iterator[tuple[J, R]]:
    """``work`` done on each of the ``jobs`` in at most ``processes`` at a time: pairs of a job and its result."""
    if not jobs:
        return
    with worker_pool(min(processes, len(jobs))) as pool:
        futures = {pool.submit(work, job): job for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result()


def _end_with_parent() -> None:
    threading.Thread(target=_outlive, daemon=True).start()


def _outlive() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)  # nobody is left to hear of an orderly end


def claim(file: IO[Any], path: Path) -> None:
    """No other process may claim the open ``file`` of results until it is closed.

    Raises:
        SettingsError: one has, naming ``path``.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise SettingsError(f"{path}: another run is writing it; wait for it, or choose another folder") from error
