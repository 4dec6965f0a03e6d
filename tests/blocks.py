# SPDX-License-Identifier: Apache-2.0
"""The shell commands and the Python of the documentation, and what their pages say about running them.

An HTML comment on the line before a fence tells, by semicolon: ``needs: docker, hardware`` (what a test has not),
``shown elsewhere: tests/test_x.py::test_y …`` (tests that run the same), ``run by CI: make test`` (a line of .ci/run),
``run by hand`` (takes long, or changes the repository), or ``slow``.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").glob("*/README.md")),
]
SHELL, PYTHON = ("sh", "bash", "shell", "console"), "python"
NEEDS = {"docker", "gazebo", "hardware", "ros2 apt", "network"}
"""What this test may lack."""
COMMANDS = "tidegate|ros2|make|colcon|docker|pip|apt|apt-get|sudo|git|xacro|rosdep|hadolint|python|python3"
FENCE = re.compile(r"^(?P<indent> {0,3})```(?P<language>.*)$")
NOTE = re.compile(r"^ {0,3}<!-- (.*) -->$")
INLINE = re.compile(r"`((?:(?:tidegate|ros2|make|mcap|pip|colcon|python3?) |scripts/)[^`]+)`")
INDENTED = re.compile(rf"^    (?:{COMMANDS})(?: |$)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of shell commands or Python, with the notes of the comment before it."""

    page: Path
    line: int
    text: str
    notes: tuple[str, ...]
    language: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def note(self, kind: str) -> str | None:
        """What follows ``kind:`` in its notes, '' where nothing follows; None = it says nothing of the kind."""
        for one in self.notes:
            if one.partition(":")[0] == kind:
                return one.partition(":")[2].strip()
        return None

    @property
    def marked(self) -> bool:
        """Whether it is not to be run here."""
        return any(self.note(kind) is not None for kind in ("needs", "shown elsewhere", "run by CI", "run by hand"))


def blocks(page: Path) -> Iterator[Block]:
    """Every block of shell commands or Python of a page.

    Raises:
        ValueError: shell commands that no fence says to be such.
    """
    lines = page.read_text(encoding="utf-8").splitlines()
    opened, language, indent = 0, "", 0
    for number, line in enumerate(lines, 1):
        fence = FENCE.match(line)
        if fence and not opened:
            opened, language, indent = number, fence["language"].strip(), len(fence["indent"])
        elif fence:
            text = [one[indent:] for one in lines[opened : number - 1]]
            if language in (*SHELL, PYTHON):
                noted = NOTE.match(lines[opened - 2]) if opened > 1 else None
                notes = tuple(note.strip() for note in noted[1].split(";")) if noted else ()
                yield Block(page, opened, "\n".join(text) + "\n", notes, language)
            elif not language and any(INDENTED.match(f"    {one}") for one in text):
                raise ValueError(f"{page}:{opened}: shell commands; say ```sh")
            opened = 0
        elif not opened and INDENTED.match(line):
            raise ValueError(f"{page}:{number}: shell commands; put them between ```sh and ```")


def commands(text: str) -> Iterator[list[str]]:
    """Every simple command of shell text, in words."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in lexer:
            if set(word) <= set(";&|"):
                yield words
                words = []
            elif words or not re.match(r"^\w+=", word):  # an assignment before the command
                words.append(word)
        yield words


def inline(page: Path) -> Iterator[list[str]]:
    """Every command that is named within the text of a page."""
    for found in INLINE.finditer(page.read_text(encoding="utf-8")):
        yield from commands(found[1])
