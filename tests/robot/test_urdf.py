# SPDX-License-Identifier: Apache-2.0
"""Robot descriptions: what is missing or wrong is named in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tidegate.errors import RobotError
from tidegate.messages.camera import OPTICAL_FRAME
from tidegate.perception.rectify import OPTICAL
from tidegate.robot import load_description, rotation
from tidegate.share import share_path

MINIMAL = """<robot name="r"><link name="base_link"/><link name="a"/>
<joint name="j" type="revolute"><parent link="base_link"/><child link="a"/>{limit}</joint></robot>"""


def described(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "r.urdf"
    path.write_text(text, encoding="utf-8")
    return path


def test_limits_are_read(tmp_path: Path) -> None:
    text = MINIMAL.format(limit='<limit lower="-1" upper="2" effort="3" velocity="4"/>')
    limits = load_description(described(tmp_path, text)).limits("j")
    assert (limits.lower, limits.upper, limits.effort, limits.velocity) == (-1, 2, 3, 4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<robot", ["r.urdf"]),
        ("<model/>", ["<model>", "<robot>"]),
        (MINIMAL.format(limit='<limit lower="-1" upper="2" velocity="4"/>'), ["<limit>", "effort"]),
        (MINIMAL.format(limit='<limit effort="much" velocity="4"/>'), ["much", "finite"]),
        (MINIMAL.format(limit='<limit effort="nan" velocity="4"/>'), ["nan", "finite"]),
        (MINIMAL.format(limit='<axis xyz="0 1"/>'), ["axis", "0 1", "three numbers"]),
        ('<robot><joint name="j"/></robot>', ["'j'", "parent"]),
    ],
)
def test_a_broken_description_is_refused(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(RobotError) as caught:
        load_description(described(tmp_path, text))
    for word in words:
        assert word in str(caught.value)


def test_missing_file_joint_and_limits_are_named(tmp_path: Path) -> None:
    with pytest.raises(RobotError, match="no such robot description"):
        load_description(tmp_path / "none.urdf")
    description = load_description(described(tmp_path, MINIMAL.format(limit="")))
    with pytest.raises(RobotError, match="no joint 'k'; it has j"):
        description.joint("k")
    with pytest.raises(RobotError, match="'j' has no <limit"):
        description.limits("j")
    with pytest.raises(RobotError, match="camera_link"):
        description.origin("camera_link")


def test_pictures_have_an_optical_frame_with_z_ahead_x_right_and_y_down() -> None:
    description = load_description(share_path("urdf/car.urdf.xacro"))
    joint = description.joint("camera_optical_joint")
    assert (joint.kind, joint.parent, joint.child, joint.xyz) == ("fixed", "camera_link", OPTICAL_FRAME, (0, 0, 0))
    ahead, left, up = np.eye(3)
    np.testing.assert_allclose(rotation(joint.rpy), np.stack([-left, -up, ahead], axis=1), atol=1e-12)
    np.testing.assert_allclose(rotation(joint.rpy).T, OPTICAL, atol=1e-12)
