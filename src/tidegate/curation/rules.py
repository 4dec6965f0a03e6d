# SPDX-License-Identifier: Apache-2.0
"""What curation counts as standing, the same, or contradicting: one typed table, kept in the plan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tidegate.settings.document import read_document
from tidegate.settings.schema import build, setting


@dataclass(frozen=True, slots=True)
class Rules:
    """The ``…_unit`` are differences that count as one: two windows are as far apart as the root of the sum of the
    squares of their differences in these units."""

    window: int = setting(32, "1", "frames per window; must be train.window of the recipe", low=4, high=1024)
    stationary: float = setting(0.3, "m/s", "a window that is never faster is stationary", low=0, high=10)
    broken_share: float = setting(
        0.25, "1", "share of a window's frames that show nothing, from which its camera is broken", low=0.01, high=1
    )
    picture_unit: float = setting(
        0.15, "1", "rms difference of pictures of zero mean and unit deviation that counts as one", low=0.01, high=2
    )
    light_unit: float = setting(20.0, "1", "difference of mean brightness (of 255) that counts as one", low=0.1)
    speed_unit: float = setting(1.0, "m/s", "difference of speed that counts as one", low=0.001)
    curvature_unit: float = setting(0.005, "1/m", "difference of commanded curvature that counts as one", low=1e-5)
    acceleration_unit: float = setting(0.5, "m/s²", "difference of commanded acceleration that counts as one", low=0.01)
    duplicate: float = setting(1.0, "1", "windows that are nearer to each other are duplicates", low=0, high=100)
    contrary: float = setting(
        4.0, "1", "difference of the actions after the same view from which they contradict", low=0.1, high=1000
    )
    turn: float = setting(0.004, "1/m", "a window of larger mean curvature is a turn", low=1e-5, high=100)


def load_rules(path: Path | None = None) -> Rules:
    """The rules in a YAML file; what the file does not name, or no file, has its default.

    Raises:
        SettingsError: no such file, no YAML, or a value that is refused.
    """
    if path is None:
        return Rules()
    made: Rules = build(Rules, read_document(path), str(path))
    return made
