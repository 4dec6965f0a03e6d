# SPDX-License-Identifier: Apache-2.0
"""All settings of one robot, read from a ROS parameter file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidegate.errors import SettingsError
from tidegate.settings.document import read_document
from tidegate.settings.evaluation import EvaluationSettings
from tidegate.settings.joystick import JoystickSettings
from tidegate.settings.perception import PerceptionSettings
from tidegate.settings.policy import PolicySettings
from tidegate.settings.safety import SafetySettings
from tidegate.settings.schema import build, mapping
from tidegate.settings.sensors import TOPIC, CameraSettings, RangingSettings
from tidegate.settings.simulator import SimulatorSettings
from tidegate.settings.trust import TrustSettings
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
    trust: TrustSettings
    joystick: JoystickSettings


def settings_from(values: dict[str, Any], source: str, folder: Path) -> Settings:
    """Validate nested plain values (sections, then fields); a relative ``vehicle.urdf`` is taken from ``folder``.

    Raises:
        SettingsError: naming ``source``, the key, the value and what is allowed.
    """
    made: Settings = build(Settings, values, source)
    urdf = located(made.vehicle.urdf, "vehicle.urdf", source, folder)
    if not TOPIC.fullmatch(made.camera.topic) or made.camera.topic in ("compressed", "/compressed"):
        raise SettingsError(
            f"{source}: 'camera.topic' is '{made.camera.topic}'; it must be the name of a topic, such as "
            "/front/image_raw or front/image_raw/compressed"
        )
    period, oldest = 1 / made.camera.rate_hz, made.safety.camera_timeout_s
    if oldest <= period:
        raise SettingsError(
            f"{source}: 'safety.camera_timeout_s' is {oldest:g} s; it must be longer than the camera's period, "
            f"{period:g} s ('camera.rate_hz' is {made.camera.rate_hz:g})"
        )
    _check_gains(made, source)
    return dataclasses.replace(made, vehicle=dataclasses.replace(made.vehicle, urdf=urdf))


def located(path: str, key: str, source: str, folder: Path) -> str:
    """The file that the setting ``key`` names, absolute; a relative ``path`` is taken from ``folder``.

    Raises:
        SettingsError: it is no path.
    """
    try:
        return str((folder / path).resolve())
    except (ValueError, OSError, RuntimeError) as error:  # a null character, a loop of links
        raise SettingsError(f"{source}: '{key}' is {path!r}; it must be a path ({error})") from error


def _check_gains(made: Settings, source: str) -> None:
    """Gains lie in one interval, in which (1 − p T) h is a share of h."""
    low, high, default, rate = (
        made.policy.gain_low,
        made.policy.gain_high,
        made.safety.filter.gain_default,
        made.safety.rate_hz,
    )
    if not low <= high < rate:
        raise SettingsError(
            f"{source}: 'policy.gain_high' is {high:g}; it must be at least 'policy.gain_low', {low:g}, "
            f"and less than 'safety.rate_hz', {rate:g} [1/s]"
        )
    if not low <= default <= high:
        raise SettingsError(
            f"{source}: 'safety.filter.gain_default' is {default:g}; it must be 'policy.gain_low' to "
            f"'policy.gain_high', {low:g} to {high:g} [1/s]"
        )


def load_settings(path: str | Path) -> Settings:
    """Read a ROS parameter file (``/**: ros__parameters: …``).

    Raises:
        SettingsError: no such file, no YAML, no ``/**`` section, or a setting that is refused.
    """
    path = Path(path)
    return settings_from(read_parameters(path), str(path), path.parent)


def read_parameters(path: Path) -> dict[str, Any]:
    """The nested plain values of a ROS parameter file.

    Raises:
        SettingsError: no such file, no YAML or no ``/**`` section.
    """
    return parameters_in(read_document(path), str(path))


def parameters_in(document: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The same of a ``document`` that was read; errors call it ``source``.

    Raises:
        SettingsError: no ``/**`` section.
    """
    try:
        values = document["/**"]["ros__parameters"]
    except (KeyError, TypeError) as error:
        raise SettingsError(f"{source}: has no '/**: ros__parameters:' section") from error
    return dict(mapping(values or {}, "ros__parameters", source))
