# SPDX-License-Identifier: Apache-2.0
"""What ament_flake8 and ament_pep257 would say, but for the codes that docs/packaging.md names."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "packaging.md").read_text(encoding="utf-8")
SOURCES = ("src/tidegate", "launch", "setup.py")
AMENT = "C816,D100,D101,D102,D103,D104,D105,D106,D107,D203,D212,D404,I202"
"""What ament_flake8's configuration leaves out; its D codes are those that ament_pep257 leaves out."""
DEFAULT = "E121,E123,E126,E226,E24,E704,W503,W504"
"""What flake8 leaves out by itself, where nothing is selected."""


def kept(linter: str) -> str:
    """The codes that the page says are not clean, by comma."""
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{linter}` |")]
    return ",".join(re.findall(r"\b[A-Z]\d{3}\b", row.partition("not by the plug-ins")[0]))


def clean(*command: str) -> None:
    ran = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.slow
def test_flake8_with_aments_configuration_finds_only_what_the_page_says() -> None:
    pytest.importorskip("flake8")
    options = [f"--ignore={DEFAULT},{AMENT},{kept('ament_flake8')}", "--max-line-length=120", "--jobs=1"]
    clean("flake8", "--isolated", *options, "--select=C,E,F,W", *SOURCES)


@pytest.mark.slow
def test_pep257_with_aments_convention_finds_only_what_the_page_says() -> None:
    pytest.importorskip("pydocstyle")
    ignored = [code for code in AMENT.split(",") if code.startswith("D")]
    clean("pydocstyle", f"--ignore={','.join(ignored)},{kept('ament_pep257')}", r"--match=.*\.py", *SOURCES)


def test_the_page_names_codes_of_each() -> None:
    assert kept("ament_flake8").startswith("E203,")
    assert len(kept("ament_pep257").split(",")) == 12
