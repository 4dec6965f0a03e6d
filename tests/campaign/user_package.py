# SPDX-License-Identifier: Apache-2.0
"""A campaign in a folder, with a user's package whose adversary takes its process with it, as a crash in a compiled
plug-in does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import tidegate

ADVERSARY = '''
import os
from tidegate.attack.adversary import Adversary


class Crashing(Adversary):
    """Asks for nothing and crashes."""

    def wish(self, asked, truth):
        os.abort()
'''
PLAN = """
tidegate_campaign: 1
scenes: [road]
seeds: "5000:5005"
evaluate: {driver: expert, seconds: 1}
attack: {seconds: 1, from_speed: [0], adversaries: [noise, crashing]}
"""
EPISODES = 15
CRASHING = [f"attack road {seed} crashing" for seed in range(5000, 5005)]


def environment(folder: Path, adversary: str = ADVERSARY) -> dict[str, str]:
    """Of processes that have the user's package with its ``adversary``, which is put into ``folder``."""
    about = folder / "crashing-1.0.dist-info"
    about.mkdir(parents=True)
    (folder / "crashing.py").write_text(adversary, encoding="utf-8")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: crashing\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text("[tidegate.adversaries]\ncrashing = crashing:Crashing\n", encoding="utf-8")
    path = [str(folder), str(Path(tidegate.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}


class Campaign:
    """``tidegate campaign`` of PLAN into ``out``, begun in a process of its own."""

    def __init__(self, place: Path, out: str, variables: dict[str, str], *options: str) -> None:
        (place / "plan.yaml").write_text(PLAN, encoding="utf-8")
        self.out = place / out
        command = [sys.executable, "-c", "from tidegate.cli.app import main; main()", "campaign", "plan.yaml"]
        self.process = subprocess.Popen(
            [*command, "--out", out, *options],
            cwd=place,
            env={**variables, "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ended(self) -> tuple[int, str, str]:
        """Wait for it: exit code, output, errors."""
        output, errors = self.process.communicate(timeout=1200)
        return self.process.returncode, output, errors

    def entries(self) -> list[dict[str, Any]]:
        """What its journal holds by now, in whole lines, of episodes that are not to be tried again."""
        path = self.out / "journal.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        told = [json.loads(line) for line in lines[1:] if line.endswith("\n")]
        return [entry for entry in told if entry["status"] != "lost"]

    def wait_for(self, count: int) -> None:
        """Until the journal has ``count`` entries."""
        end = time.monotonic() + 1200
        while len(self.entries()) < count:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < end, "it does not get on"
            time.sleep(0.02)

    def kill_a_worker(self) -> None:
        """The one that ended an episode last and is still there, as a system without memory does."""
        end = time.monotonic() + 1200
        while time.monotonic() < end:
            assert self.process.poll() is None, self.process.communicate()
            for entry in reversed(self.entries()):
                number = entry["worker"].rpartition(" ")[2]
                if number and Path(f"/proc/{number}").exists():
                    os.kill(int(number), signal.SIGKILL)
                    return
            time.sleep(0.02)
        raise AssertionError("no worker ends an episode")

    def kill(self) -> None:
        """The campaign itself."""
        self.process.kill()
        self.process.communicate()
