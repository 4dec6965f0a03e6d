# SPDX-License-Identifier: Apache-2.0
"""Print the page docs/versions.md: which versions of the direct dependencies are installed where the tests run."""

from __future__ import annotations

import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HEAD = """# Versions

What is installed where the tests were run last; made from that environment by `make docs`.
"""


def requirements(text: str) -> dict[str, str]:
    """What ``setup.py`` asks for, by package."""
    ranged = dict(re.findall(r'"([A-Za-z][\w-]*)([<>=][^"]*)"', text))
    return ranged | dict.fromkeys(re.findall(r'"(ros-jazzy-[\w-]+|types-PyYAML)"', text), "")


def rows(wanted: dict[str, str]) -> list[tuple[str, str, str]]:
    """Package, range and version; ``–`` = not installed."""
    found = []
    for name, allowed in sorted(wanted.items(), key=lambda item: item[0].lower()):
        try:
            found.append((name, allowed, version(name)))
        except PackageNotFoundError:
            found.append((name, allowed, "–"))
    return found


def main() -> None:
    """Print it."""
    setup = Path(__file__).resolve().parents[1] / "setup.py"
    print(HEAD)
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}.\n")
    print("| package | allowed | tested |\n| --- | --- | --- |")
    for name, allowed, installed in rows(requirements(setup.read_text(encoding="utf-8"))):
        print(f"| `{name}` | {f'`{allowed}`' if allowed else ''} | {installed} |")


if __name__ == "__main__":
    main()
