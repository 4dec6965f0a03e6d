# SPDX-License-Identifier: Apache-2.0
"""The manifest of a folder: the SHA-256 of each file, in the form of ``sha256sum``, so that any system can check it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tidegate.errors import BundleError
from tidegate.security.parse import read_bounded

MANIFEST, SIGNATURE = "SHA256SUMS", "SHA256SUMS.sig"
CARD = "MODEL_CARD.md"
"""For people: sealed and signed as any file, but no part of what drives."""
LARGEST_FILE = 1 << 26
"""Bytes; a bundle has less than a million."""
MOST_FILES = 100
_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9_][A-Za-z0-9_.-]*)")


@dataclass(frozen=True, slots=True, eq=False)
class Sealed:
    """What was read and found as the manifest says: ``files`` by name, ``manifest``, and ``signature`` if any."""

    files: dict[str, bytes]
    manifest: bytes
    signature: bytes | None


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def identity(manifest: bytes) -> str:
    """SHA-256 of a manifest without the line of its model card: two bundles that differ by the card alone drive the
    same, and have the same. Of a manifest without a card that of the whole."""
    kept = (line for line in manifest.splitlines(keepends=True) if line.rstrip(b"\n")[66:] != CARD.encode())
    return digest(b"".join(kept))


def write_manifest(folder: Path, files: Mapping[str, bytes] | None = None) -> None:
    """Write the manifest of ``files``, by default of all that the folder holds; a signature of another one goes.

    Raises:
        BundleError: the folder cannot be read or holds more than plain files with plain names.
    """
    if files is None:
        files = _read(folder)
        files.pop(MANIFEST, None)
        files.pop(SIGNATURE, None)
    text = "".join(f"{digest(data)}  {name}\n" for name, data in sorted(files.items()))
    _parse(folder, text.encode())
    (folder / SIGNATURE).unlink(missing_ok=True)
    (folder / MANIFEST).write_text(text, encoding="ascii", newline="\n")


def read_sealed(folder: Path) -> Sealed:
    """Read the folder once, and see that it holds what its manifest says, no file less and none more.

    Raises:
        BundleError: naming the file, and what is expected.
    """
    files = _read(folder)
    manifest, signature = files.pop(MANIFEST, None), files.pop(SIGNATURE, None)
    if manifest is None:
        raise BundleError(
            f"{folder}: has no {MANIFEST}; if it is from before there was one and you trust it, type: "
            f"tidegate inspect {folder} --write-manifest"
        )
    expected = _parse(folder, manifest)
    for name, wanted in expected.items():
        if name not in files:
            raise BundleError(f"{folder / name}: is missing; {MANIFEST} expects it with SHA-256 {wanted}")
        if digest(files[name]) != wanted:
            raise BundleError(
                f"{folder / name}: is corrupt: its SHA-256 is {digest(files[name])}; {MANIFEST} expects {wanted}"
            )
    for name in files:
        if name not in expected:
            raise BundleError(f"{folder / name}: does not belong here; {MANIFEST} expects {', '.join(expected)}")
    return Sealed(files, manifest, signature)


def _parse(folder: Path, manifest: bytes) -> dict[str, str]:
    """SHA-256 by file name."""
    found: dict[str, str] = {}
    for number, line in enumerate(manifest.decode("ascii", "replace").splitlines(), 1):
        match = _LINE.fullmatch(line)
        if match is None or match[2] in (*found, MANIFEST, SIGNATURE):
            raise BundleError(
                f"{folder / MANIFEST}: line {number} is {line[:80]!r}; it must be a SHA-256, two spaces and the plain "
                "name of a file that no other line has"
            )
        found[match[2]] = match[1]
    return found


def _read(folder: Path) -> dict[str, bytes]:
    """Every file, by name. Pipes and devices are refused: they may never end. A link to a file counts as that file, for
    colcon installs links where it is asked to."""
    if not folder.is_dir():
        raise BundleError(f"{folder}: no such bundle (a folder with {MANIFEST} and the files that it names)")
    try:
        with os.scandir(folder) as listed:
            entries = sorted(listed, key=lambda entry: entry.name)
    except OSError as error:
        raise BundleError(f"{folder}: cannot be read ({error.strerror or error})") from error
    if len(entries) > MOST_FILES:
        raise BundleError(f"{folder}: holds {len(entries)} files; a bundle has {MOST_FILES} at most")
    files = {}
    for entry in entries:
        if not entry.is_file():
            raise BundleError(f"{folder / entry.name}: is no file; a bundle holds nothing else")
        try:
            files[entry.name] = read_bounded(Path(entry.path), LARGEST_FILE)
        except OSError as error:
            raise BundleError(f"{entry.path}: cannot be read ({error.strerror or error})") from error
        except ValueError as error:
            raise BundleError(f"{entry.path}: {error}") from error
    return files
