# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C: one line, exit code 130, and nobody left over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

pytest.importorskip("mujoco")

COMMANDS = {
    "in two processes": ("attack", "--seeds", "5000:5040", "--processes", "2"),
    "in the command's own": ("evaluate", "--driver", "expert", "--seeds", "1000", "--processes", "1"),
}


@contextmanager
def begun(place: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """``tidegate words``, leader of a group, as a terminal starts it."""
    command = [sys.executable, "-c", "from tidegate.cli.app import main; main()", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=place, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def group(leader: int) -> list[int]:
    """Processes of the group that are not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, number = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(number) == leader and state != "Z":
            found.append(int(path.parent.name))
    return found


def cpu_s(processes: list[int]) -> float:
    """Time that they have computed [s]."""
    ticks = 0
    for process in processes:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


@pytest.mark.slow
@pytest.mark.parametrize("case", COMMANDS)
def test_it_ends_with_one_line_and_nobody_is_left(case: str, tmp_path: Path) -> None:
    processes = 3 if case == "in two processes" else 1
    with begun(tmp_path, *COMMANDS[case]) as process:
        end = time.monotonic() + 120
        while len(group(process.pid)) < processes or cpu_s(group(process.pid)) < 3.0:  # imports are done, work began
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end, "it never began"
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 130, said
        assert said == "broken off by Ctrl-C\n"
        while left := group(process.pid):
            assert time.monotonic() < end, left
            time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [1.5, 6.0])
def test_whoever_looks_at_a_graph_ends_so_too_while_it_loads_and_while_it_listens(
    after_s: float, tmp_path: Path
) -> None:
    pytest.importorskip("rclpy")
    with begun(tmp_path, "doctor", "--seconds", "30") as process:
        time.sleep(after_s)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 130, said
        assert said.endswith("broken off by Ctrl-C\n")
