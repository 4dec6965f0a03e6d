# SPDX-License-Identifier: Apache-2.0
"""Parallel processes for drives that are evaluated or recorded."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from concurrent.futures import ProcessPoolExecutor

WATCH_S = 1.0


def worker_pool(processes: int) -> ProcessPoolExecutor:
    """Processes that begin as fresh interpreters, so that nothing of one drive reaches another, and that end with the
    process that asked for them, even if it is killed."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, context, _end_with, (os.getpid(),))


def _end_with(parent: int) -> None:
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_S)
    os._exit(1)  # nobody is left to hear of an orderly end
