# SPDX-License-Identifier: Apache-2.0
"""The arm from URDF and settings: what is read, what is refused, and the window of the next torque."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tidegate.errors import RobotError
from tidegate.robot import read_urdf
from tidegate.robot.arm import Arm, surface_normal
from tidegate.settings.arm import ArmSettings, load_arm_settings
from tidegate.share import share_path

SETTINGS = load_arm_settings(share_path("config/arm.yaml"))
ARM = Arm.from_settings(SETTINGS)


def edited(tmp_path: Path, *swaps: tuple[str, str]) -> ArmSettings:
    """The shipped settings with another URDF: the expanded one, with each old text replaced once."""
    document = read_urdf(SETTINGS.arm.urdf)
    for old, new in swaps:
        assert old in document
        document = document.replace(old, new, 1)
    path = tmp_path / "edited.urdf"
    path.write_text(document, encoding="utf-8")
    return dataclasses.replace(SETTINGS, arm=dataclasses.replace(SETTINGS.arm, urdf=str(path)))


def test_limits_are_the_urdfs() -> None:
    assert ARM.joint_names == tuple(f"joint_{number}" for number in range(1, 8))
    np.testing.assert_array_equal(ARM.effort, [160, 160, 100, 100, 60, 40, 40])
    np.testing.assert_array_equal(ARM.velocity, [2.0, 2.0, 2.2, 2.2, 2.6, 2.6, 2.6])
    np.testing.assert_array_equal(ARM.upper, [2.9, 2.0, 2.9, 2.1, 2.9, 2.1, 3.0])
    np.testing.assert_array_equal(ARM.lower, -ARM.upper)
    assert ARM.tool == "tool"


@pytest.mark.parametrize(
    ("swaps", "words"),
    [
        ([('name="joint_3" type="revolute"', 'name="joint_3" type="prismatic"')], ["joint_3", "prismatic", "revolute"]),
        ([('lower="-2.0"', 'lower="2.5"')], ["joint_2", "from 2.5 to 2 rad", "with a range"]),
        ([('velocity="2.0"', 'velocity="0.0"')], ["joint_1", "velocity 0", "above 0"]),
        ([('name="flange_joint" type="fixed"', 'name="flange_joint" type="continuous"')], ["moves", "flange_joint"]),
        ([('<link name="tool">', '<link name="gripper">')], ["no link 'tool'"]),
        ([('<child link="tool"/>', '<child link="gripper"/>')], ["lie ", "'arm.joints' is joint_1"]),
        ([('<parent link="base_link"/>', '<parent link="link_7"/>')], ["form a loop"]),
    ],
)
def test_what_is_no_arm_is_refused(tmp_path: Path, swaps: list[tuple[str, str]], words: list[str]) -> None:
    with pytest.raises(RobotError) as caught:
        Arm.from_settings(edited(tmp_path, *swaps))
    for word in ("edited.urdf", *words):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"velocity_error": 2.2}, r"'safety.limits.velocity_error' is 2.2; of joint 'joint_1' it must be less than 2,"),
        ({"position_error": 2.0}, r"'safety.limits.position_error' is 2; of joint 'joint_2' it must be less than 2,"),
    ],
)
def test_a_joint_that_is_known_no_better_than_its_limit_is_refused(values: dict[str, float], words: str) -> None:
    safety = dataclasses.replace(SETTINGS.safety, limits=dataclasses.replace(SETTINGS.safety.limits, **values))
    with pytest.raises(RobotError, match=words):
        Arm.from_settings(dataclasses.replace(SETTINGS, safety=safety))


def test_joints_in_another_order_are_refused() -> None:
    turned = tuple(reversed(SETTINGS.arm.joints))
    with pytest.raises(RobotError, match=r"'arm\.joints' is joint_7, joint_6"):
        Arm.from_settings(dataclasses.replace(SETTINGS, arm=dataclasses.replace(SETTINGS.arm, joints=turned)))


@given(arrays(np.float64, 7, elements=st.floats(-1e4, 1e4)), st.floats(1e-4, 0.02))
def test_the_window_is_box_and_rate_or_the_way_to_the_box(last: np.ndarray, period: float) -> None:
    low, high = ARM.torque_window(last, period)
    assert (low <= high).all()
    assert (np.abs(np.stack((low, high)) - last) <= ARM.effort_rate * period * (1 + 1e-9) + 1e-9).all()
    reach = np.clip(last, -ARM.effort, ARM.effort)
    met = np.abs(reach - last) <= ARM.effort_rate * period
    assert (np.abs(np.stack((low, high)))[:, met] <= ARM.effort[met]).all()
    beyond = ~met
    np.testing.assert_array_equal(low[beyond], high[beyond])
    assert (np.abs(low[beyond]) < np.abs(last[beyond])).all()


def test_the_normal_has_unit_length() -> None:
    surface = dataclasses.replace(SETTINGS.safety.surface, normal=(0.0, 3.0, 4.0))
    safety = dataclasses.replace(SETTINGS.safety, surface=surface)
    np.testing.assert_allclose(surface_normal(dataclasses.replace(SETTINGS, safety=safety)), [0, 0.6, 0.8])
