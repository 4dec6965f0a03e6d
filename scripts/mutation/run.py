# SPDX-License-Identifier: Apache-2.0
"""Runs tests against mutants inside one pytest session: each mutant in a forked process of its own, nothing written.

A mutant inside a function replaces the code of the living function; one at module level, or that leaves the function
another closure, executes the room anew.
Times are of the processor, so that a busy machine, or a pause, changes no verdict.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.abc
import importlib.util
import inspect
import json
import math
import os
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import coverage
import pytest

from mutation.make import Mutant

KILLED, LATE, SURVIVED, UNCOVERED = "killed", "killed (time)", "survived", "uncovered"
NOT_RUN, ARGUED = "not run", "argued"
"""``ARGUED``: not run either, for there is a reason why it should survive; counts as a survivor."""
NAP = 0.005
"""[s] between two looks at a process."""
GRACE = 5.0
"""[s] beyond three times what its tests should take, after which a mutant has caught them in a loop."""
STUCK = 20
"""A process that gets no nearer to its limit is given up after so many times that limit."""


def used() -> float:
    """Time [s] of the processor that this process and those it waited for took."""
    return time.process_time() + sum(os.times()[2:4])


def forked(work: Callable[[], int], limit: float) -> int | None:
    """Exit status of ``work`` in a process of its own; None = it took longer than ``limit`` [s] and was ended."""
    most = math.ceil(limit)
    child = os.fork()
    if child == 0:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (most, most))
        try:
            os._exit(work())
        except BaseException:  # whatever a mutant raises past pytest is a fault that was noticed
            os._exit(1)
    for _ in range(round(STUCK * most / NAP)):  # naps, not the clock: a pause of this process lets no time pass
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return None if code == -signal.SIGKILL else code
        time.sleep(NAP)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def fails(session: pytest.Session, items: list[pytest.Item], budget: float = math.inf) -> int:
    """1 as soon as one of ``items`` fails, 0 if all pass that are begun within ``budget`` [s]."""
    end = used() + budget
    for item in items:
        if used() > end:
            return 0
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        if session.testsfailed:
            return 1
    return 0


class Killer:
    """A pytest plugin for a mutant's process, where it writes down which test failed; ``take`` reads it outside."""

    def __init__(self, note: Path) -> None:
        self._note = note

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._note.write_text(report.nodeid, encoding="utf-8")

    def take(self) -> str:
        """Its name, once; '' = none failed, or none got that far."""
        name = self._note.read_text(encoding="utf-8") if self._note.exists() else ""
        self._note.unlink(missing_ok=True)
        return name


class Map:
    """Which tests run which lines, and for how long [s]; only tests of at most ``longest`` [s].

    What was seen is remembered in the folder ``kept``: of a test that takes longer by the content of its file, of the
    others by that and by ``state``, a digest of all else that decides which lines a test runs.
    """

    def __init__(self, session: pytest.Session, files: list[Path], longest: float, kept: Path, state: str) -> None:
        self.items = {item.nodeid: item for item in session.items}
        self.time: dict[str, float] = {}
        self.kills = Counter[str]()
        self._lines: dict[tuple[str, int], list[str]] = {}
        self._files: dict[str, list[str]] = {}
        long, short, scratch = kept / f"longer-than-{longest:g}.txt", kept / f"map-{state}.jsonl", kept / "seen.json"
        known = set(_lines(long))
        mapped = {entry["mark"]: entry for entry in map(json.loads, _lines(short))}
        for name, item in self.items.items():
            mark = f"{name} {hashlib.sha256(item.path.read_bytes()).hexdigest()[:12]}"
            if mark in known:
                continue
            if mark in mapped and mapped[mark]["time"] <= longest:
                self._add(name, mapped[mark])
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
            with short.open("a", encoding="utf-8") as out:
                out.write(json.dumps({"mark": mark, **seen}) + "\n")
            self._add(name, seen)

    def _add(self, name: str, seen: dict[str, Any]) -> None:
        self.time[name] = seen["time"]
        for path, lines in seen["lines"].items():
            self._files.setdefault(path, []).append(name)
            for line in lines:
                self._lines.setdefault((path, line), []).append(name)

    @staticmethod
    def _watch(session: pytest.Session, item: pytest.Item, files: list[Path], scratch: Path) -> int:
        watched = coverage.Coverage(data_file=None, config_file=False, include=[str(path) for path in files])
        watched.set_option("run:disable_warnings", ["no-data-collected"])  # a test of a constant runs no line
        begin = used()
        watched.start()
        failed = fails(session, [item])
        watched.stop()
        data, passed = watched.get_data(), used() - begin
        lines = {path: data.lines(path) for path in data.measured_files()}
        scratch.write_text(json.dumps({"failed": failed, "time": passed, "lines": lines}), encoding="utf-8")
        return 0

    def tests(self, path: Path, mutant: Mutant) -> list[pytest.Item]:
        """Tests that run any of the mutant's lines: first those that are fast and killed most of the file so far.

        What runs at import is seen by no test: for a mutant at module level all tests of the test files that reach it.
        """
        if mutant.scope:
            names = {name for line in mutant.lines for name in self._lines.get((str(path), line), [])}
        else:
            homes = {name.split("::")[0] for name in self._files.get(str(path), [])}
            names = {name for name in self.time if name.split("::")[0] in homes}
        order = sorted(names, key=lambda name: (self.time[name] / (1 + self.kills[name]), name))
        return [self.items[name] for name in order]


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def verdict(
    session: pytest.Session, module: str, mutant: Mutant, items: list[pytest.Item], budget: float, killer: Killer
) -> str:
    """What became of a mutant; ``budget`` [s] for the tests ``items``."""
    if not items:
        return UNCOVERED

    put = replacement(module, mutant) if mutant.scope else None  # here, where an error stops all and kills nothing

    def work() -> int:
        if put is None:
            return anew(module, mutant.code, [item.nodeid for item in items], budget, killer)
        put()
        return fails(session, items, budget)

    status = forked(work, (3 * GRACE if put is None else GRACE) + 3 * budget)
    return LATE if status is None else KILLED if status else SURVIVED


def replacement(module: str, mutant: Mutant) -> Callable[[], None] | None:
    """What gives the living function ``mutant.scope`` of ``module`` the mutant's code; None where that has no place for
    it, for another closure is left."""
    found: Any = importlib.import_module(module)
    for name in mutant.scope.split("."):
        found = vars(found)[name]
    clear = getattr(found, "cache_clear", None)
    function = inspect.unwrap(getattr(found, "fget", None) or getattr(found, "__func__", found))
    (code,) = (code for code in nested(mutant.code) if code.co_qualname == mutant.scope)
    if code.co_freevars != function.__code__.co_freevars:
        return None

    def put() -> None:
        if clear is not None:
            clear()
        function.__code__ = code

    return put


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
        self._budget, self._end, self.over = budget, math.inf, False

    def pytest_collection_finish(self) -> None:
        self._end = used() + self._budget

    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        if used() > self._end and not item.session.testsfailed:
            item.session.shouldstop, self.over = "the budget is spent", True


def anew(module: str, code: CodeType, names: list[str], budget: float, killer: Killer) -> int:
    """Forget the project and its tests, and run the tests ``names`` with the mutated module; as ``fails``."""
    tests = str(Path.cwd() / "tests")
    for name, kept in list(sys.modules.items()):
        if name.startswith("tidegate") or (getattr(kept, "__file__", None) or "").startswith(tests):
            del sys.modules[name]
    sys.meta_path.insert(0, _Finder(module, code))
    until = _Until(budget)
    status = pytest.main(["-q", "-x", "--tb=native", "-p", "no:cacheprovider", *names], plugins=[until, killer])
    return int(status != 0 and not until.over)
