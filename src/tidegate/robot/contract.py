# SPDX-License-Identifier: Apache-2.0
"""The contract of a recording: what its reader must know of the robot that made it, years later."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tidegate import __version__
from tidegate.bundle import bundle_identity
from tidegate.errors import RobotError, SettingsError
from tidegate.robot.arm import Arm
from tidegate.robot.arm_urdf import find_urdf
from tidegate.robot.car import Car
from tidegate.robot.urdf import Description, JointLimits, read_urdf
from tidegate.settings import load_settings
from tidegate.settings.arm import ArmSettings, arm_settings_from, load_arm_settings
from tidegate.settings.document import document_in
from tidegate.settings.kind import Kind, kind_of, robot_kind
from tidegate.settings.loader import parameters_in
from tidegate.share import share_path

SHORT = 12
"""Digits of a hash that tell two apart."""
COMPARED = {"settings_sha256": "settings", "urdf_sha256": "robot description", "bundle_sha256": "bundle"}


def contract_of(config: Path | None, bundle: Path | None = None, liquid_step: str = "") -> dict[str, str]:
    """What is known, as text by name, which is what bags carry; what is not known is left out.

    ``tidegate_version``; ``robot``, its name; ``joints``, JSON: type, units and limits by joint, as the settings
    tighten them, null = none; ``settings``, the text of the file, and ``settings_sha256`` of its bytes;
    ``urdf_sha256`` of the robot description, xacro expanded, as canonical XML (C14N 2.0 without comments and without
    space between elements); ``bundle``, its name, and ``bundle_sha256`` of its manifest, which holds the hashes of its
    files (``bundle_identity``); ``liquid_step``, C or NumPy.

    Args:
        config: the robot's settings file.
        bundle: folder of the model that drives.
        liquid_step: what the liquid step runs in.

    Raises:
        SettingsError, RobotError, BundleError: a file cannot be read or is refused.
    """
    made = {"tidegate_version": __version__}
    if config is not None:
        name, urdf, joints = _described(config)
        try:
            text = config.read_bytes()
        except OSError as error:
            raise SettingsError(f"{config}: cannot be read ({error.strerror or error})") from error
        made |= {
            "robot": name,
            "joints": json.dumps(joints, ensure_ascii=False),
            "settings": text.decode("utf-8"),
            "settings_sha256": hashlib.sha256(text).hexdigest(),
            "urdf_sha256": urdf_hash(urdf),
        }
    if bundle is not None:
        made["bundle"], made["bundle_sha256"] = bundle_identity(bundle)
    if liquid_step:
        made["liquid_step"] = liquid_step
    return made


def urdf_hash(urdf: str) -> str:
    """``urdf_sha256`` of the robot description in the file ``urdf``.

    Raises:
        RobotError: as ``read_urdf``.
    """
    description = ElementTree.canonicalize(read_urdf(urdf), strip_text=True)
    return hashlib.sha256(description.encode()).hexdigest()


def recorded_kind(contract: Mapping[str, str]) -> Kind | None:
    """The kind of robot whose settings a bag's ``contract`` holds; None where it holds none, or what is none."""
    try:
        return kind_of(_parameters(contract, "")) if "settings" in contract else None
    except SettingsError:
        return None


def recorded_arm(contract: Mapping[str, str], source: str) -> ArmSettings:
    """The settings of the arm that a bag's ``contract`` describes.

    Its robot description is not in the bag. It is looked for where the settings say, a relative path as of ours, and
    then by its name among those that are shipped; what has the recorded hash counts.

    Raises:
        SettingsError: they are refused; ``source`` is the bag. RobotError: there is no such robot description.
    """
    shipped = share_path("config/arm.yaml").parent
    settings = arm_settings_from(_parameters(contract, source), f"{source}: its settings", shipped)
    place = Path(find_urdf(settings.arm.urdf))
    here = [file for file in (place, shipped.parent / "urdf" / place.name) if file.is_file()]
    if not here:
        raise RobotError(
            f"{source}: its robot description {place} is not here; name settings that know where it is by --config"
        )
    same = (file for file in here if urdf_hash(str(file)) == contract.get("urdf_sha256"))
    return replace(settings, arm=replace(settings.arm, urdf=str(next(same, here[0]))))


def _parameters(contract: Mapping[str, str], source: str) -> dict[str, Any]:
    named = f"{source}: its settings"
    return parameters_in(document_in(contract.get("settings", ""), named), named)


def _described(config: Path) -> tuple[str, str, dict[str, dict[str, object]]]:
    """Name, file of the robot description and joints of the car or arm that ``config`` describes."""
    if robot_kind(config) == "arm":
        arm = Arm.from_settings(load_arm_settings(config))
        limits = {
            joint: replace(arm.description.limits(joint), velocity=float(fastest))
            for joint, fastest in zip(arm.joint_names, arm.velocity, strict=True)
        }
        return arm.settings.arm.name, arm.description.source, _joints(arm.description, limits)
    settings = load_settings(config)
    car = Car.from_settings(settings)
    limits = {name: car.limits[name] for name in car.joint_names}
    return settings.vehicle.name, settings.vehicle.urdf, _joints(car.description, limits)


def _joints(description: Description, limited: Mapping[str, JointLimits]) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for name, limits in limited.items():
        kind = description.joint(name).kind
        unit, effort = ("m", "N") if kind == "prismatic" else ("rad", "N·m")
        found[name] = {
            "type": kind,
            "units": {"position": unit, "velocity": f"{unit}/s", "effort": effort},
            "position": [_finite(limits.lower), _finite(limits.upper)],
            "velocity": _finite(limits.velocity),
            "effort": _finite(limits.effort),
        }
    return found


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def differences(recorded: Mapping[str, str], present: Mapping[str, str]) -> str:
    """One line on what was other when a bag was recorded; empty = nothing, or nothing that both know."""
    if not recorded:
        return "the bag does not say with which settings and bundle it was recorded"
    other = [
        f"{words} ({recorded[key][:SHORT]}… there, {present[key][:SHORT]}… here)"
        for key, words in COMPARED.items()
        if key in recorded and key in present and recorded[key] != present[key]
    ]
    version, own = recorded.get("tidegate_version"), present.get("tidegate_version")
    if version != own:
        other.append(f"tidegate ({version} there, {own} here)")
    return f"recorded with another: {', '.join(other)}" if other else ""
