# SPDX-License-Identifier: Apache-2.0
"""Worker processes do not outlive who asked for them."""

import signal
import subprocess
import sys
import time
from pathlib import Path

PARENT = """
import sys, time
from task import rendezvous
from tidegate.workers import worker_pool

if __name__ == "__main__":
    with worker_pool(2) as pool:
        print(*pool.map(rendezvous, [sys.argv[1]] * 2), flush=True)
        pool.submit(time.sleep, 600)
        time.sleep(600)
"""
TASK = """
import os, pathlib, time

def rendezvous(folder):
    (pathlib.Path(folder) / f"{os.getpid()}.here").touch()
    while len(list(pathlib.Path(folder).glob("*.here"))) < 2:
        time.sleep(0.05)
    return os.getpid()
"""


def test_they_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "task.py").write_text(TASK, encoding="utf-8")
    (tmp_path / "parent.py").write_text(PARENT, encoding="utf-8")
    command = [sys.executable, str(tmp_path / "parent.py"), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers = {int(number) for number in parent.stdout.readline().split()}
        assert len(workers) == 2
        assert all(map(runs, workers))
        parent.send_signal(signal.SIGKILL)
    end = time.monotonic() + 30
    while any(map(runs, workers)):
        assert time.monotonic() < end, "workers are still there"
        time.sleep(0.1)


def runs(process: int) -> bool:
    """Whether it is there and more than an entry that nobody has fetched yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
