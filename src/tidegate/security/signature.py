# SPDX-License-Identifier: Apache-2.0
"""Ed25519 (RFC 8032) signatures of manifests: who made a bundle. Keys are PEM files as ``openssl`` makes them.

openssl genpkey -algorithm ed25519 -out maker.pem
openssl pkey -in maker.pem -pubout -out maker.pub.pem
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

from tidegate.errors import BundleError, DependencyError, SettingsError
from tidegate.security.manifest import MANIFEST, SIGNATURE, Sealed, read_sealed
from tidegate.security.parse import read_bounded

try:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_der_public_key,
        load_pem_private_key,
        load_pem_public_key,
    )
except ImportError as error:
    raise DependencyError(f"signatures need 'cryptography' ({error}); type: pip install 'tidegate[sign]'") from error

LARGEST_KEY = 10_000
WHAT = "it must be an Ed25519 key in PEM form, not encrypted (openssl genpkey -algorithm ed25519)"


def sign(folder: Path, key: Path) -> str:
    """Sign the manifest of the bundle ``folder`` with the private key in the file ``key``; the public key as text.

    Raises:
        BundleError: the bundle is not as its manifest says; SettingsError: no such key.
    """
    sealed = read_sealed(folder)
    try:
        private = load_pem_private_key(_read_key(key), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SettingsError(f"{key}: is no private key ({error}); {WHAT}") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise SettingsError(f"{key}: is another kind of private key; {WHAT}")
    (folder / SIGNATURE).write_bytes(private.sign(sealed.manifest))
    return _text(private.public_key())


def public_key(key: Path) -> str:
    """The public key in the file ``key`` as one word, as ``trust.signers`` takes it: the PEM's middle line.

    Raises:
        SettingsError: no such key.
    """
    try:
        found = load_pem_public_key(_read_key(key))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SettingsError(f"{key}: is no public key ({error}); {WHAT}") from error
    if not isinstance(found, Ed25519PublicKey):
        raise SettingsError(f"{key}: is another kind of public key; {WHAT}")
    return _text(found)


def require_signature(folder: Path, sealed: Sealed, signers: Sequence[str]) -> str:
    """See that one of the public keys ``signers`` has signed the bundle; that key.

    Raises:
        BundleError: unsigned, or by none of them; SettingsError: one of them is no key.
    """
    keys = {text: _public(text) for text in signers}
    wanted = f"one of the {len(keys)} trusted keys must have signed it (trust.signers)"
    if sealed.signature is None:
        raise BundleError(f"{folder}: is not signed (it has no {SIGNATURE}); {wanted}")
    for text, key in keys.items():
        try:
            key.verify(sealed.signature, sealed.manifest)
        except InvalidSignature:
            continue
        return text
    raise BundleError(f"{folder / SIGNATURE}: is no signature of its {MANIFEST} by a trusted key; {wanted}")


def _public(text: str) -> Ed25519PublicKey:
    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SettingsError(
            f"trust.signers: '{text[:80]}' is no public key ({error}); {WHAT}, the line between"
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise SettingsError(f"trust.signers: '{text[:80]}' is another kind of key; {WHAT}, the line between")
    return key


def _text(key: Ed25519PublicKey) -> str:
    return base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode("ascii")


def _read_key(path: Path) -> bytes:
    try:
        return read_bounded(path, LARGEST_KEY)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read ({error})") from error
