# SPDX-License-Identifier: Apache-2.0
"""What several commands share: names by comma, and the bar of a campaign."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


def names(text: str) -> tuple[str, ...]:
    """The words of an option that takes several, by comma."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def campaign_bar(console: Console) -> Progress:
    """How many drives are done, how long it took and how long it will take."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console)
