# SPDX-License-Identifier: Apache-2.0
"""The real ``ros2 launch`` as a process, as a terminal would start it."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

ORDER = ("simulator_node", "perception_node", "policy_node", "safety_node")
PATIENCE_S = 120.0
STALL_S = 1.5
"""How long a busy machine may keep a process waiting: longer than a second has been seen."""


class Launched:
    """``ros2 launch`` of one of our launch files, or of a user's by its path, in a process group of its own, as a
    terminal would make it."""

    def __init__(self, environment: dict[str, str], log: Path, *arguments: str) -> None:
        self._log, self.environment = log, environment
        package = [] if os.path.isabs(arguments[0]) else ["tidegate"]
        with log.open("w") as stream:
            self.process = subprocess.Popen(
                ["ros2", "launch", *package, *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self._log.read_text()

    def wait_for(self, text: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while text not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < end, self.said
            time.sleep(0.1)

    def pid(self, node: str) -> int:
        """Of the newest process of ``node``."""
        return int(re.findall(rf"\[{node}-\d+\]: process started with pid \[(\d+)\]", self.said)[-1])

    def interrupt(self) -> int:
        """Ctrl-C on a busy machine: the terminal sends SIGINT to the whole group, of which some come to it late."""
        late = (self.process.pid, self.pid("simulator_node"))
        for pid in late:
            os.kill(pid, signal.SIGSTOP)
        os.killpg(self.process.pid, signal.SIGINT)
        time.sleep(STALL_S)
        for pid in late:
            os.kill(pid, signal.SIGCONT)
        return self.process.wait(60)
