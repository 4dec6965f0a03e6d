# SPDX-License-Identifier: Apache-2.0
"""Which kind of robot a settings file describes, and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from tidegate.settings.arm import ArmSettings, load_arm_settings
from tidegate.settings.loader import Settings, load_settings, read_parameters

Kind = Literal["car", "arm"]


def robot_kind(path: str | Path) -> Kind:
    """An arm's file has a section ``arm``; every other is a car's.

    Raises:
        SettingsError: no such file, no YAML or no ``/**`` section.
    """
    return kind_of(read_parameters(Path(path)))


def kind_of(parameters: Mapping[str, Any]) -> Kind:
    """The same, of the ``parameters`` that were read."""
    return "arm" if "arm" in parameters else "car"


def load_robot(path: str | Path) -> Settings | ArmSettings:
    """The settings of a car or an arm.

    Raises:
        SettingsError: as the loader of that kind.
    """
    return load_arm_settings(path) if robot_kind(path) == "arm" else load_settings(path)
