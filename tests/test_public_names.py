# SPDX-License-Identifier: Apache-2.0
"""What others may import: the names that packages list in ``__all__`` and those that the pages of ``docs/`` import."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import tidegate

ROOT = Path(tidegate.__file__).parent
REPOSITORY = ROOT.parents[1]
IMPORTED = re.compile(r"^ *from (tidegate[.\w]*) import ([\w, ]+)$", re.MULTILINE)
ARRAYS = ("Floats", "NDArray", "Tensor")
SHAPE = re.compile(r"\((?:…|\w|height)(?: [+−×] \w)*,")
"""Such as (N,), (n, n), (B, T, N), (2 + K,), (height, width, 3) or (…, G)."""


def packages() -> Iterator[str]:
    """Those that list their public names."""
    for path in sorted(ROOT.glob("*/__init__.py")):
        if "__all__" in path.read_text(encoding="utf-8"):
            yield f"tidegate.{path.parent.name}"


def shown() -> set[tuple[str, str]]:
    """(module, name) of all imports on the pages."""
    pages = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
    found = [match for page in pages for match in IMPORTED.findall(page.read_text(encoding="utf-8"))]
    return {(module, name.strip()) for module, names in found for name in names.split(",")}


PACKAGES = tuple(packages())
PUBLIC = sorted({(package, name) for package in PACKAGES for name in import_module(package).__all__} | shown())


def said(thing: Any) -> str:
    """The docstring written for ``thing`` itself, none that it inherits or that a dataclass makes."""
    text = thing.__dict__.get("__doc__") if inspect.isclass(thing) else thing.__doc__
    return "" if text is None or text.startswith(f"{getattr(thing, '__name__', '')}(") else inspect.cleandoc(text)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_lists_all_that_it_offers(package: str) -> None:
    tree = ast.parse((ROOT / package.removeprefix("tidegate.") / "__init__.py").read_text(encoding="utf-8"))
    names = {
        alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    module = import_module(package)
    assert set(module.__all__) == {name for name in names if not name.startswith("_") and name != "annotations"}
    assert len(module.__all__) == len(set(module.__all__))


@pytest.mark.parametrize(("module", "name"), PUBLIC, ids=lambda part: str(part))
def test_a_public_name_and_its_methods_say_what_they_are_and_give_types(module: str, name: str) -> None:
    thing = getattr(import_module(module), name)
    if not inspect.isclass(thing) and not inspect.isfunction(thing):
        return  # a value: its text stands behind it in the module
    assert said(thing), f"{module}.{name} has no docstring"
    for owner, function in functions(name, thing):
        signature = inspect.signature(function)
        untyped = [one.name for one in signature.parameters.values() if one.annotation is one.empty]
        assert untyped in ([], ["self"], ["cls"]), f"{owner}: {untyped} have no type"
        assert signature.return_annotation is not signature.empty, f"{owner} does not say what it returns"
        assert said(function) or function.__name__ == "__init__", f"{owner} has no docstring"


@pytest.mark.parametrize(("module", "name"), PUBLIC, ids=lambda part: str(part))
def test_arrays_of_a_public_name_have_shapes(module: str, name: str) -> None:
    thing = getattr(import_module(module), name)
    for owner, function in functions(name, thing):
        types = [str(one) for one in function.__annotations__.values()]
        if any(array in one for one in types for array in ARRAYS if "Callable" not in one):
            text = said(function) + (said(thing) if inspect.isclass(thing) else "")
            assert SHAPE.search(text), f"{module}.{owner} takes or gives arrays; its docstring has no shape of them"


def functions(name: str, thing: Any) -> Iterator[tuple[str, Any]]:
    """A function itself; of a class its own public methods and what makes it, where it is written by hand."""
    if inspect.isfunction(thing):
        yield name, thing
    elif inspect.isclass(thing):
        for key, value in vars(thing).items():
            function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
            own = key == "__init__" or not key.startswith("_")
            if own and inspect.isfunction(function) and function.__code__.co_filename.endswith(".py"):
                yield f"{name}.{key}", function


def test_type_checkers_of_others_see_the_types() -> None:
    assert (ROOT / "py.typed").is_file()
    assert "py.typed" in (REPOSITORY / "setup.py").read_text(encoding="utf-8")
