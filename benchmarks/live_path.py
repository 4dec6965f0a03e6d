# SPDX-License-Identifier: Apache-2.0
"""The live path as one process without ROS: start, a first command, more frames; tells times and memory as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from tidegate.bundle import Bundle
from tidegate.liquid import LiquidPolicy
from tidegate.perception import Perception, perception
from tidegate.perception.health import HealthMonitor
from tidegate.records import Decision, Frame, Odometry, nanoseconds
from tidegate.settings import load_settings
from tidegate.settings.sensors import CameraSettings

BUNDLE, SETTINGS = "models/car-ltc19", "config/car.yaml"
HEAVY = ("torch", "numba", "scipy", "mujoco")
"""Packages that the live path does without."""
IMAGES = 4
"""Different ones, shown in turn: no two neighbours are equal, which would be a frozen camera."""


def main(frames: int, split: bool) -> None:
    """Decide on ``frames`` frames, at least one; with ``split`` the calls that a frame is made of are timed."""
    imported = time.monotonic_ns()
    times: dict[str, list[float]] = {}
    if split:
        watch(times, "shrink", perception, "shrink")
        watch(times, "normalise", perception, "normalise")
        watch(times, "CNN", onnxruntime.InferenceSession, "run")
        watch(times, "health", HealthMonitor, "judge")
        watch(times, "perception", Perception, "process")
        watch(times, "policy", LiquidPolicy, "step")
    settings, bundle = load_settings(SETTINGS), Bundle.load(BUNDLE, "car")
    decisions = drive(Perception(bundle, settings), LiquidPolicy(bundle, settings), settings.camera)
    ready = time.monotonic_ns()
    decision = next(decisions)
    first, processor = time.monotonic_ns(), time.process_time()
    started = memory()
    for calls in times.values():
        calls.clear()
    for _ in range(frames - 1):
        decision = next(decisions)
    told: dict[str, Any] = {
        "monotonic_ns": {"imported": imported, "ready": ready, "first": first},
        "processor_s": processor,
        "memory_mb": {"first": started, "last": memory()},
        "times_us": times,
        "command": [decision.nominal.force, decision.nominal.curvature, *decision.gains.values.values()],
        "heavy": [name for name in HEAVY if name in sys.modules],
    }
    print(json.dumps(told))


def drive(see: Perception, policy: LiquidPolicy, camera: CameraSettings) -> Iterator[Decision]:
    """Decisions on frames of noise at the camera's rate, at 5 m/s."""
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, camera.height, camera.width, 3), dtype=np.uint8)
    stamp = 0
    while True:
        for image in images:
            stamp += nanoseconds(1 / camera.rate_hz)
            features = see.process(Frame(stamp, image)).features
            yield policy.step(features, Odometry(stamp, 0.0, 0.0, 0.0, 5.0, 0.0))


def watch(times: dict[str, list[float]], label: str, owner: Any, name: str) -> None:
    """Keep the time [µs] of every call of ``owner.name``."""
    call, taken = getattr(owner, name), times.setdefault(label, [])

    def timed(*arguments: Any) -> Any:
        start = time.perf_counter_ns()
        result = call(*arguments)
        taken.append((time.perf_counter_ns() - start) / 1e3)
        return result

    setattr(owner, name, timed)


def memory() -> dict[str, float]:
    """Proportional and resident memory of this process, and the most it ever had resident [MB]."""
    text = "".join(Path("/proc/self", name).read_text("utf-8") for name in ("smaps_rollup", "status"))
    lines = map(str.split, text.splitlines())
    known = {words[0].rstrip(":").lower(): int(words[1]) for words in lines if len(words) == 3 and words[2] == "kB"}
    return {name: known[name] * 1024 / 1e6 for name in ("pss", "rss", "vmhwm")}


if __name__ == "__main__":
    main(int(sys.argv[1]), "split" in sys.argv[2:])
