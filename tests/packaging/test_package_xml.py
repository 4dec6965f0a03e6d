# SPDX-License-Identifier: Apache-2.0
"""package.xml, setup.py and docs/packaging.md say the same, and nothing that is imported is missing."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "packaging.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"^\| `(?P<project>[\w.-]+)` \| (?P<asks>[\w, ]+) \| (`(?P<key>[\w.-]+)`|(?P<reason>[^`|][^|]+)) \|$", re.MULTILINE
)

BESIDE = "gz"
"""Gazebo's own bindings: for who drives in it without ROS, and named with their packages where they are absent."""


def test_the_manifest_is_valid_for_the_public_parser() -> None:
    package = pytest.importorskip("catkin_pkg.package")
    warnings: list[str] = []
    read = package.parse_package(str(ROOT / "package.xml"), warnings=warnings)
    read.validate(warnings=warnings)
    assert not warnings
    assert read.package_format == 3
    assert read.licenses == ["Apache-2.0"]
    assert (ROOT / read.licenses[0].file).is_file()
    assert read.get_build_type() == "ament_python"


def test_version_name_and_licence_are_those_of_the_python_package() -> None:
    metadata = dict(re.findall(r"^(\w+) = (.+)$", (ROOT / "setup.cfg").read_text(encoding="utf-8"), re.MULTILINE))
    root = ElementTree.parse(ROOT / "package.xml").getroot()
    for key in ("name", "version", "license"):
        assert root.findtext(key) == metadata[key]
    assert root.findtext("description", "").rstrip(".") == metadata["description"]


def test_every_requirement_of_setup_py_has_a_key_or_a_reason(
    requirements: dict[str, str], depends: dict[str, set[str]]
) -> None:
    rows = {row["project"]: row for row in ROW.finditer(PAGE)}
    wanted = {name for name, extras in requirements.items() if extras != "bench"}
    assert rows.keys() == wanted, "docs/packaging.md, table of Python requirements"
    for name, row in rows.items():
        assert row["asks"] == (requirements[name] or "always"), name
        if row["key"]:
            kind = "test_depend" if requirements[name] in ("test, dev", "dev") else "exec_depend"
            assert kind in depends.get(row["key"], ()), name
        else:
            assert len(row["reason"].strip()) > 10, name


def test_every_python_key_of_the_manifest_is_in_the_table(depends: dict[str, set[str]]) -> None:
    keys = {row["key"] for row in ROW.finditer(PAGE)}
    assert {key for key in depends if key.startswith("python3-")} - {"python3-dev"} <= keys


def test_whatever_is_imported_is_a_dependency(requirements: dict[str, str], depends: dict[str, set[str]]) -> None:
    """Of the package and its launch files: a key of package.xml, or a requirement of setup.py."""
    imported: dict[str, Path] = {}
    for path in [*(ROOT / "src").rglob("*.py"), *(ROOT / "launch").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            imported.update((name.partition(".")[0], path) for name in names)
    providers = {**packages_distributions(), "pinocchio": ["pin"]}  # whose wheel puts modules where none are looked for
    foreign = imported.keys() - sys.stdlib_module_names - depends.keys() - {"tidegate", "network", BESIDE}
    missing = {name for name in foreign if not requirements.keys() & map(str.lower, providers.get(name, [name]))}
    assert not missing, {name: str(imported[name]) for name in missing}


def test_every_installed_file_is_there_and_every_folder_is_installed(setup_arguments: dict[str, Any]) -> None:
    installed = {source for _, sources in setup_arguments["data_files"] for source in sources}
    assert all((ROOT / source).is_file() for source in installed)
    for folder in ("launch", "config", "urdf", "models"):
        here = {str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob("*") if path.is_file()}
        assert {path for path in here if "__pycache__" not in path} <= installed


@pytest.mark.parametrize("pattern", ["package.xml", "config/*.xml", "urdf/*.xacro", "urdf/*.urdf", "launch/*.xml"])
def test_markup_is_well_formed(pattern: str) -> None:
    for path in ROOT.glob(pattern):
        ElementTree.parse(path)
