# SPDX-License-Identifier: Apache-2.0
"""Settings, robot description and model bundle against each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tidegate.bundle import Bundle
from tidegate.doctor.finding import Finding, fail, ok, warn
from tidegate.errors import BundleError, RobotError, SettingsError, TidegateError
from tidegate.liquid import LiquidPolicy
from tidegate.perception import Perception
from tidegate.robot import Car
from tidegate.settings import Settings, load_settings
from tidegate.settings.kind import robot_kind


def read_robot(config: Path, findings: list[Finding]) -> tuple[Settings, Car] | None:
    """Read settings and URDF; what came of it is added to ``findings``. None = they cannot be used."""
    try:
        if robot_kind(config) == "arm":
            said = f"{config} describes an arm, which doctor does not know yet"
            findings.append(fail("settings", said, "name a car's with --config; what an arm's nodes need: docs/arm.md"))
            return None
        settings = load_settings(config)
    except SettingsError as error:
        findings.append(fail("settings", str(error), f"mend {config}; docs/settings.md has every key with its range"))
        return None
    findings.append(ok("settings", f"{config}: robot '{settings.vehicle.name}'"))
    try:
        car = Car.from_settings(settings)
    except RobotError as error:
        findings.append(fail("urdf", str(error), f"mend {settings.vehicle.urdf}, or the settings that contradict it"))
        return None
    findings.append(ok("urdf", f"{car.description.source}: {len(car.joint_names)} joints, {car.mass:.0f} kg"))
    return settings, car


def read_bundle(path: Path) -> Bundle | None:
    """The bundle, where it can be read; why not, ``check_bundle`` tells."""
    try:
        return Bundle.load(path)
    except TidegateError:
        return None


def check_bundle(path: Path, settings: Settings, car: Car) -> Iterator[Finding]:
    """Whether the bundle is whole, runs, and was made for this robot."""
    retrain = f"train one for this robot (tidegate train), or name another with --bundle; it was {path}"
    try:
        bundle = Bundle.load(path, signers=settings.trust.keys)
    except TidegateError as error:
        yield fail("bundle", str(error), f"copy it anew (git checkout -- {path}), or name another with --bundle")
        return
    if bundle.robot != settings.vehicle.name:
        said = f"'{bundle.name}' was made for robot '{bundle.robot}'; this one is '{settings.vehicle.name}'"
        yield fail("bundle", said, retrain)
        return
    try:
        Perception(bundle, settings)
        LiquidPolicy(bundle, settings)
    except (BundleError, RobotError) as error:
        yield fail("bundle", str(error), retrain)
        return
    if bundle.camera is None:
        said = f"'{bundle.name}' does not say what camera it was trained with; this robot's, as stated, is taken for it"
        yield warn("bundle camera", said, "train it anew (tidegate train); its camera is then kept in it")
    off = bundle.mass_kg / car.effective_mass - 1
    if abs(off) > settings.vehicle.mass_margin:
        said = f"'{bundle.name}' was trained on {bundle.mass_kg:.0f} kg; this robot has {car.effective_mass:.0f}"
        said += " by its URDF, the wheels' rotation included"
        yield warn("bundle", said, f"mend the masses of the URDF, or {retrain}")
    else:
        yield ok("bundle", f"{path}: '{bundle.name}' is whole, runs, and was made for this robot")
    if not bundle.conformal:
        remedy = "calibrate it: tidegate train does, as a stage of its own"
        yield warn("lane bound", f"'{bundle.name}' was not calibrated: the error bound of its lane is infinite", remedy)
