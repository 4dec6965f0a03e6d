# SPDX-License-Identifier: Apache-2.0
"""Whether a test runs the commands of a page: by the words of its strings, and of what it uses in its module."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from blocks import PYTHON, ROOT, Block, commands


def words_of(test: str) -> set[str]:
    """The words of every string of ``tests/…/test_x.py::test_y``, docstrings left out, and of the constants, functions
    and fixtures that it names, and so on: of its module, its folder's ``conftest.py`` and what they import from beside
    them.

    Raises:
        ValueError: it names no test, or one that is not there.
    """
    path, _, name = test.partition("::")
    module = ROOT / path
    home = _definitions(module.with_name("conftest.py")) | _definitions(module)
    if not name.startswith("test_") or name not in home:
        raise ValueError(f"{path}: no {name or 'test named'}; say {path}::test_…")
    told: set[str] = set()
    seen, waiting = {name}, [name]
    while waiting:
        for used in _strings(home[waiting.pop()], told):
            if used in home and used not in seen:
                seen.add(used)
                waiting.append(used)
    return told


def _definitions(module: Path) -> dict[str, ast.stmt]:
    """Constants, functions and classes by name; none where the module is not there."""
    found: dict[str, ast.stmt] = {}
    for node in ast.parse(module.read_text(encoding="utf-8")).body if module.exists() else ():
        match node:
            case ast.ImportFrom(module=str(beside)):
                found |= _definitions(module.with_name(f"{beside}.py"))
            case ast.FunctionDef(name=known) | ast.ClassDef(name=known):
                found[known] = node
            case ast.Assign(targets=[ast.Name(id=known)]) | ast.AnnAssign(target=ast.Name(id=known)):
                found[known] = node
    return found


def _strings(node: ast.stmt, told: set[str]) -> Iterator[str]:
    """Put the words of its strings into ``told``; the names that it uses."""
    docs = {id(one.value) for one in ast.walk(node) if isinstance(one, ast.Expr)}
    for one in ast.walk(node):
        match one:
            case ast.Constant(value=str(text)) if id(one) not in docs:
                told.update(text.split())
            case ast.Name(id=used) | ast.arg(arg=used):
                yield used


def missing(block: Block, tests: Sequence[set[str]]) -> list[list[str]]:
    """The commands of a block that none of ``tests``, given by their words, runs with all options.

    A test that names the page reads it, and runs what stands there.
    """
    page = block.page.relative_to(ROOT).as_posix()
    if any({page, block.page.name} & told for told in tests):
        return []
    if block.language == PYTHON:
        return [block.text.splitlines()]
    return [words for words in commands(block.text) if words and not any(_runs(words, told) for told in tests)]


def _runs(words: Sequence[str], told: set[str]) -> bool:
    match words:
        case ["tidegate" | "colcon" | "pip", name, *rest]:
            needed = {name, *(word.partition("=")[0] for word in rest if word.startswith("-"))}
        case ["ros2", "launch", "tidegate", file, *rest]:
            needed = {file, *(f"{word.partition(':=')[0]}:=" for word in rest if ":=" in word)}
        case _:
            needed = set(words[1:])
    return all(word in told or (word.endswith(":=") and any(one.startswith(word) for one in told)) for word in needed)
