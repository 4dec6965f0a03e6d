# SPDX-License-Identifier: Apache-2.0
"""The course of a training as a file: one JSON object a line."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

EVERY = 10
"""Steps that a line tells the mean of."""


class TrainingLog:
    """Appends to a file; what a resumed training does again is told once.

    A line has ``training`` (0, then one for each DAgger round), ``stage``, ``step`` and ``of``, the mean losses of the
    steps since the line before (``total``, ``curvature``, ``acceleration``, ``lane``), and ``steps_per_s``.
    """

    def __init__(self, path: Path) -> None:
        """Nothing is written yet."""
        self._path = path
        self._told: dict[str, Any] = {}
        self._sums: dict[str, float] = {}
        self._last = (0, 0.0)

    def begin(self, training: int, stage: str, steps: int, done: int) -> None:
        """A stage of ``steps`` steps goes on after ``done``; lines about later ones are of what was lost."""
        self._told, self._sums = {"training": training, "stage": stage}, {}
        self._last = (done, time.monotonic())
        kept = [line for line in self._lines() if not (self._told.items() <= line.items() and int(line["step"]) > done)]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_text("".join(json.dumps(line) + "\n" for line in kept), "utf-8")
        new.replace(self._path)
        self._told["of"] = steps

    def step(self, number: int, losses: Mapping[str, float]) -> None:
        """Step ``number`` was done."""
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        if number % EVERY and number != self._told["of"]:
            return
        before, since = self._last
        now, count = time.monotonic(), number - before
        line = {
            **self._told,
            "step": number,
            **{name: float(f"{value / count:.6g}") for name, value in self._sums.items()},
            "steps_per_s": float(f"{count / max(now - since, 1e-6):.4g}"),
        }
        self._last, self._sums = (number, now), {}
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def _lines(self) -> list[dict[str, Any]]:
        """What is there, but a last line that was cut off."""
        found = []
        for text in self._path.read_text("utf-8").splitlines() if self._path.exists() else []:
            try:
                found.append(json.loads(text))
            except ValueError:
                continue
        return found
