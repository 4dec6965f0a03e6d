# SPDX-License-Identifier: Apache-2.0
"""The nodes of a graph as child processes: what they say, what they weigh, how they end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tidegate.nodes.main import PARENT
from tidegate.security.access import enclave

FRAME = re.compile(r'^ +File "(?P<file>[^"]*)", line (?P<line>\d+) in (?P<function>.*)$')
"""A line of a stack as the fault handler writes it."""

LINE = re.compile(r"^\[(?P<level>[A-Z]+)\] \[(?P<node>[^\]]*)\]: (?P<text>.*)$")
"""As the console of ROS is told to write, see ``environment``."""

WHEREABOUTS_S = 3.0
"""How long a node may take to say what it is doing."""

Said = Callable[[str, str, str], None]
"""Called with (node, level, text) for every line that a child logs."""


def environment() -> dict[str, str]:
    """The environment of the children: logs in one known form, no life after their parent."""
    form = {"RCUTILS_CONSOLE_OUTPUT_FORMAT": "[{severity}] [{name}]: {message}", "RCUTILS_COLORIZED_OUTPUT": "0"}
    return {**os.environ, **form, "PYTHONUNBUFFERED": "1", PARENT: str(os.getpid())}


def parameter_flags(values: Mapping[str, object]) -> list[str]:
    """``-p name:=value`` for each; JSON is YAML, so text stays text."""
    return [part for name, value in values.items() for part in ("-p", f"{name}:={json.dumps(value)}")]


def enclave_flags(node: str) -> list[str]:
    """Command line of a process that names its security enclave; without effect where SROS 2 is not switched on."""
    return ["--ros-args", "--enclave", enclave(node)]


class Child:
    """One node in a process of its own, and in a session of its own: Ctrl-C reaches it only through its parent."""

    def __init__(self, executable: str, arguments: list[str], said: Said) -> None:
        """Start ``executable`` (``safety_node`` and so on) with the arguments that follow ``--ros-args``."""
        self.name = executable
        self.problem = ""
        self.pss_mb = 0.0
        self._said = said
        self._stack: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tidegate.nodes.main", executable, *enclave_flags(executable), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=environment(),
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Exit code; None = alive."""
        return self._process.poll()

    def ask_to_stop(self) -> None:
        """Send SIGTERM; a node then goes down safely."""
        if self.code is None:
            self._process.send_signal(signal.SIGTERM)

    def end(self) -> int:
        """Kill what has not ended by now, and say what it was doing; the exit code."""
        if self.code is None:
            problem = f"did not go down and was killed (it was in: {self.whereabouts() or 'unknown'})"
            self._process.kill()
            self._process.wait()
            self.problem = problem
        self._listener.join(1.0)
        return int(self._process.returncode)

    def whereabouts(self) -> str:
        """The innermost functions of its Python now; empty if it does not say so at once."""
        self._stack.clear()
        if self.code is None:
            self._process.send_signal(signal.SIGUSR1)
            end = time.monotonic() + WHEREABOUTS_S
            while not self._stack and time.monotonic() < end:
                time.sleep(0.05)
        return " < ".join(self._stack[:4])

    def weigh(self) -> None:
        """Update ``pss_mb``, the most that its share of memory ever was [MB]."""
        try:
            text = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        except OSError:  # it has ended, or the system has no such file
            return
        for line in text.splitlines():
            if line.startswith("Pss:"):
                self.pss_mb = max(self.pss_mb, int(line.split()[1]) * 1024 / 1e6)

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if frame := FRAME.match(line):
                self._stack.append(f"{frame['function']} ({Path(frame['file']).name}:{frame['line']})")
            found = LINE.match(line.rstrip())
            level, text = (found["level"], found["text"]) if found else ("", line.rstrip())
            if level in ("ERROR", "FATAL") or (not found and text and self.code):
                self.problem = text
            self._said(self.name, level, text)
