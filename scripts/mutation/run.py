# SPDX-License-Identifier: Apache-2.0
"""Runs tests against mutants inside one pytest session: each mutant in a forked process of its own, nothing written.

A mutant inside a function replaces the code of the living function; one at module level executes the room anew.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.abc
import importlib.util
import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import coverage
import pytest

from mutation.make import Mutant

KILLED, SURVIVED, UNCOVERED, LATE, NOT_RUN = "killed", "survived", "uncovered", "killed (time)", "not run"


def forked(work: Callable[[], int], limit: float) -> int | None:
    """Exit status of ``work`` in a process of its own; None = it took longer than ``limit`` [s] and was ended."""
    child = os.fork()
    if child == 0:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        try:
            os._exit(work())
        except BaseException:  # whatever a mutant raises past pytest is a fault that was noticed
            os._exit(1)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def fails(session: pytest.Session, items: list[pytest.Item], budget: float = math.inf) -> int:
    """1 as soon as one of ``items`` fails, 0 if all pass that are begun within ``budget`` [s]."""
    end = time.monotonic() + budget
    for item in items:
        if time.monotonic() > end:
            return 0
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        if session.testsfailed:
            return 1
    return 0


class Map:
    """Which tests run which lines, and for how long [s]; only tests of at most ``longest`` [s].

    Those that take longer are remembered in the folder ``kept``, by test and content of its file.
    """

    def __init__(self, session: pytest.Session, files: list[Path], longest: float, kept: Path) -> None:
        self.items = {item.nodeid: item for item in session.items}
        self.time: dict[str, float] = {}
        self._lines: dict[tuple[str, int], list[str]] = {}
        self._files: dict[str, list[str]] = {}
        long, scratch = kept / f"longer-than-{longest:g}.txt", kept / "seen.json"
        known = set(long.read_text(encoding="utf-8").splitlines()) if long.exists() else set()
        for name, item in self.items.items():
            mark = f"{name} {hashlib.sha256(item.path.read_bytes()).hexdigest()[:12]}"
            if mark in known:
                continue
            scratch.unlink(missing_ok=True)
            status = forked(lambda item=item: self._watch(session, item, files, scratch), 3 * longest)  # type: ignore[misc]
            seen = json.loads(scratch.read_text(encoding="utf-8")) if status == 0 else {"time": math.inf}
            if status not in (0, None):
                raise SystemExit(f"{name} cannot be watched")
            if seen["time"] > longest:
                with long.open("a", encoding="utf-8") as out:
                    out.write(mark + "\n")
                continue
            if seen["failed"]:
                raise SystemExit(f"{name} fails without any mutant; mend it first")
            self.time[name] = seen["time"]
            for path, lines in seen["lines"].items():
                self._files.setdefault(path, []).append(name)
                for line in lines:
                    self._lines.setdefault((path, line), []).append(name)

    @staticmethod
    def _watch(session: pytest.Session, item: pytest.Item, files: list[Path], scratch: Path) -> int:
        watched = coverage.Coverage(data_file=None, config_file=False, include=[str(path) for path in files])
        watched.set_option("run:disable_warnings", ["no-data-collected"])  # a test of a constant runs no line
        begin = time.monotonic()
        watched.start()
        failed = fails(session, [item])
        watched.stop()
        data, passed = watched.get_data(), time.monotonic() - begin
        lines = {path: data.lines(path) for path in data.measured_files()}
        scratch.write_text(json.dumps({"failed": failed, "time": passed, "lines": lines}), encoding="utf-8")
        return 0

    def tests(self, path: Path, mutant: Mutant) -> list[pytest.Item]:
        """Tests that run any of the mutant's lines, the fastest first.

        What runs at import is seen by no test: for a mutant at module level all tests of the test files that reach it.
        """
        if mutant.scope:
            names = {name for line in mutant.lines for name in self._lines.get((str(path), line), [])}
        else:
            homes = {name.split("::")[0] for name in self._files.get(str(path), [])}
            names = {name for name in self.time if name.split("::")[0] in homes}
        return [self.items[name] for name in sorted(names, key=lambda name: (self.time[name], name))]


def verdict(session: pytest.Session, module: str, mutant: Mutant, items: list[pytest.Item], budget: float) -> str:
    """What became of a mutant."""
    if not items:
        return UNCOVERED

    def work() -> int:
        if mutant.scope:
            replace(module, mutant)
            return fails(session, items, budget)
        return anew(module, mutant.code, [item.nodeid for item in items], budget)

    status = forked(work, 10 + 4 * budget)
    return LATE if status is None else KILLED if status else SURVIVED


def replace(module: str, mutant: Mutant) -> None:
    """Give the living function ``mutant.scope`` of ``module`` the mutant's code."""
    found: Any = importlib.import_module(module)
    for name in mutant.scope.split("."):
        found = vars(found)[name]
    if hasattr(found, "cache_clear"):
        found.cache_clear()
    found = getattr(found, "fget", None) or getattr(found, "__func__", None) or getattr(found, "__wrapped__", found)
    (code,) = (code for code in nested(mutant.code) if code.co_qualname == mutant.scope)
    found.__code__ = code


def nested(code: CodeType) -> Iterator[CodeType]:
    """A module's code objects, at any depth."""
    yield code
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from nested(part)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module from a mutant's code."""

    def __init__(self, module: str, code: CodeType) -> None:
        self._module, self._code = module, code

    def find_spec(self, name: str, *_: object) -> Any:
        if name != self._module:
            return None
        package = name == "tidegate.safety"
        spec = importlib.util.spec_from_loader(name, self, is_package=package)
        if package and spec is not None:
            spec.submodule_search_locations = [str(Path(self._code.co_filename).parent)]
        return spec

    def exec_module(self, module: Any) -> None:
        exec(self._code, vars(module))


class _Until:
    """Ends a session in which nothing failed when its time is up."""

    def __init__(self, budget: float) -> None:
        self._end, self.over = time.monotonic() + budget, False

    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        if time.monotonic() > self._end and not item.session.testsfailed:
            item.session.shouldstop, self.over = "the budget is spent", True


def anew(module: str, code: CodeType, names: list[str], budget: float) -> int:
    """Forget the project and its tests, and run the tests ``names`` with the mutated module; as ``fails``."""
    tests = str(Path.cwd() / "tests")
    for name, kept in list(sys.modules.items()):
        if name.startswith("tidegate") or (getattr(kept, "__file__", None) or "").startswith(tests):
            del sys.modules[name]
    sys.meta_path.insert(0, _Finder(module, code))
    until = _Until(budget)
    status = pytest.main(["-q", "-x", "-p", "no:cacheprovider", *names], plugins=[until])
    return int(status != 0 and not until.over)
