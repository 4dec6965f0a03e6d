# SPDX-License-Identifier: Apache-2.0
"""A workspace that colcon builds from a copy of the sources."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from domains import random_domain

ROOT = Path(__file__).parents[2]
NOT_SOURCE = (
    ".git",
    ".venv",
    ".*_cache",
    ".hypothesis",
    "build",
    "install",
    "log",
    "out",
    "*.egg-info",
    "*.so",
    "__pycache__",
)


@dataclass(frozen=True, slots=True)
class Workspace:
    """Its folder, and the environment of a shell that has sourced it."""

    place: Path
    environment: dict[str, str]

    def run(self, *command: str, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run a command there; ``timeout`` [s]."""
        return subprocess.run(
            command,
            cwd=self.place,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )


def build(place: Path, colcon: str, *options: str) -> Workspace:
    """Build in the empty folder ``place``."""
    shutil.copytree(ROOT, place / "src" / "tidegate", ignore=shutil.ignore_patterns(*NOT_SOURCE))
    bare = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = Workspace(place, bare).run(colcon, "build", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return Workspace(place, sourced(place, bare))


def sourced(place: Path, bare: dict[str, str]) -> dict[str, str]:
    """The environment after ``. install/setup.bash``, in a domain of its own."""
    start = {
        **bare,
        "AMENT_PREFIX_PATH": os.environ.get("AMENT_PREFIX_PATH", sys.prefix),  # pip puts ROS into the environment
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{bare['PATH']}",
        "ROS_DOMAIN_ID": random_domain(),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_LOG_DIR": str(place / "ros"),
        "RCUTILS_COLORIZED_OUTPUT": "0",
    }
    told = Workspace(place, start).run("bash", "-c", ". install/setup.bash >&2 && env -0")
    assert told.returncode == 0, told.stderr
    return dict(line.split("=", 1) for line in told.stdout.split("\0") if line)
