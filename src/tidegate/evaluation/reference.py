# SPDX-License-Identifier: Apache-2.0
"""What the code is expected to make of a bag: a second, small bag in the first one's folder, and what made it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from tidegate.bag import BagReader, BagWriter
from tidegate.bag.reader import AS_IT_IS
from tidegate.errors import BagError
from tidegate.evaluation.topics import EVERY_OUTPUT, Records, small_records

FOLDER, FACTS = "reference", "reference.json"
BUNDLE = "bundle"


def write_reference(bag: Path, made: Records, facts: dict[str, str]) -> Path:
    """Write ``made`` as the reference of ``bag``, in the place of an older one; the bag itself is left as it is.

    Args:
        bag: its folder.
        made: what a replay made of it.
        facts: what made it, by name.

    Returns:
        the folder of the reference.

    Raises:
        BagError: the bag is a single file, or the folder cannot be written.
    """
    if not bag.is_dir():
        raise BagError(f"{bag}: is a file; a reference goes into the folder of a bag")
    folder = bag / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    with BagWriter(folder) as writer:
        for stamp, topic in sorted((stamp, output) for output in EVERY_OUTPUT for stamp in made.get(output, ())):
            writer.write(topic, made[topic][stamp])
    (folder / FACTS).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return folder


def read_reference(bag: Path, forms: Mapping[str, str] = AS_IT_IS) -> tuple[Records, dict[str, str]]:
    """The reference of ``bag`` and what made it; ``forms`` as ``BagReader.messages`` takes them.

    Raises:
        BagError: there is none, or it cannot be read.
    """
    folder = bag / FOLDER
    if not folder.is_dir():
        raise BagError(f"{bag}: has no reference; 'tidegate replay {bag} --update-reference' makes one")
    try:
        facts = dict(json.loads((folder / FACTS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise BagError(f"{folder / FACTS}: cannot be read ({error})") from error
    return small_records(BagReader(folder), EVERY_OUTPUT, forms), facts
