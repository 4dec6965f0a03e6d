# SPDX-License-Identifier: Apache-2.0
"""What came of each episode, a line each, on disk before anybody hears of it: what a campaign goes on from."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from tidegate.errors import SettingsError
from tidegate.workers import claim

DRIVEN, FAILED, POISONED, LOST = "driven", "failed", "poisoned", "lost"


@dataclass(frozen=True, slots=True)
class Entry:
    """What came of the episode ``key``.

    Attributes:
        status: DRIVEN: ``figures`` tell; FAILED: it raised ``error``; POISONED: workers died of it each time; LOST:
            one did, and it is tried again.
        attempts: how many workers had it.
        worker: the last of them.
        wall_s: how long that took [s].
    """

    key: str
    status: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    attempts: int = 1
    worker: str = ""
    wall_s: float = 0.0


class Journal:
    """Grows by whole lines; ``entries`` by key is what it holds, of two with one key the later.

    Its first line are the facts that all of it depends on.
    """

    def __init__(self, path: Path, file: IO[bytes], facts: Mapping[str, str]) -> None:
        self._path, self._file = path, file
        self.entries: dict[str, Entry] = {}
        lines = self._whole_lines()
        if lines:
            self._check(lines[0], facts)
        else:
            self._write([facts])
        for number, line in enumerate(lines[1:], start=2):
            try:
                entry = Entry(**json.loads(line))
            except (ValueError, TypeError) as error:
                raise SettingsError(f"{path}, line {number}: no entry ({error}); remove the line") from error
            self.entries[entry.key] = entry

    def append(self, entries: Sequence[Entry]) -> None:
        """Keep ``entries``; they are on disk when it returns. One sync for all of them."""
        self._write([asdict(entry) for entry in entries])
        self.entries.update((entry.key, entry) for entry in entries)

    def _write(self, values: Sequence[Mapping[str, Any]]) -> None:
        self._file.write("".join(json.dumps(value) + "\n" for value in values).encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def _whole_lines(self) -> list[bytes]:
        """Its lines; a last one that was broken off is dropped from the file."""
        self._file.seek(0)
        lines = self._file.read().splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            self._file.truncate(sum(map(len, lines := lines[:-1])))
        return lines

    def _check(self, line: bytes, facts: Mapping[str, str]) -> None:
        try:
            found = dict(json.loads(line))
        except (ValueError, TypeError):
            found = {}
        if other := [name for name in sorted({*facts, *found}) if facts.get(name) != found.get(name)]:
            told = " and ".join(f"other {name}" for name in other)
            raise SettingsError(f"{self._path}: holds results of {told} than now; choose another folder, or remove it")


@contextmanager
def opened(path: Path, facts: Mapping[str, str]) -> Iterator[Journal]:
    """The journal at ``path``, which begins with ``facts``; nobody else may write it meanwhile.

    Raises:
        SettingsError: somebody else does, it holds results of other facts, or a line that is none.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        claim(file, path)
        yield Journal(path, file, facts)
