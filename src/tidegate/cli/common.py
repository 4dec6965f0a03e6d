# SPDX-License-Identifier: Apache-2.0
"""What several commands share: names by comma, places for results, the bar of a campaign, and JSON."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tidegate.errors import SettingsError
from tidegate.security.access import NAMESPACE

Remap = Annotated[
    list[str] | None,
    typer.Option("--remap", help="topic of the bag := ours, such as /front/image:=camera/image_raw; may be repeated"),
]


def names(text: str) -> tuple[str, ...]:
    """The words of an option that takes several, by comma."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def known(text: str, allowed: Iterable[str], kind: str) -> tuple[str, ...]:
    """The words of an option that names some of what is ``allowed``; all of it where it is empty.

    Raises:
        SettingsError: one is not allowed; ``kind`` says of what.
    """
    every = list(allowed)
    chosen = names(text) or tuple(every)
    for name in chosen:
        if name not in every:
            raise SettingsError(f"no {kind} '{name}'; known: {', '.join(every)}")
    return chosen


def known_namespace(text: str) -> str:
    """The value of ``--namespace``.

    Raises:
        SettingsError: no such namespace can be.
    """
    if not NAMESPACE.fullmatch("/".join(("", *filter(None, text.split("/"))))):
        raise SettingsError(f"--namespace is '{text}'; it must be letters, digits and _ between slashes")
    return text


def refuse_for_arm(file: Path, asked: Mapping[str, object]) -> None:
    """Refuse options that there are not for an arm.

    Raises:
        SettingsError: naming the first that is asked for.
    """
    given = next((name for name, value in asked.items() if value), "")
    if given:
        raise SettingsError(f"{file}: describes an arm, for which there is no {given} yet; leave it out")


def check_folder(path: Path) -> None:
    """Refuse a folder for results before they are computed, which may take hours. Nothing is made.

    Raises:
        OSError: it cannot be made, or not be written to.
    """
    there = next(place for place in (path, *path.parents) if place.exists())
    if not there.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(there))
    if not os.access(there, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(there))


def check_file(path: Path) -> None:
    """As ``check_folder``, for a result that is one file."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    check_folder(path.parent)


def write_report(out: Path, text: str, told: Mapping[str, Any]) -> list[Path]:
    """Write a page as ``report.html`` into the folder ``out``, and beside it what was ``told`` as JSON, by file name;
    the files, in that order.

    Raises:
        OSError: one cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    page, files = out / "report.html", [out / name for name in told]
    page.write_text(text, encoding="utf-8")
    for file, facts in zip(files, told.values(), strict=True):
        file.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [page, *files]


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
