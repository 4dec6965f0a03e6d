# SPDX-License-Identifier: Apache-2.0
"""``make audit`` calls nothing sound that it was not told of; docs/versions.md lists what setup.py asks for."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def package(name: str, *faults: str) -> dict[str, Any]:
    """As pip-audit 2 reports one."""
    vulns = [{"id": fault, "fix_versions": ["2.0"], "aliases": [], "description": ""} for fault in faults]
    return {"name": name, "version": "1.0", "vulns": vulns}


SKIPPED = {
    "name": "ros-rclpy",
    "skip_reason": "Dependency not found on PyPI and could not be audited: ros-rclpy (7.1.6)",
}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([package("numpy"), package("rich"), SKIPPED], 0, r"2 packages checked, 0 known faults; .*: ros-rclpy"),
        ([package("numpy"), package("rich", "PYSEC-1")], 1, r"rich 1\.0: PYSEC-1, mended in 2\.0"),
        ([{**SKIPPED, "name": "numpy"}, SKIPPED], 2, r"answered for 0 of 2 packages, not for numpy: nothing is known"),
        ([], 2, r"nothing is known"),
    ],
)
def test_only_what_was_answered_is_sound(packages: list[dict[str, Any]], code: int, said: str) -> None:
    found, lines = script("audit").judge({"dependencies": packages, "fixes": []})
    assert found == code
    assert re.search(said, "\n".join(lines))


def test_without_an_index_it_fails_with_one_line(tmp_path: Path) -> None:
    """In a copy, so that no pip-audit is there yet."""
    (tmp_path / "scripts").mkdir()
    copy = tmp_path / "scripts" / "audit.py"
    copy.write_text((ROOT / "scripts" / "audit.py").read_text())
    done = subprocess.run([sys.executable, copy], capture_output=True, text=True, env={"PIP_NO_INDEX": "1"})
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "audit: pip-audit>=2.7,<3 cannot be installed: the package index does not answer, or lacks it"
    ]


def test_the_page_of_versions_lists_every_requirement_within_its_range() -> None:
    specifiers = pytest.importorskip("packaging.specifiers")
    wanted = script("versions").requirements((ROOT / "setup.py").read_text())
    page = (ROOT / "docs" / "versions.md").read_text()
    rows = {
        name: (allowed, tested) for name, allowed, tested in re.findall(r"\| `(.+?)` \| `?(.*?)`? \| (\S+) \|", page)
    }
    assert {name: allowed for name, (allowed, _) in rows.items()} == wanted
    assert len([name for name, (_, tested) in rows.items() if tested != "–"]) > 35
    for name, (allowed, tested) in rows.items():
        assert tested == "–" or tested in specifiers.SpecifierSet(allowed, prereleases=True), name
