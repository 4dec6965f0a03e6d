# SPDX-License-Identifier: Apache-2.0
"""Descriptions as others write them: packages, meshes, fingers, mimicking joints, links without masses."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pinocchio")

from tidegate.errors import RobotError
from tidegate.robot import read_urdf
from tidegate.robot.arm import Arm
from tidegate.robot.dynamics import Dynamics
from tidegate.settings.arm import ArmSettings, arm_settings_from, load_arm_settings
from tidegate.share import share_path
from tidegate.simulation.arm import ArmScene

SETTINGS = load_arm_settings(share_path("config/arm.yaml"))
MESH = '<geometry><mesh filename="package://nobody/meshes/link.dae"/></geometry>'
HAND = f"""
<link name="finger_a"><inertial><mass value="0.02"/><inertia ixx="1e-6" ixy="0" ixz="0" iyy="1e-6" iyz="0" izz="1e-6"/>
</inertial><visual>{MESH}</visual><collision>{MESH}</collision></link>
<link name="finger_b"/>
<joint name="finger_joint_a" type="prismatic"><parent link="flange"/><child link="finger_a"/><axis xyz="0 1 0"/>
<limit lower="0" upper="0.04" effort="20" velocity="0.2"/></joint>
<joint name="finger_joint_b" type="prismatic"><parent link="flange"/><child link="finger_b"/><axis xyz="0 -1 0"/>
<limit lower="0" upper="0.04" effort="20" velocity="0.2"/><mimic joint="finger_joint_a"/></joint>
</robot>"""
FINGERS = ("finger_joint_a", "finger_joint_b")


def written(path: Path, *swaps: tuple[str, str], **values: object) -> ArmSettings:
    """The shipped settings, ``values`` of them changed, with another URDF: each pattern replaced once."""
    document = read_urdf(SETTINGS.arm.urdf)
    for old, new in swaps:
        document, count = re.subn(old, new, document, count=1, flags=re.DOTALL)
        assert count == 1
    path.write_text(document, encoding="utf-8")
    return dataclasses.replace(SETTINGS, arm=dataclasses.replace(SETTINGS.arm, urdf=str(path), **values))


def test_locked_fingers_and_meshes_that_nobody_has_are_no_hindrance(tmp_path: Path) -> None:
    settings = written(tmp_path / "hand.urdf", ("</robot>", HAND), locked=FINGERS)
    arm = Arm.from_settings(settings)
    here, plain = Dynamics(arm), Dynamics(Arm.from_settings(SETTINGS))
    position = np.array([0.1, 0.4, 0.2, 1.0, 0.3, 0.8, 0.1])
    heavier = here(position, np.zeros(7)).mass - plain(position, np.zeros(7)).mass
    assert 0 < heavier[1, 1] < 0.05  # 20 g within a metre and a half
    truth = ArmScene(arm).place(position, np.zeros(7))
    np.testing.assert_allclose(here(position, np.zeros(7)).position, truth.tool, atol=1e-12)


def test_a_link_without_mass_is_fine_where_what_is_fixed_to_it_has_one(tmp_path: Path) -> None:
    bare = (r'(<link name="link_7">)\s*<inertial>.*?</inertial>', r"\1")
    Arm.from_settings(written(tmp_path / "bare.urdf", bare))  # the tool is fixed to it
    with pytest.raises(RobotError, match=r"bare\.urdf: link 'link_6', which joint 'joint_6' moves, has no <inertial>"):
        Arm.from_settings(written(tmp_path / "bare.urdf", (bare[0].replace("7", "6"), bare[1])))


@pytest.mark.parametrize(
    ("swap", "locked", "words"),
    [
        (("</robot>", HAND), (), ["finger_joint_a", "'arm.locked'"]),
        (("</robot>", HAND), (*FINGERS, "thumb"), ["'arm.locked' is", "thumb"]),
        (("</robot>", HAND), (*FINGERS, "joint_7"), ["'arm.locked' is", "none of 'arm.joints'"]),
        (('(name="joint_7".*?<limit [^>]*>)', r'\1<mimic joint="joint_5"/>'), (), ["joint_7", "mimics 'joint_5'"]),
        (('name="joint_7" type="revolute"', 'name="joint_7" type="continuous"'), (), ["joint_7", "continuous"]),
        (('(name="joint_7".*?)<limit [^>]*>', r"\1"), (), ["joint_7", "no <limit effort velocity>"]),
        (('(name="joint_7".*?) effort="[^"]*"', r"\1"), (), ["<limit> lacks 'effort'"]),
        (('<mass value="0.3"/>', ""), (), ["link_7", "without <mass>"]),
        (('(name="joint_7".*?)<axis xyz="0 0 1"/>', r'\1<axis xyz="0 0 0"/>'), (), ["'joint_7'", "a direction"]),
        (('(name="joint_7".*?) damping="0.1"', r'\1 damping="-5"'), (), ["'joint_7'", "damping -5"]),
        (('(name="joint_7".*?) friction="0.1"', r'\1 friction="-1"'), (), ["'joint_7'", "friction -1"]),
        (
            ('(name="joint_7".*?) friction="0.1"', r'\1 friction="3"'),
            (),
            ["has 3 N·m of dry friction"],
        ),
        (('<mass value="0.2"/>', '<mass value="-0.2"/>'), (), ["link 'tool' has mass -0.2", "below 0"]),
        (('ixx="0.0002"', 'ixx="-0.0002"'), (), ["link 'tool'", "inertia (-0.0002", "below 0"]),
    ],
)
def test_what_is_missing_is_one_line(
    tmp_path: Path, swap: tuple[str, str], locked: tuple[str, ...], words: list[str]
) -> None:
    with pytest.raises(RobotError) as caught:
        Arm.from_settings(written(tmp_path / "odd.urdf", swap, locked=locked))
    assert "\n" not in str(caught.value)
    for word in ("odd.urdf", *words):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "folder"), [("AMENT_PREFIX_PATH", "share/my_arm"), ("ROS_PACKAGE_PATH", "my_arm")]
)
def test_a_package_is_looked_for_where_packages_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, folder: str
) -> None:
    place = tmp_path / folder / "urdf"
    place.mkdir(parents=True)
    written(place / "arm.urdf")
    settings = arm_settings_from({"arm": {"urdf": "package://my_arm/urdf/arm.urdf"}}, "file.yaml", Path("/nowhere"))
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(RobotError, match=r"no package 'my_arm' in AMENT_PREFIX_PATH.*install it"):
        Arm.from_settings(settings)
    monkeypatch.setenv(variable, str(tmp_path))
    assert Arm.from_settings(settings).description.source == str(place / "arm.urdf")
    other = dataclasses.replace(settings, arm=dataclasses.replace(settings.arm, urdf="package://my_arm/none.urdf"))
    with pytest.raises(RobotError, match=r"package 'my_arm' in .* has no file 'none\.urdf'"):
        Arm.from_settings(other)


def test_a_share_of_the_velocity_limits_tightens_them() -> None:
    half = dataclasses.replace(SETTINGS, arm=dataclasses.replace(SETTINGS.arm, velocity_share=0.5))
    np.testing.assert_allclose(Arm.from_settings(half).velocity, Arm.from_settings(SETTINGS).velocity / 2)
