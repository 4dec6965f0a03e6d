# SPDX-License-Identifier: Apache-2.0
"""Write into docs/raspberry-pi.md for which live dependency pip finds a wheel for 64-bit Arm."""

from __future__ import annotations

import json
import re
import tempfile
import time
from pathlib import Path

from arm64 import pip, requirements
from common import table

PAGE = Path("docs/raspberry-pi.md")
START, END = "<!-- wheels -->", "<!-- end of wheels -->"
PYTHONS = ("3.11", "3.12")


def main() -> None:
    """Ask for every requirement, with all that it requires itself."""
    found: dict[str, dict[str, str]] = {}
    base = requirements()
    for one in [*base, *requirements("ros")]:
        for python in PYTHONS:
            for name, wheel in wheels(one, base, python).items():
                found.setdefault(name, {})[python] = wheel
    rows = [(f"`{name}`", *(cells.get(python, "not needed") for python in PYTHONS)) for name, cells in found.items()]
    head = ("package", *(f"CPython {python}" for python in PYTHONS))
    made = f"{START}\n{table(head, rows)}\n\nAsked on {time.strftime('%Y-%m-%d')}.\n{END}"
    page = PAGE.read_text("utf-8")
    PAGE.write_text(re.sub(f"{START}.*{END}", lambda _: made, page, flags=re.DOTALL), "utf-8")
    print(PAGE)


def wheels(requirement: str, constraints: list[str], python: str) -> dict[str, str]:
    """Version and platform of each wheel that ``requirement`` comes to, by package."""
    with tempfile.TemporaryDirectory() as made:
        report, bounds = Path(made) / "report.json", Path(made) / "constraints.txt"
        bounds.write_text("\n".join(constraints), "utf-8")
        asked = ["--dry-run", "--ignore-installed", f"--target={made}", f"--report={report}", f"--constraint={bounds}"]
        done = pip(*asked, requirement, python=python)
        if done.returncode:
            missing = re.findall(r"No matching distribution found for ([\w.-]+)", done.stderr)
            name = re.match(r"[\w.-]+", requirement)[0]
            return {name: " ".join(["none", *(f"(no `{one}`)" for one in missing if one != name)])}
        installed = json.loads(report.read_text("utf-8"))["install"]
    return {one["metadata"]["name"].lower(): described(one["download_info"]["url"]) for one in installed}


def described(url: str) -> str:
    """Version and platform of a wheel, by its file's name."""
    _, version, *_, platform = Path(url).stem.split("-")
    return f"{version}, {'any' if platform == 'any' else platform.split('.')[0]}"


if __name__ == "__main__":
    main()
