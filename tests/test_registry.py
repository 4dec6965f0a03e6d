# SPDX-License-Identifier: Apache-2.0
"""Parts of other packages: found by name, imported only when asked for, and what cannot be imported is named."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tidegate.errors import DependencyError
from tidegate.registry import Registry


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An installed package with two parts of the kind 'walls', one of which is not there."""
    (tmp_path / "masonry.py").write_text("class Brick: pass\n")
    info = tmp_path / "masonry-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: masonry\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tidegate.walls]\nbrick = masonry:Brick\nstone = masonry:Stone\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "masonry", raising=False)
    return "masonry"


def test_a_part_of_another_package_is_imported_when_it_is_asked_for(package: str) -> None:
    walls: Registry[type] = Registry("walls")
    walls.register("hedge")(int)
    assert list(walls) == ["brick", "hedge", "stone"]
    assert package not in sys.modules
    assert walls["hedge"] is int
    assert package not in sys.modules
    assert walls["brick"] is sys.modules[package].Brick is walls["brick"]


def test_a_part_that_cannot_be_imported_is_named(package: str) -> None:
    walls: Registry[type] = Registry("walls")
    with pytest.raises(DependencyError, match=r"walls 'stone': its package has no masonry:Stone"):
        walls["stone"]


def test_what_nobody_registered_is_refused_with_what_is_known(package: str) -> None:
    with pytest.raises(KeyError, match=r"unknown walls 'wood'; known: brick, stone"):
        Registry("walls")["wood"]
    walls: Registry[type] = Registry("walls")
    walls.register("hedge")(int)
    with pytest.raises(ValueError, match="walls 'hedge' is registered twice"):
        walls.register("hedge")(float)
