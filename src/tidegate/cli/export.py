# SPDX-License-Identifier: Apache-2.0
"""``tidegate export``: a bundle as one ONNX file, a C99 library, or a folder that needs NumPy alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from tidegate.bundle import Bundle
from tidegate.export.targets import TARGETS, export_bundle
from tidegate.settings import load_settings
from tidegate.share import share_path


def export(
    bundle: Annotated[Path, typer.Argument(help="folder of the bundle, such as models/car-ltc19")],
    to: Annotated[str, typer.Option(help=f"one of {', '.join(TARGETS)}")],
    out: Annotated[Path, typer.Option(help="file (onnx) or folder to write; must not exist")],
    config: Annotated[Path | None, typer.Option(help="robot's settings: its camera")] = None,
) -> None:
    """Take camera part and liquid neurons elsewhere, with a sequence that proves them equal to the live path."""
    settings = load_settings(config or share_path("config/car.yaml"))
    off = export_bundle(Bundle.load(bundle, settings.vehicle.name), settings, to, out)
    console = Console()
    console.print(f"written: {escape(str(out))}", soft_wrap=True)
    if off is None:
        console.print(
            f"no C compiler here; compare it with the live path elsewhere: make -C {escape(str(out))} check",
            soft_wrap=True,
        )
    else:
        console.print(f"differs from the live path by {off:.1e} of full scale")
