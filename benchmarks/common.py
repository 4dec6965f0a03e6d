# SPDX-License-Identifier: Apache-2.0
"""What every benchmark states beside its figures: the machine, its load, the versions; and where figures are kept."""

from __future__ import annotations

import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

FIGURES = Path("out/bench")
MODEL = Path("models/car-ltc19")
SETTINGS = "config/car.yaml"
PACKAGES = ("numpy", "onnxruntime", "mujoco", "daqp", "torch", "ncps")


def machine() -> dict[str, Any]:
    """Processor, cores, load over the last minute, Python and package versions."""
    names = [line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory[0] / 2**20, 1) if memory else None,
        "load_1min": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def save(name: str, figures: dict[str, Any]) -> Path:
    """Keep the figures of one benchmark with the machine and the day that made them."""
    FIGURES.mkdir(parents=True, exist_ok=True)
    path = FIGURES / f"{name}.json"
    record = {"name": name, "date": time.strftime("%Y-%m-%d"), "machine": machine(), **figures}
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text("utf-8").splitlines()
    except OSError:
        return []
