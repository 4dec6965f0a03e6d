# SPDX-License-Identifier: Apache-2.0
"""Parallel processes for drives that are evaluated or recorded."""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor


def worker_pool(processes: int) -> ProcessPoolExecutor:
    """Processes that begin as fresh interpreters, so that nothing of one drive reaches another, and that end with the
    process that asked for them, even if it is killed."""
    return ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _end_with_parent)


def _end_with_parent() -> None:
    threading.Thread(target=_outlive, daemon=True).start()


def _outlive() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)  # nobody is left to hear of an orderly end
