# SPDX-License-Identifier: Apache-2.0
"""The table of a campaign: a row per episode, with nothing in it that another machine or another day would change."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

from tidegate.attack.outcome import Outcome
from tidegate.campaign.episodes import COLUMNS
from tidegate.campaign.journal import Entry
from tidegate.campaign.work import UNTOLD, Job
from tidegate.errors import DependencyError
from tidegate.evaluation.metrics import Run

try:
    import pyarrow
    from pyarrow import parquet
except ImportError as error:
    raise DependencyError(f"Parquet needs pyarrow ({error}); type: pip install 'tidegate[data]'") from error

ENDED = {"status": str, "error": str}
ARROW = {int: pyarrow.int64(), float: pyarrow.float64(), bool: pyarrow.bool_(), str: pyarrow.string()}


def _figures(kind: type, prefix: str = "") -> Iterator[tuple[str, type]]:
    """Columns of a dataclass: those inside are joined by a dot, collections are JSON."""
    for name, hint in get_type_hints(kind).items():
        known = next(one for one in get_args(hint) if one is not type(None)) if isinstance(hint, UnionType) else hint
        if dataclasses.is_dataclass(known):
            yield from _figures(known, f"{prefix}{name}.")  # type: ignore[arg-type]
        elif name not in (*COLUMNS, *UNTOLD):
            yield f"{prefix}{name}", known if known in ARROW else str


FIGURES = {**dict(_figures(Run)), **dict(_figures(Outcome))}
"""Of either kind of drive; where both have one it means the same."""
SCHEMA = {**COLUMNS, **ENDED, **FIGURES}
"""Name and type of each column, whatever was driven."""


def rows(jobs: Sequence[Job], entries: Mapping[str, Entry]) -> list[dict[str, Any]]:
    """What the table says of each of the ``jobs``; what does not apply is None."""
    return [_row(job, entries[job.key]) for job in jobs]


def write(path: Path, told: Sequence[Mapping[str, Any]], facts: Mapping[str, str]) -> None:
    """Write the rows ``told`` as Parquet, with the ``facts`` of the campaign; all of the file or none of it."""
    schema = pyarrow.schema([(name, ARROW[kind]) for name, kind in SCHEMA.items()], metadata=dict(facts))
    unfinished = path.with_suffix(".new")
    parquet.write_table(pyarrow.Table.from_pylist(list(told), schema), unfinished)
    os.replace(unfinished, path)


def _row(job: Job, entry: Entry) -> dict[str, Any]:
    made: dict[str, Any] = {**dict.fromkeys(SCHEMA), **job.columns, "status": entry.status, "error": entry.error}
    return made | {name: _value(entry.figures, name) for name in FIGURES}


def _value(figures: Mapping[str, Any], column: str) -> Any:
    name, _, inner = column.partition(".")
    value = figures.get(name)
    if inner and value is not None:
        value = value[inner]
    return json.dumps(value, sort_keys=True) if isinstance(value, (dict, list, tuple)) else value
