# SPDX-License-Identifier: Apache-2.0
"""What this machine is, for records of what was made and measured on it."""

from __future__ import annotations

import platform
from pathlib import Path


def processor() -> str:
    """The processor's name; the architecture where the system does not tell it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
