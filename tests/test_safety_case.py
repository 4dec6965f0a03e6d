# SPDX-License-Identifier: Apache-2.0
"""The safety case of docs/safety.md cannot rot: its tests exist, every barrier is in it, every assumption is broken."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tidegate.safety import barriers

ROOT = Path(__file__).parents[1]
NODE = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def table() -> list[list[str]]:
    """Cells of each row."""
    section = (ROOT / "docs" / "safety.md").read_text(encoding="utf-8").split("## Safety case\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@cache
def functions_in(path: str) -> set[str]:
    """Names of the functions in a file."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", table(), ids=lambda row: f"{row[0]}, {row[2]}")
def test_every_row_names_tests_that_exist_and_breaks_what_it_assumes(row: list[str]) -> None:
    assert len(row) == 6
    _, kept_by, assumed, shown, broken, _ = row
    assert kept_by
    assert NODE.search(shown), "nothing shows it"
    assert bool(NODE.search(broken)) == (assumed != "–"), "an assumption needs a test that breaks it"
    for path, name in NODE.findall(" ".join(row)):
        assert name in functions_in(path), f"{path} has no {name}"


def test_every_barrier_and_every_broken_assumption_is_in_the_safety_case() -> None:
    kept_by = " ".join(row[1] for row in table())
    assert [name for name in barriers if f"`{name}`" not in kept_by] == []
    named = {name for row in table() for _, name in NODE.findall(" ".join(row))}
    broken = {name for name in functions_in("tests/safety/test_assumptions.py") if name.startswith("test_")}
    assert broken - named == set()
