# SPDX-License-Identifier: Apache-2.0
"""The card in its bundle: sealed with the other files, and never at the cost of a signature that nobody renews."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tidegate import __version__
from tidegate.bundle import Bundle
from tidegate.card.arm_page import arm_card_page
from tidegate.card.evidence import Attacked, Driven, Tasks
from tidegate.card.page import card_page
from tidegate.errors import BundleError
from tidegate.security.manifest import CARD, SIGNATURE, identity, read_sealed, write_manifest


def write_card(
    folder: Path, driven: Sequence[Driven] = (), attacked: Sequence[Attacked] = (), tasks: Sequence[Tasks] = ()
) -> Path:
    """Write the card of the bundle ``folder``, in the place of one that is there, and the manifest with it; ``tasks``
    are an arm's drives.

    Raises:
        BundleError: the bundle is not whole; it is signed, and the card would cost it the signature.
    """
    bundle, sealed = Bundle.load(folder), read_sealed(folder)
    if sealed.signature is not None:
        raise BundleError(
            f"{folder}: is signed, and a card belongs to what is signed; remove {SIGNATURE}, write the card, and sign "
            f"again (tidegate sign)"
        )
    of = identity(sealed.manifest)
    if bundle.tool is None:
        text = card_page(bundle, of, __version__, driven, attacked)
    else:
        text = arm_card_page(bundle, bundle.tool, of, __version__, tasks)
    data = text.encode()
    path = folder / CARD
    path.write_bytes(data)
    write_manifest(folder, sealed.files | {CARD: data})
    return path


def card_of(folder: Path) -> str:
    """The text of the bundle's card; empty = it has none.

    Raises:
        BundleError: the bundle is not whole.
    """
    text = read_sealed(folder).files.get(CARD, b"").decode("utf-8", "replace")
    return "".join(one for one in text if one.isprintable() or one == "\n")  # nothing that steers a terminal
