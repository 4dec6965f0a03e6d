# SPDX-License-Identifier: Apache-2.0
"""``tidegate verify``: is a bundle whole, and whose is it?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from tidegate.security.manifest import SIGNATURE, read_sealed
from tidegate.security.signature import public_key, require_signature


def verify(
    bundle: Annotated[Path, typer.Argument(help="folder of the bundle, such as models/car-ltc19")],
    key: Annotated[
        list[Path] | None, typer.Option(help="Ed25519 public key, PEM, one of which must have signed")
    ] = None,
) -> None:
    """Check every file against the manifest, and with --key the manifest's signature."""
    sealed = read_sealed(bundle)
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"{escape(str(bundle))}: {len(sealed.files)} files, all as the manifest says")
    if key:
        signer = require_signature(bundle, sealed, [public_key(path) for path in key])
        console.print(f"signed by {signer}")
    elif sealed.signature is None:
        console.print("not signed")
    else:
        console.print(f"has a {SIGNATURE}; whose it is was not checked (--key PUBLIC.pem)")
