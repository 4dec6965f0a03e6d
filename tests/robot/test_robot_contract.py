# SPDX-License-Identifier: Apache-2.0
"""The contract of a recording: every entry against the files that it tells of."""

import hashlib
import json
from pathlib import Path

import pytest

from tidegate.bundle import DESCRIPTION
from tidegate.errors import BundleError, SettingsError
from tidegate.robot.contract import contract_of, differences
from tidegate.security.manifest import MANIFEST
from tidegate.share import share_path

CONFIG = share_path("config/car.yaml")
URDF = share_path("urdf/car.urdf.xacro")


def changed(folder: Path, urdf: str) -> Path:
    """The car's settings beside another URDF."""
    (folder / "car.urdf.xacro").write_text(urdf)
    (folder / "gazebo.xacro").write_text((URDF.parent / "gazebo.xacro").read_text())
    path = folder / "car.yaml"
    path.write_text(CONFIG.read_text().replace("../urdf/", ""))
    return path


def test_settings_robot_and_joints_are_those_of_the_files() -> None:
    made = contract_of(CONFIG)
    assert made["robot"] == "car"
    assert made["settings"] == CONFIG.read_text()
    assert made["settings_sha256"] == hashlib.sha256(CONFIG.read_bytes()).hexdigest()
    joints = json.loads(made["joints"])
    assert next(iter(joints)) == "front_left_steer_joint"
    steer, wheel = joints["front_left_steer_joint"], joints["rear_left_wheel_joint"]
    assert steer["units"] == {"position": "rad", "velocity": "rad/s", "effort": "N·m"}
    assert steer["position"][0] == -steer["position"][1] < 0
    assert steer["effort"] == 600.0  # tightened by the settings
    assert (wheel["position"], wheel["effort"]) == ([None, None], 1500.0)
    assert "bundle" not in made
    assert "liquid_step" not in made


def test_what_is_not_told_is_left_out() -> None:
    assert list(contract_of(None)) == ["tidegate_version"]


def test_the_urdf_counts_by_what_it_means(tmp_path: Path) -> None:
    here = contract_of(CONFIG)["urdf_sha256"]
    text = URDF.read_text()
    assert contract_of(changed(tmp_path, text.replace("<robot ", "<!-- words -->\n<robot ", 1)))["urdf_sha256"] == here
    assert contract_of(changed(tmp_path, text.replace("0.6", "0.61", 1)))["urdf_sha256"] != here


def test_the_bundle_is_named_by_its_manifest_but_for_the_card() -> None:
    folder = share_path("models/car-ltc19")
    made = contract_of(None, folder, "C")
    listed = (folder / MANIFEST).read_text("utf-8").splitlines(keepends=True)
    without = "".join(line for line in listed if not line.endswith("MODEL_CARD.md\n"))
    assert without.count("\n") == len(listed) - 1
    assert made["bundle_sha256"] == hashlib.sha256(without.encode()).hexdigest()
    assert made["bundle"] == json.loads((folder / DESCRIPTION).read_text())["name"]
    assert made["liquid_step"] == "C"


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nothing\.yaml: cannot be read"):
        contract_of(tmp_path / "nothing.yaml")
    with pytest.raises(BundleError, match="no such bundle"):
        contract_of(None, tmp_path / "nothing")


def test_differences_are_told_where_both_sides_know() -> None:
    here = contract_of(CONFIG, share_path("models/car-ltc19"))
    assert differences(here, here) == ""
    assert differences(here, contract_of(CONFIG)) == ""
    assert "does not say" in differences({}, here)
    there = here | {"settings_sha256": "f" * 64, "tidegate_version": "0.0.1"}
    told = differences(there, here)
    assert told.startswith("recorded with another: settings (ffffffffffff… there, ")
    assert told.endswith(f"tidegate (0.0.1 there, {here['tidegate_version']} here)")
    assert "bundle" not in told
