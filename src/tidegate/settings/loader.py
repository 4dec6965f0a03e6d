# SPDX-License-Identifier: Apache-2.0
"""All settings of one robot, read from a ROS parameter file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tidegate.errors import SettingsError
from tidegate.settings.evaluation import EvaluationSettings
from tidegate.settings.perception import PerceptionSettings
from tidegate.settings.policy import PolicySettings
from tidegate.settings.safety import SafetySettings
from tidegate.settings.schema import build
from tidegate.settings.sensors import CameraSettings, RangingSettings
from tidegate.settings.simulator import SimulatorSettings
from tidegate.settings.vehicle import VehicleSettings


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting of one robot."""

    vehicle: VehicleSettings
    camera: CameraSettings
    ranging: RangingSettings
    perception: PerceptionSettings
    policy: PolicySettings
    safety: SafetySettings
    simulator: SimulatorSettings
    evaluation: EvaluationSettings


def settings_from(values: dict[str, Any], source: str, folder: Path) -> Settings:
    """Validate nested plain values (sections, then fields); a relative ``vehicle.urdf`` is taken from ``folder``.

    Raises:
        SettingsError: naming ``source``, the key, the value and what is allowed.
    """
    made: Settings = build(Settings, values, source)
    urdf = str((folder / made.vehicle.urdf).resolve())
    return dataclasses.replace(made, vehicle=dataclasses.replace(made.vehicle, urdf=urdf))


def load_settings(path: str | Path) -> Settings:
    """Read a ROS parameter file (``/**: ros__parameters: …``).

    Raises:
        SettingsError: no such file, no YAML, no ``/**`` section, or a setting that is refused.
    """
    path = Path(path)
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: is no YAML: {' '.join(str(error).split())}") from error
    try:
        values = document["/**"]["ros__parameters"]
    except (KeyError, TypeError) as error:
        raise SettingsError(f"{path}: has no '/**: ros__parameters:' section") from error
    return settings_from(values or {}, str(path), path.parent)
