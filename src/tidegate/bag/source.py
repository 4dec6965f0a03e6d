# SPDX-License-Identifier: Apache-2.0
"""One file of a bag: read by its index while that is whole, else what can be saved of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from tidegate.bag.expand import expand

Raw = tuple[str, str, int, bytes]
"""Absolute topic, ROS type, time of receipt [ns], CDR."""
Noted = Callable[[str], None]
"""Hears what is wrong."""


class Source(ABC):
    """A file, which is looked into when it is made.

    Attributes:
        topics: ROS type by absolute topic name.
        counts: messages by absolute topic name.
        definitions: text of the message definition by ROS type, as far as it carries them.
        broken: why it has no usable index; empty = it has one, or is whole without.
    """

    def __init__(self, path: Path, noted: Noted) -> None:
        """``noted`` hears what is wrong with the file, now and while it is read."""
        self.path, self._noted = path, noted
        self.topics: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        self.definitions: dict[str, str] = {}
        self.broken = ""

    @abstractmethod
    def raw(self, names: Collection[str]) -> Iterator[Raw]:
        """Serialised messages on the absolute topic ``names``, in order of receipt; damaged parts are left out."""


def expanded(items: Iterator[Raw], file: Path, noted: Noted) -> Iterator[Raw]:
    """The messages of a ``file`` whose messages are compressed one by one."""
    for name, kind, received, data in items:
        try:
            yield name, kind, received, expand(data, "zstd")
        except ValueError as error:
            noted(f"{file.name}: messages that cannot be decompressed were left out (the first: it {error})")
