# SPDX-License-Identifier: Apache-2.0
"""What one worker does: see that it is fit, drive one episode, and tell what came of it in plain values."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

from tidegate.attack.campaign import shared_facts
from tidegate.attack.episode import Episode, run_episode
from tidegate.evaluation.rollout import Task, run_task

UNTOLD = ("wall_s", "episode")
"""Of what drives tell of themselves: what is another each time, and what the job says already."""


@dataclass(frozen=True, slots=True)
class Job:
    """One episode; plain values alone, so that it travels to another machine.

    Attributes:
        key: its name in the campaign.
        task: what to drive.
        needs: digests of settings, code and, where a network drives, bundle, as ``shared_facts``; a worker that has
            others is refused.
        columns: what the table says of it beside what came of it.
    """

    key: str
    task: Task | Episode
    needs: Mapping[str, str]
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Driven:
    """What came of a job: ``figures`` of the drive, or why there are none (``error``; ``unfit``: the worker has another
    code, bundle or settings than the campaign). ``wall_s`` [s] by the clock."""

    figures: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    unfit: str = ""
    wall_s: float = 0.0


def drive(job: Job) -> Driven:
    """Drive one episode; whatever it raises is told, for it is of this episode alone."""
    began = time.perf_counter()
    try:
        found = _facts(job.task.settings, job.task.bundle if "bundle" in job.needs else None)
        if other := [name for name in job.needs if found.get(name) != job.needs[name]]:
            return Driven(unfit=" and ".join(f"another {name}" for name in sorted(other)))
        result = run_task(job.task) if isinstance(job.task, Task) else run_episode(job.task)
        figures = {name: value for name, value in asdict(result).items() if name not in UNTOLD}
    except (Exception, SystemExit) as error:  # a plug-in may end its process in this way too
        return Driven(error=f"{type(error).__name__}: {error}", wall_s=time.perf_counter() - began)
    return Driven(figures, wall_s=time.perf_counter() - began)


@cache
def _facts(settings: str, bundle: str | None) -> dict[str, str]:
    """Read once in a process: files that change later do not change what it has imported."""
    return shared_facts(settings, bundle)
