# SPDX-License-Identifier: Apache-2.0
"""``tidegate card``: write a bundle's model card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tidegate.bundle import bundle_identity
from tidegate.card import read_attacked, read_driven, write_card


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
    driven = [read_driven(path, identity) for path in evaluation or ()]
    attacked = [read_attacked(path, identity) for path in outcomes or ()]
    written = write_card(bundle, driven, attacked)
    Console(soft_wrap=True, highlight=False).print(f"card: {written}")
