# SPDX-License-Identifier: Apache-2.0
"""Put the faults of planted.yaml into a copy of the project, one by one: does a fast test notice it?

Unlike ``mutate.py``, which makes every small fault of the safety room, these are faults that a person could make,
over the whole path. Resumable: what was found of the same source and tests is kept in out/planted.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
import yaml
from mutate import digest

ROOT = Path(__file__).resolve().parents[1]
FAULTS = ROOT / "scripts/planted.yaml"
OUT, PAGE = ROOT / "out/planted/results.jsonl", ROOT / "docs/planted.md"
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "out", "build", "install", "log", "__pycache__", ".*_cache", ".hypothesis"
)
TESTS = {
    "messages": ["tests/test_messages.py", "tests/nodes"],
    "bag": ["tests/bag", "tests/learning"],
    "learning": ["tests/learning", "tests/curation"],
    "security": ["tests/security", "tests/test_bundle.py"],
    "safety": ["tests/safety", "tests/robot"],
}
"""Where a room's tests are, if not in the folder of its name."""
REST = ["tests", "--ignore=tests/launch"]
LONGEST_S = 900.0


class Fault(NamedTuple):
    """``old``, which stands once in ``file``, becomes ``new``."""

    room: str
    what: str
    file: str
    old: str
    new: str

    @property
    def path(self) -> str:
        return f"src/tidegate/{self.file}"

    @property
    def tests(self) -> list[str]:
        """Where its room's tests are."""
        return TESTS.get(self.room, [f"tests/{self.room}"])


def read() -> list[Fault]:
    """The faults, in the order of the file.

    Raises:
        SystemExit: one no longer fits the source.
    """
    found = [Fault(room, **one) for room, listed in yaml.safe_load(FAULTS.read_text("utf-8")).items() for one in listed]
    for fault in found:
        count = (ROOT / fault.path).read_text("utf-8").count(fault.old)
        if count != 1:
            raise SystemExit(
                f"{FAULTS.name}: '{fault.what}': {fault.old!r} stands {count} times in {fault.path}, not once"
            )
    return found


def key(fault: Fault) -> str:
    """Of what a result depends on: the fault, its file and the tests of its room."""
    tests = [ROOT / name for name in fault.tests]
    files = [file for name in tests for file in (sorted(name.rglob("*.py")) if name.is_dir() else [name])]
    return digest(repr(fault).encode(), (ROOT / fault.path).read_bytes(), *(file.read_bytes() for file in files))


def caught(copy: Path, tests: list[str], side_by_side: int) -> str:
    """The first test that fails in the ``copy``; '' = none does."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-rfE", "-p", "no:cacheprovider"]
    command += ["-m", "not slow and not real_time", "-n", str(side_by_side), "--dist", "loadfile", *tests]
    environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "HYPOTHESIS_PROFILE": "mutants"}
    try:
        ran = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=LONGEST_S)
    except subprocess.TimeoutExpired:
        return "the tests do not end"
    if ran.returncode == 0:
        return ""
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", ran.stdout, re.MULTILINE)
    if failed is None:
        raise SystemExit(f"pytest ended with {ran.returncode}:\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    return failed[1]


def page(found: dict[str, dict[str, str]], faults: list[Fault]) -> str:
    """docs/planted.md."""
    known = [(fault, found[key(fault)]["by"]) for fault in faults if key(fault) in found]
    noticed = sum(bool(by) for _, by in known)
    share = noticed / max(len(known), 1)
    lines = [
        "# Planted faults",
        "",
        f"{len(known)} faults that a person could make, over the whole path from camera to actuator and in training,",
        f"put in one by one by `scripts/planted.py`. The fast tests notice {noticed} of them ({share:.1%}).",
        "`make planted` does it again.",
        "",
        "| room | fault | noticed by |",
        "| --- | --- | --- |",
        *(
            f"| {fault.room} | {fault.what} (`{fault.file}`) | {f'`{by}`' if by else '**nothing**'} |"
            for fault, by in known
        ),
    ]
    return "\n".join(lines) + "\n"


def main(
    room: Annotated[list[str] | None, typer.Option(help="Only faults of this room.")] = None,
    processes: Annotated[int, typer.Option(help="Tests that run side by side.")] = 2,
    write: Annotated[bool, typer.Option(help="Write docs/planted.md.")] = False,
) -> None:
    """Plant each fault; where the tests of its room do not notice, all fast tests are asked."""
    faults = read()
    entries = [json.loads(line) for line in OUT.read_text("utf-8").splitlines()] if OUT.exists() else []
    found = {entry["key"]: entry for entry in entries}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="planted-") as place:
        copy = Path(place) / "tidegate"
        shutil.copytree(ROOT, copy, ignore=LEFT_OUT, symlinks=True)
        sound_rooms: set[str] = set()
        for fault in faults:
            if key(fault) in found or (room and fault.room not in room):
                continue
            if fault.room not in sound_rooms:
                if by := caught(copy, fault.tests, processes):
                    raise SystemExit(f"{by} fails without any fault")
                sound_rooms.add(fault.room)
            source = copy / fault.path
            sound = source.read_text("utf-8")
            source.write_text(sound.replace(fault.old, fault.new), encoding="utf-8")
            by = caught(copy, fault.tests, processes)
            elsewhere = "" if by else caught(copy, REST, processes)
            source.write_text(sound, encoding="utf-8")
            if elsewhere and caught(copy, [elsewhere], 0):  # of all tests nobody has seen that they pass
                raise SystemExit(f"{elsewhere} fails without any fault")
            by = by or elsewhere
            found[key(fault)] = {"key": key(fault), "what": fault.what, "by": by}
            with OUT.open("a", encoding="utf-8") as out:
                out.write(json.dumps(found[key(fault)]) + "\n")
            print(f"{fault.room}: {fault.what}: {by or 'NOTHING NOTICES'}", flush=True)
    if write:
        PAGE.write_text(page(found, faults), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
