# SPDX-License-Identifier: Apache-2.0
"""What setup.py and package.xml say, and workspaces that colcon has built."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import setuptools
from workspace import Workspace, build

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def setup_arguments() -> dict[str, Any]:
    """What setup.py gives to setuptools."""
    given: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, "setup", lambda **arguments: given.update(arguments))
        patch.chdir(ROOT)
        runpy.run_path("setup.py")
    return given


@pytest.fixture(scope="session")
def requirements(setup_arguments: dict[str, Any]) -> dict[str, str]:
    """Project name → the extras that ask for it, '' = every installation."""
    extras = {name: group for name, group in setup_arguments["extras_require"].items() if name != "all"}
    asked: dict[str, list[str]] = {}
    for name, group in {"": setup_arguments["install_requires"], **extras}.items():
        for requirement in group:
            asked.setdefault(project(requirement), []).append(name)
    return {name: ", ".join(groups) for name, groups in asked.items()}


def project(requirement: str) -> str:
    """``numpy`` of ``numpy>=1.26,<2``."""
    return re.match(r"[\w.-]+", requirement)[0].lower()


@pytest.fixture(scope="session")
def depends() -> dict[str, set[str]]:
    """Key → the kinds of dependency that package.xml gives it."""
    found: dict[str, set[str]] = {}
    for element in ElementTree.parse(ROOT / "package.xml").getroot():
        if element.tag.endswith("depend"):
            found.setdefault(element.text or "", set()).add(element.tag)
    return found


@pytest.fixture(scope="session")
def colcon() -> str:
    """The command."""
    command = shutil.which("colcon", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if command is None:
        pytest.skip("colcon is absent")
    return command


@pytest.fixture(scope="session")
def built(colcon: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Workspace]:
    """Build with one option of colcon ('' = none); each workspace once."""
    return cache(lambda option: build(tmp_path_factory.mktemp("workspace"), colcon, *filter(None, [option])))
