# SPDX-License-Identifier: Apache-2.0
"""What the fixtures of this folder give, and the command line as a user types it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from tidegate.cli.app import app
from tidegate.curation.curate import Seen

TOPICS = ["camera/image_raw", "odom", "expert/nominal", "expert/lane"]
Change = Callable[[str, Any, int], Any]
"""Of topic, record and number of the frame: another record, or None = it is left out."""
Altered = Callable[[str, Change], Path]
See = Callable[..., Seen]


def run(*words: str) -> str:
    """``tidegate words``; what it printed."""
    done = CliRunner().invoke(app, words)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output
