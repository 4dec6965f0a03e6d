# SPDX-License-Identifier: Apache-2.0
"""``tidegate settings``: every setting with unit, range, default and meaning."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, get_args

import typer
from rich.console import Console
from rich.table import Table

from tidegate.settings import Entry, entries, settings_from
from tidegate.settings.arm import arm_settings_from

COLUMNS = ("key", "type", "unit", "default", "allowed", "at run time", "meaning")
HEADING = """# Settings

Made by `make docs` from the declarations in `tidegate.settings`; the same table validates `config/*.yaml` and makes the
ROS parameter descriptors (`ros2 param describe`). `safety.barriers` takes further barriers
by name, of these types or of your own: [own_barrier.md](own_barrier.md).

"At run time" says what the running safety node takes (`ros2 param set /safety_node vehicle.speed_max 8.0`): `lower`
nothing above the file's, `higher` nothing below it, `range` all that is allowed; back to the file's always. What was
changed is forgotten when the node ends. It is what may be asked of the car, which may get less, and the room that is
kept, which may get more. `fixed` is the rest, also what only looks like a limit: the brakes, the torque rates, the
steering and the assumptions about them are what every way out counts on, and a car with less of them is not safer.

| key | type | unit | default | allowed | at run time | meaning |
| --- | --- | --- | --- | --- | --- | --- |"""


ARM_HEADING = """
## The arm

An arm's file (`config/arm.yaml`: `tidegate.settings.arm`) has sections of its own; nothing of it changes at run time.
Lists have one value per joint.

| key | type | unit | default | allowed | at run time | meaning |
| --- | --- | --- | --- | --- | --- | --- |"""


def settings(markdown: Annotated[bool, typer.Option(help="print the page docs/settings.md")] = False) -> None:
    """List every setting of a car's YAML file; with --markdown the arm's too."""
    if markdown:
        typer.echo(markdown_page(), nl=False)
        return
    table = Table(*COLUMNS)
    for entry in _defaults():
        table.add_row(*cells(entry))
    Console().print(table)


def markdown_page() -> str:
    """The page docs/settings.md."""
    return "\n".join([HEADING, *_rows(_defaults()), ARM_HEADING, *_rows(_arm_defaults())]) + "\n"


def _rows(declared: Iterator[Entry]) -> list[str]:
    return ["| " + " | ".join(cells(entry)) + " |" for entry in declared]


def _defaults() -> Iterator[Entry]:
    return entries(settings_from({}, "defaults", Path()))


def _arm_defaults() -> Iterator[Entry]:
    return entries(arm_settings_from({}, "defaults", Path()))


def cells(entry: Entry) -> tuple[str, ...]:
    """One table row, in the order of ``COLUMNS``."""
    listed = isinstance(entry.default, tuple)
    default = ", ".join(map(str, entry.default)) if listed else str(entry.default)
    kind = f"list of {get_args(entry.type)[0].__name__}" if listed else entry.type.__name__
    return (entry.key, kind, entry.limits.unit, default, entry.limits.allowed(), entry.limits.live, entry.limits.doc)
