# SPDX-License-Identifier: Apache-2.0
"""Workers that die, for tests of who gives them work; in a file of its own, for their processes import it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tidegate.campaign.work import Driven, Job
from tidegate.evaluation.rollout import Task


def job(name: str, folder: Path = Path()) -> Job:
    """A job whose name says what becomes of its worker; ``folder`` is where deaths are told."""
    return Job(name, Task(str(folder), "", name, 0), {}, {})


def mortal(told: Job) -> Driven:
    """'dies always', 'dies once', 'raises', 'unfit', or a job like any other; a file for each time one is begun."""
    number = len(list(Path(told.task.settings).glob(f"{told.key}*")))
    (Path(told.task.settings) / f"{told.key} {number}").touch()
    if "dies always" in told.key or ("dies once" in told.key and number == 0):
        os.kill(os.getpid(), signal.SIGKILL)
    if "raises" in told.key:
        return Driven(error="SceneError: no such road")
    if "unfit" in told.key:
        return Driven(unfit="another code")
    return Driven({"length": len(told.key)})
