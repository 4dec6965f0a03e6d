# SPDX-License-Identifier: Apache-2.0
"""What can be read of a damaged bag, as a whole new one that any tool opens."""

from __future__ import annotations

from pathlib import Path

from tidegate.bag.reader import BagReader
from tidegate.bag.typestore import STORE
from tidegate.bag.writer import BagWriter


def rescue(reader: BagReader, target: Path) -> tuple[dict[str, int], dict[str, str]]:
    """Write every message that ``reader`` can read into a new bag ``target``, MCAP, with the contract.

    Returns:
        messages written by absolute topic, and by topic the types whose definition is not known: these are left out.

    Raises:
        BagError: ``target`` exists, or cannot be written.
    """
    known = {
        name: kind for name, kind in reader.topics.items() if kind in STORE.fielddefs or kind in reader.definitions
    }
    with BagWriter(target, reader.contract(), definitions=reader.definitions) as writer:
        for name, kind, received, data in reader.raw(known):
            writer.write_raw(name, kind, data, received)
        written = writer.counts
    return written, {name: kind for name, kind in reader.topics.items() if name not in known}
