# SPDX-License-Identifier: Apache-2.0
"""What several commands share: names by comma, the bar of a campaign, and JSON."""

from __future__ import annotations

import json
import math
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Remap = Annotated[
    list[str] | None,
    typer.Option("--remap", help="topic of the bag := ours, such as /front/image:=camera/image_raw; may be repeated"),
]


def names(text: str) -> tuple[str, ...]:
    """The words of an option that takes several, by comma."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def campaign_bar(console: Console) -> Progress:
    """How many drives are done, how long it took and how long it will take."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console)


def print_json(value: Any) -> None:
    """One JSON document on standard output, as ``json_text``."""
    typer.echo(json_text(value))


def json_text(value: Any) -> str:
    """One JSON document; NaN and infinity, which JSON has not, become null."""
    return json.dumps(_plain(value), indent=1, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value
