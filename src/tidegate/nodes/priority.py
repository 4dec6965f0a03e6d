# SPDX-License-Identifier: Apache-2.0
"""Real-time priority, so that no other load makes a command late."""

from __future__ import annotations

import os
from pathlib import Path

PRIORITIES = {"safety_node": 70, "policy_node": 60, "perception_node": 60}
"""Of the nodes between camera and command (SCHED_FIFO)."""


def hasten(node: str) -> str:
    """Give every thread of this process the priority of ``node``; what came of it, empty where it has none."""
    priority = PRIORITIES.get(node)
    if priority is None:
        return ""
    try:
        real_time(priority)
    except OSError as error:
        return f"normal priority ({error.strerror}); grant this user rtprio {priority} for one that load cannot delay"
    return f"real-time priority {priority}"


def real_time(priority: int) -> None:
    """Put every thread of this process under SCHED_FIFO.

    Raises:
        OSError: the system does not grant it.
    """
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setscheduler(int(thread.name), os.SCHED_FIFO, os.sched_param(priority))
