# SPDX-License-Identifier: Apache-2.0
"""SECURITY.md lists every direct dependency, under the licence that the installed package itself tells."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from xml.etree import ElementTree

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "SECURITY.md").read_text(encoding="utf-8")
BSD = {"BSD-2-Clause", "BSD-3-Clause"}
PHRASES = {
    "MIT License": {"MIT"},
    "Apache 2.0": {"Apache-2.0"},
    "Apache License 2.0": {"Apache-2.0"},
    "Apache License, Version 2.0": {"Apache-2.0"},
    "Apache Software License": {"Apache-2.0"},
    "BSD": BSD,
    "BSD License": BSD,
    "GNU Lesser General Public License v3 or later (LGPLv3+)": {"LGPL-3.0-or-later"},
    "GNU Lesser General Public License version 3": {"LGPL-3.0"},
    "Mozilla Public License 2.0 (MPL 2.0)": {"MPL-2.0"},
    "Python Software Foundation License": {"PSF-like"},
}
"""What packages of before License-Expression call their licence, and what each may be."""
NAME = re.compile(r"[A-Za-z][\w.-]*")
HEAD = 2500
"""Characters of a licence text that are the package's own; those of bundled parts follow."""
ROS = "ros-jazzy-"
"""Their wheels bring the ``package.xml`` of ROS in the place of metadata."""


def listed(page: str) -> dict[str, str]:
    """What the page says of the licence, by package."""
    rows = (line.split("|") for line in page.partition("## Dependencies")[2].splitlines() if line.startswith("| `"))
    return {name: row[2].strip() for row in rows for name in re.findall(r"`([^`]+)`", row[1])}


def of_text(text: str) -> set[str]:
    """The licence that a text is, of the three that packages spell out; empty = another."""
    plain = " ".join(text[:HEAD].split())
    if "Redistribution and use in source and binary forms" in plain:
        return {"BSD-3-Clause" if "endorse or promote" in plain else "BSD-2-Clause"}
    if "Permission is hereby granted, free of charge" in plain:
        return {"MIT"}
    return {"Apache-2.0"} if "Apache License Version 2.0" in plain else set()


def stated(name: str, package: Distribution) -> Iterator[set[str]]:
    """What the package's metadata say, each as a choice of licences; nothing = they do not say."""
    about = package.metadata
    if name.startswith(ROS):
        manifest = Path(sys.prefix, "share", name.removeprefix(ROS).replace("-", "_"), "package.xml")
        for element in ElementTree.parse(manifest).iter("license") if manifest.is_file() else ():
            yield PHRASES[element.text or ""]
        return
    if about.get("License-Expression"):
        for one in re.split(r" AND | OR ", re.sub(r"[()]", "", about["License-Expression"])):
            yield {one.partition(" WITH ")[0]}
        return
    short = [
        line.rpartition(" :: ")[2] for line in about.get_all("Classifier") or [] if "License :: OSI Approved ::" in line
    ]
    told = (about.get("License") or "").strip()
    if "\n" in told:
        found = of_text(told)
        yield from [found] if found else []
    elif told:
        short += re.split(r" AND | OR ", told)
    for phrase in short:
        yield PHRASES.get(phrase, {phrase})
    if not short and not told:
        for file in package.files or []:
            own = file.parts[0].endswith(".dist-info") and len(file.parts) <= 3
            if own and re.fullmatch(r"LICEN[CS]E(\.\w+)?", file.name):
                yield of_text(Path(str(file.locate())).read_text(encoding="utf-8"))


def judged(page: str) -> tuple[list[str], set[str]]:
    """Where page and packages differ, in words, and the packages that could be compared.

    Everything that a package states must be on the page; what is there outside of parentheses must be stated.
    """
    different, compared = [], set()
    for name, licence in listed(page).items():
        try:
            says = list(stated(name, distribution(name)))
        except PackageNotFoundError:
            continue
        if not says:
            continue
        compared.add(name)
        known, main = set(NAME.findall(licence)), set(NAME.findall(licence.partition("(")[0])) - {"or"}
        if not all(choice & known for choice in says) or not main or not main <= set().union(*says):
            different.append(f"{name}: listed as {licence}, says {says}")
    return different, compared


def test_every_direct_dependency_is_listed() -> None:
    wanted = set(re.findall(r'"([A-Za-z][\w-]*)(?:[<>=][^"]*)"', (REPOSITORY / "setup.py").read_text()))
    wanted |= set(re.findall(r'"(ros-jazzy-[\w-]+|types-PyYAML)"', (REPOSITORY / "setup.py").read_text()))
    assert len(wanted) > 30
    assert wanted - {"python"} <= set(listed(PAGE))


def test_each_under_the_licence_that_it_states_itself() -> None:
    different, compared = judged(PAGE)
    assert different == []
    assert {"numpy", "pyyaml", "typer", "daqp", "rosbags", "safetensors", "pytest"} <= compared


@pytest.mark.parametrize(
    ("name", "instead"),
    [("typer", "BSD-3-Clause"), ("xacro", "BSD-2-Clause"), ("pyyaml", "Apache-2.0"), ("safetensors", "")],
)
def test_another_licence_would_be_found(name: str, instead: str) -> None:
    """Stated as an expression, as a text, in a field, by a classifier."""
    (row,) = (line for line in PAGE.splitlines() if line.startswith("| `") and f"`{name}`" in line)
    cells = row.split("|")
    changed = PAGE.replace(row, "|".join([*cells[:2], f" {instead} ", *cells[3:]]))
    assert [text for text in judged(changed)[0] if text.startswith(f"{name}: ")]
