# SPDX-License-Identifier: Apache-2.0
"""A SQLite file of a bag: plain tables alone, so that nothing which the file itself says is ever computed."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from array import array
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from tidegate.bag.expand import LARGEST
from tidegate.bag.source import Noted, Raw, Source

PLAIN = re.compile(r"create\s+(table|(unique\s+)?index)\b", re.IGNORECASE)
"""What the schema of a bag may hold. Views, triggers and virtual tables compute; none has them."""
TABLES = ("topics", "messages", "message_definitions")
LARGEST_WORD, LARGEST_TEXT = 1 << 16, 1 << 20
"""Bytes of a statement of the schema or a name, and of a message definition."""
MOST_TOPICS = 10_000
EVERY, STEPS, STEPS_PER_BYTE = 100_000, 10_000_000, 50
"""How often SQLite asks whether to go on, and after how many steps it may not: a row of 20 bytes takes about 30. Pages
that name each other in a circle have rows without end."""


class SqliteSource(Source):
    """See ``source.Source``."""

    def __init__(self, path: Path, noted: Noted) -> None:
        super().__init__(path, noted)
        try:
            with self._base() as base:
                named = self._named(base)
                counts = dict(base.execute("SELECT topic_id, count(*) FROM messages GROUP BY topic_id"))
            self.topics.update(named.values())
            self.counts.update({name: counts.get(number, 0) for number, (name, _) in named.items()})
        except (sqlite3.Error, ValueError) as error:
            self.broken = str(error)
            for _, (name, kind, _, _) in self._saved():
                self.topics[name] = kind
                self.counts[name] += 1

    def raw(self, names: Collection[str]) -> Iterator[Raw]:
        """See ``source.Source``."""
        done = array("q")
        if not self.broken:
            try:
                with self._base() as base:
                    named = self._named(base)
                    order = base.execute("SELECT id, topic_id, timestamp FROM messages ORDER BY timestamp, id")
                    for number, topic, received in order:
                        name, kind = named.get(topic, ("", ""))
                        if name not in names:
                            continue
                        (data,) = base.execute("SELECT data FROM messages WHERE id = ?", (number,)).fetchone() or [None]
                        if not (isinstance(received, int) and isinstance(data, bytes)):
                            raise ValueError(f"message {number} is none")
                        done.append(number)
                        yield name, kind, received, data
                return
            except (sqlite3.Error, ValueError) as error:
                self._noted(f"{self.path.name}: is damaged ({error})")
        before = frozenset(done)  # handed out before the damage was met
        for number, item in self._saved():
            if item[0] in names and number not in before:
                yield item

    @contextlib.contextmanager
    def _base(self, *, cut: bool = False) -> Iterator[sqlite3.Connection]:
        """The file, opened for reading alone; ``cut``: although it may be shorter than it says, which SQLite refuses
        unless its schema may be written. Nothing is written.

        Raises:
            sqlite3.Error: no database; ValueError: it holds more than plain tables.
        """
        address = f"{self.path.resolve().as_uri()}?mode=ro&immutable=1"
        left = STEPS + STEPS_PER_BYTE * self.path.stat().st_size

        def spent() -> bool:
            nonlocal left
            left -= EVERY
            return left < 0

        with contextlib.closing(sqlite3.connect(address, uri=True)) as base:
            base.set_progress_handler(spent, EVERY)
            base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_WORD)
            base.execute("PRAGMA trusted_schema=OFF")
            if cut:
                base.execute("PRAGMA writable_schema=ON")
            for name, text in base.execute("SELECT name, sql FROM sqlite_master WHERE sql NOT NULL"):
                if not PLAIN.match(str(text)):
                    raise ValueError(f"'{name}' is no plain table or index")
            for table in TABLES:
                for _, column, *_, hidden in base.execute(f"PRAGMA table_xinfo({table})"):
                    if hidden:
                        raise ValueError(f"{table}.{column} is computed")
            yield base

    def _named(self, base: sqlite3.Connection) -> dict[int, tuple[str, str]]:
        """Name and type by number of the topic; afterwards ``base`` gives messages.

        Raises:
            sqlite3.Error: no such table, or damaged; ValueError: a name that is none, or too many.
        """
        rows: list[Any] = base.execute("SELECT id, name, type FROM topics").fetchmany(MOST_TOPICS + 1)
        if len(rows) > MOST_TOPICS:
            raise ValueError(f"has more than {MOST_TOPICS:,} topics")
        for _, name, kind in rows:
            if not (isinstance(name, str) and isinstance(kind, str)):
                raise ValueError("a topic has no name or no type")
        kinds = {kind for _, _, kind in rows}
        base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_TEXT)
        with contextlib.suppress(sqlite3.Error):  # of before version 4: it has no such table
            texts = base.execute("SELECT topic_type, encoding, encoded_message_definition FROM message_definitions")
            for kind, encoding, text in texts:
                if kind in kinds and encoding == "ros2msg" and isinstance(text, str):
                    self.definitions[kind] = text
        base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST)
        return {number: (name, kind) for number, name, kind in rows}

    def _saved(self) -> Iterator[tuple[int, Raw]]:
        """Number and message in the order in which they were written, up to where the file breaks."""
        try:
            with self._base(cut=True) as base:
                named = self._named(base)
                rows = base.execute("SELECT id, topic_id, timestamp, data FROM messages ORDER BY id")
                for number, topic, received, data in rows:
                    name, kind = named.get(topic, (None, None))
                    if not all(map(isinstance, (name, kind, received, data), (str, str, int, bytes))):
                        break  # a page that was cut through
                    yield number, (str(name), str(kind), received, data)
                else:
                    return
        except (sqlite3.Error, ValueError):
            pass
        self._noted(f"{self.path.name}: read up to where it breaks")
