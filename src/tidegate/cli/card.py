# SPDX-License-Identifier: Apache-2.0
"""``tidegate card``: write a bundle's model card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tidegate.bundle import Bundle, bundle_identity
from tidegate.card import read_attacked, read_driven, read_tasks, write_card
from tidegate.errors import BundleError


def card(
    bundle: Annotated[Path, typer.Argument(help="folder of the bundle, such as models/car-ltc19")],
    evaluation: Annotated[
        list[Path] | None, typer.Option(help="folder of tidegate evaluate, driven by this bundle; may be repeated")
    ] = None,
    outcomes: Annotated[
        list[Path] | None, typer.Option(help="folder of tidegate attack, of this bundle; may be repeated")
    ] = None,
) -> None:
    """Write MODEL_CARD.md into a bundle, from its record and from what closed loops showed of it."""
    _, identity = bundle_identity(bundle)
    if Bundle.load(bundle).tool is not None:
        if outcomes:
            raise BundleError(f"{bundle}: is of an arm, whose hostile episodes know no bundle; leave --outcomes out")
        written = write_card(bundle, tasks=[read_tasks(path, identity) for path in evaluation or ()])
        Console(soft_wrap=True, highlight=False).print(f"card: {written}")
        return
    driven = [read_driven(path, identity) for path in evaluation or ()]
    attacked = [read_attacked(path, identity) for path in outcomes or ()]
    written = write_card(bundle, driven, attacked)
    Console(soft_wrap=True, highlight=False).print(f"card: {written}")
