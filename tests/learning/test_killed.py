# SPDX-License-Identifier: Apache-2.0
"""A training that is killed goes on to the same weights, bit for bit."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tidegate.bundle import Bundle

RECIPE = (
    "threads=1",
    "train.lane_frames=8",
    "train.lane_steps=120",
    "train.policy_steps=230",
    "train.all_steps=20",
    "train.batch=2",
    "train.window=12",
    "train.warm_up=2",
    "train.patience=50",
)
LINES = 12 + 23 + 2
"""What an unbroken run writes into its log."""


def begin(folder: Path, bags: Path) -> subprocess.Popen[str]:
    """``tidegate train`` in a process of its own."""
    words = ["train", "--bags", str(bags), "--work", str(folder / "work"), "--out", str(folder / "bundle")]
    words += [word for rule in RECIPE for word in ("--set", rule)]
    script = "from tidegate.cli.app import main; main()"
    command = [sys.executable, "-c", script, *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finished(process: subprocess.Popen[str]) -> str:
    told, _ = process.communicate(timeout=900)
    assert process.returncode == 0, told
    return told


def course(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "work/log.jsonl").read_text("utf-8")
    return [{**json.loads(line), "steps_per_s": None} for line in text.splitlines()]


def lines_of(folder: Path) -> int:
    file = folder / "work/log.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_five_kills_at_any_moment_change_no_bit_of_the_weights(bags: list[Path], tmp_path: Path) -> None:
    unbroken, killed = tmp_path / "unbroken", tmp_path / "killed"
    told = finished(begin(unbroken, bags[0].parent))
    assert "goes on after" not in told
    assert "train 0 policy: 230 of 230, loss" in told
    moments = sorted(random.sample(range(LINES - 1), 5))
    for lines in moments:
        process = begin(killed, bags[0].parent)
        while process.poll() is None and lines_of(killed) < lines:
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, f"it ended before it was killed, at one of {moments}"
    told = finished(begin(killed, bags[0].parent))
    one, other = (Bundle.load(folder / "bundle", "car") for folder in (unbroken, killed))
    assert one.backbone == other.backbone
    assert one.arrays.keys() == other.arrays.keys()
    for name, values in one.arrays.items():
        assert values.tobytes() == other.arrays[name].tobytes(), (name, moments)
    assert course(killed) == course(unbroken), moments
    assert not list(killed.rglob("*.npz"))  # what was decoded is nowhere on the disk
