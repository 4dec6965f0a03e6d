# SPDX-License-Identifier: Apache-2.0
"""Bags as files: where they are, what identifies their content, and drives of them that are kept on the disk."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tidegate.bag.align import Drive, align
from tidegate.bag.reader import AS_IT_IS, BagReader
from tidegate.errors import BagError

_ARRAYS = ("stamp", "images", "speed", "force", "curvature", "lane")
_CACHE_VERSION = 1


def bags_in(paths: Sequence[Path]) -> list[Path]:
    """The bags in ``paths``: each a bag or a folder of bags.

    Raises:
        BagError: nothing there.
    """
    found: list[Path] = []
    for path in paths:
        if is_bag(path):
            found.append(path)
            continue
        inside = {file.parent for pattern in ("*.mcap", "*.db3") for file in path.rglob(pattern)}
        if not inside:
            raise BagError(f"{path}: holds no bag (a folder with a file of .mcap or .db3)")
        found += sorted(folder for folder in inside if folder.parent.suffix != ".partial")
    return found


def is_bag(path: Path) -> bool:
    """Whether ``path`` is a file, or a folder that holds a bag's files itself."""
    return path.is_file() or any(path.glob("*.mcap")) or any(path.glob("*.db3"))


def bag_hash(path: Path) -> str:
    """SHA-256 of what a bag holds: its storage files in the order of their names.

    Raises:
        BagError: one of them cannot be read.
    """
    found = hashlib.sha256()
    files = [path] if path.is_file() else sorted([*path.glob("*.mcap"), *path.glob("*.db3")])
    for file in files:
        try:
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    found.update(block)
        except OSError as error:
            raise BagError(f"{file}: cannot be read ({error.strerror or error})") from error
    return found.hexdigest()


def kept_drive(
    path: Path,
    prepare: Callable[[NDArray[np.uint8]], NDArray[Any]],
    made_by: Any,
    cache: Path | None = None,
    remap: Mapping[str, str] = AS_IT_IS,
    labels: bool | None = True,
    sha256: str | None = None,
) -> tuple[Drive, str]:
    """A drive as ``align`` makes it, and the bag's hash.

    Args:
        path: of the bag.
        prepare: as ``align`` takes it.
        made_by: what ``prepare`` depends on, as JSON has it: with bag and ``remap`` it says whether what is kept fits.
        cache: folder that keeps what was made of each bag; its files may be deleted at any time.
        remap: as ``BagReader`` takes it.
        labels: as ``align`` takes it.
        sha256: the hash that the bag must have; None = any.

    Raises:
        BagError: no bag, no time series, a missing topic, or another bag than the hash tells.
    """
    digest = bag_hash(path)
    if sha256 is not None and digest != sha256:
        what = f"SHA-256 {digest[:12]}…, it was {sha256[:12]}…" if path.exists() else "it is not there"
        raise BagError(f"{path}: is not the bag that was planned with ({what}); run 'tidegate curate' anew")
    made_from = [_CACHE_VERSION, digest, made_by, *([dict(remap)] if remap else [])]
    key = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:24]
    file = cache / f"{key}.npz" if cache else None
    if file is not None and file.exists():
        try:
            with np.load(file, allow_pickle=False) as kept:
                return Drive(path=path, interrupted=False, **{name: kept[name] for name in _ARRAYS}), digest
        except (OSError, EOFError, KeyError, ValueError, BadZipFile):
            file.unlink()  # damaged
    drive = align(BagReader(path, remap), prepare, labels)
    if file is not None and not drive.interrupted:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}")  # a process that is killed leaves no half file under that name
        with part.open("wb") as stream:
            np.savez(stream, **{name: getattr(drive, name) for name in _ARRAYS})
        part.replace(file)
    return drive, digest
