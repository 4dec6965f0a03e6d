# SPDX-License-Identifier: Apache-2.0
"""The robot description that a controller manager gets."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tidegate.errors import RobotError
from tidegate.robot import Car, control_description
from tidegate.settings import load_settings
from tidegate.share import share_path

CAR = Car.from_settings(load_settings(share_path("config/car.yaml")))
URDF = share_path("urdf/car.urdf.xacro")
MOCK = "mock_components/GenericSystem"


@pytest.mark.parametrize("hardware", ["", MOCK, "my_driver/MySystem"])
def test_the_driver_is_the_one_that_is_asked_for(hardware: str) -> None:
    root = ElementTree.fromstring(control_description(URDF, CAR, hardware))
    assert root.findtext("ros2_control/hardware/plugin") == (hardware or MOCK)


@pytest.mark.parametrize(
    ("old", "new", "hardware", "said"),
    [
        ("ros2_control", "other", "", "has no <ros2_control> with <hardware><plugin>"),
        ("$(arg hardware)", MOCK, "my_driver/MySystem", f"hardware is 'my_driver/MySystem', but .* has {MOCK}"),
        (
            '<xacro:effort_joint name="rear_left_wheel_joint" effort="${wheel_effort}"/>',
            "",
            "",
            "no command_interface 'effort' of rear_left_wheel_joint",
        ),
    ],
)
def test_a_description_that_does_not_fit_is_refused(
    tmp_path: Path, old: str, new: str, hardware: str, said: str
) -> None:
    text = URDF.read_text()
    assert old in text
    path = tmp_path / "car.urdf.xacro"
    path.write_text(text.replace(old, new))
    with pytest.raises(RobotError, match=said) as raised:
        control_description(path, CAR, hardware)
    assert str(path) in str(raised.value)
