# SPDX-License-Identifier: Apache-2.0
"""Parallel processes for drives that are evaluated or recorded."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

J = TypeVar("J")
R = TypeVar("R")


def worker_pool(processes: int) -> ProcessPoolExecutor:
    """Processes that begin as fresh interpreters, so that nothing of one drive reaches another, and that end with the
    process that asked for them, even if it is killed."""
    return ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _end_with_parent)


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
