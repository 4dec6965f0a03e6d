# SPDX-License-Identifier: Apache-2.0
"""Worker processes do not outlive who asked for them."""

import signal
import subprocess
import sys
import time
from pathlib import Path

CODE = """
import os, time
from tidegate.workers import worker_pool
if __name__ == "__main__":
    with worker_pool(2) as pool:
        print(*pool.map(wait_little, range(2)), flush=True)
        pool.submit(time.sleep, 600)
        time.sleep(600)
"""
TASK = """
import os, time

def wait_little(_):
    time.sleep(1.0)
    return os.getpid()
"""


def test_they_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "task.py").write_text(TASK, encoding="utf-8")
    (tmp_path / "parent.py").write_text(f"from task import wait_little\n{CODE}", encoding="utf-8")
    parent = subprocess.Popen([sys.executable, str(tmp_path / "parent.py")], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workers = [int(number) for number in parent.stdout.readline().split()]
    assert workers
    assert all(Path(f"/proc/{worker}").exists() for worker in workers)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    end = time.monotonic() + 30
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < end, "workers are still there"
        time.sleep(0.1)
    parent.stdout.close()
