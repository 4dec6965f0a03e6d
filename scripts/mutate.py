# SPDX-License-Identifier: Apache-2.0
"""Mutation testing of the safety room; writes docs/mutants.md. Slow, and resumable: results are kept in out/mutants."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import random
import sys
from pathlib import Path
from typing import Annotated

import pytest
import typer

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from mutation import report  # noqa: E402
from mutation.make import Mutant, mutants  # noqa: E402
from mutation.run import ARGUED, KILLED, LATE, NOT_RUN, Killer, Map, verdict  # noqa: E402

OUTPUT = ("actuation", "drive_by_wire", "motor_brake", "steering")
"""What of the robot's room lies between the filter and the actuators."""
FILES = [
    *sorted((ROOT / "src/tidegate/safety").glob("*.py")),
    *(ROOT / "src/tidegate/robot" / f"{name}.py" for name in OUTPUT),
]
TESTS = ["tests/safety", *(f"tests/robot/test_{name}.py" for name in OUTPUT)]
DONE = (KILLED, LATE)
REASONS = ROOT / "tests/safety/survivors.yaml"


class Hunt:
    """A pytest plugin that, instead of running the tests once, runs them against mutants."""

    def __init__(
        self,
        files: list[Path],
        asked: list[str],
        longest: float,
        budget: float,
        sample: int,
        seed: int,
        out: Path,
        believe: bool,
    ) -> None:
        self._files, self._longest, self._budget, self._out = files, longest, budget, out
        self._sample, self._random = sample, random.Random(seed)
        known = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
        self._known = {(entry["file"], entry["key"]): entry for entry in known}
        tests = sorted((ROOT / "tests/safety").glob("*.py")) + [ROOT / name for name in TESTS[1:]]
        self.killer = Killer(out.with_name("killer.txt"))
        self._tests = digest(f"{longest:g} {budget:g} {asked}".encode(), *(path.read_bytes() for path in tests))
        self._argued = report.reasons(REASONS)
        self._believe = believe
        self.results: report.Results = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Every mutant of every file; what was run before on the same source and tests is not run again, nor on other
        tests what was killed or survives with a reason."""
        warm_up()
        gc.freeze()  # what a fork does not look at, it need not copy
        reach = Map(session, FILES, self._longest, self._out.parent, surroundings())
        self.killer.take()
        say(f"{len(reach.time)} of {len(reach.items)} tests are short enough")
        for path in self._files:
            reach.kills.clear()
            self._file(session, reach, path)
        return True

    def recall(self) -> None:
        """Results that were found on the same source, whatever the tests were then; the rest is 'not run'."""
        for path in self._files:
            source, name = path.read_text(encoding="utf-8"), str(path.relative_to(ROOT / "src/tidegate"))
            part = self.results.setdefault(name, [])
            for mutant in mutants(source, str(path)):
                known = self._known.get((name, mutant.key))
                same = known is not None and known["source"] == digest(source.encode())
                status = ARGUED if mutant.key in self._argued.get(name, {}) else NOT_RUN
                blank = {"file": name, "key": mutant.key, "line": str(mutant.line), "status": status}
                part.append(known if known is not None and same else blank)

    def _file(self, session: pytest.Session, reach: Map, path: Path) -> None:
        source, name = path.read_text(encoding="utf-8"), str(path.relative_to(ROOT / "src/tidegate"))
        made, part = list(mutants(source, str(path))), self.results.setdefault(name, [])
        argued = self._argued.get(name, {})
        chosen = sorted(self._random.sample(range(len(made)), min(self._sample or len(made), len(made))))
        for mutant in (made[index] for index in chosen):
            known, now = self._known.get((name, mutant.key)), digest(source.encode())
            done = mutant.key in argued or (known and (known["status"] in DONE or known["tests"] == self._tests))
            if known is not None and known["source"] == now and done:
                part.append(known)
                continue
            if self._believe and mutant.key in argued:
                part.append({"file": name, "key": mutant.key, "line": str(mutant.line), "status": ARGUED})
                continue
            status = self._try(session, reach, path, mutant)
            entry = {"file": name, "key": mutant.key, "line": str(mutant.line), "status": status}
            part.append(entry)
            with self._out.open("a", encoding="utf-8") as out:
                out.write(json.dumps({**entry, "source": now, "tests": self._tests}) + "\n")
        say(f"{name}: {report.score(part)}")

    def _try(self, session: pytest.Session, reach: Map, path: Path, mutant: Mutant) -> str:
        module = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
        tests = reach.tests(path, mutant)
        budget = min(self._budget, 2 * sum(reach.time[item.nodeid] for item in tests))
        status = verdict(session, module, mutant, tests, budget, self.killer)
        reach.kills[self.killer.take()] += 1
        return status


def warm_up() -> None:
    """Read settings and robot once, in the process that all others are forked from."""
    plant = sys.modules.get("safety_plant")
    if plant is not None:
        plant.car()


def surroundings() -> str:
    """Digest of what tests run on besides their own file: the package, what tests share, the settings."""
    shared = (path for path in (ROOT / "tests").rglob("*.py") if not path.name.startswith("test_"))
    package = (ROOT / "src/tidegate").rglob("*.py")
    settings = (path for path in (ROOT / "config").iterdir() if path.is_file())
    return digest(*(path.read_bytes() for path in sorted([*shared, *package, *settings])))


def digest(*parts: bytes) -> str:
    """Of what a result depends on."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def say(text: str) -> None:
    """To the one who waits."""
    print(text, file=sys.stderr, flush=True)


def main(
    file: Annotated[list[str] | None, typer.Option(help="Only this file of the room, such as limiter.py.")] = None,
    test: Annotated[
        list[str] | None, typer.Option(help="Only these tests, such as tests/safety/test_distance.py.")
    ] = None,
    sample: Annotated[int, typer.Option(help="At most so many mutants a file; 0 = all.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the sample.")] = 0,
    longest: Annotated[float, typer.Option(help="Tests that take longer are left out [s of the processor].")] = 1.0,
    budget: Annotated[float, typer.Option(help="Tests run against one mutant [s of the processor].")] = 20.0,
    out: Annotated[Path, typer.Option(help="Results, one JSON a line.")] = ROOT / "out/mutants/results.jsonl",
    write: Annotated[bool, typer.Option(help="Write docs/mutants.md; only for all files, unsampled.")] = False,
    believe: Annotated[bool, typer.Option(help="Count what has a reason as a survivor without running it.")] = False,
    known: Annotated[bool, typer.Option(help="Run nothing: use what was found before on the same source.")] = False,
) -> None:
    """Make mutants, run the tests that reach them, print scores and survivors."""
    os.chdir(ROOT)
    out.parent.mkdir(parents=True, exist_ok=True)
    os.environ |= {"HYPOTHESIS_PROFILE": "mutants", "OMP_NUM_THREADS": "1"}  # threads do not survive a fork
    files = [path for path in FILES if not file or path.name in file]
    asked = test or TESTS
    hunt = Hunt(files, asked, longest, budget, sample, seed, out, believe)
    if known:
        hunt.recall()
        status = pytest.ExitCode.OK
    else:
        options = ["-q", "-s", "--tb=native", "-p", "no:cacheprovider", "-m", "not slow"]  # the quickest traceback
        status = pytest.ExitCode(pytest.main([*options, *asked], plugins=[hunt, hunt.killer]))
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise typer.Exit(int(status))
    why = report.reasons(REASONS)
    for name, part in hunt.results.items():
        for result in report.survivors(part):
            mark = "argued" if result["key"] in why.get(name, {}) else "      "
            print(f"{mark} {name}:{result['line']} {result['status']} {result['key']}")
    if write and not file and not sample:
        (ROOT / "docs/mutants.md").write_text(report.page(hunt.results, why), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
