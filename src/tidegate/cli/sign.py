# SPDX-License-Identifier: Apache-2.0
"""``tidegate sign``: say that a bundle is yours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from tidegate.security.signature import sign as sign_folder


def sign(
    bundle: Annotated[Path, typer.Argument(help="folder of the bundle, such as models/car-ltc19")],
    key: Annotated[Path, typer.Option(help="Ed25519 private key, PEM: openssl genpkey -algorithm ed25519")],
) -> None:
    """Sign the bundle's manifest; a robot whose settings name the public key then takes it."""
    public = sign_folder(bundle, key)
    Console(soft_wrap=True, highlight=False).print(
        f"{escape(str(bundle))} is signed; robots trust it by\ntrust:\n  signers: {public}"
    )
