# SPDX-License-Identifier: Apache-2.0
"""URDF, controllers, bridge, Gazebo's world, settings and the MuJoCo model tell the same; a change in one is seen."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mujoco")

import agreement
import mujoco
from agreement import disagreements

from tidegate.errors import RobotError, SceneError
from tidegate.robot import Car, check_controllers, gazebo_description
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.simulation import Simulator, car
from tidegate.simulation.gazebo import read_start, write_world

SEED = 7
ROOT = share_path("config/car.yaml").parents[1]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(load_settings(ROOT / "config" / "car.yaml"), "road", SEED, camera=False) as made:
        yield made


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(load_settings(ROOT / "config" / "car.yaml"), "road", SEED, tmp_path_factory.mktemp("w")).parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("config", "urdf"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


def test_all_tell_the_same(folder: Path, world: Path, simulator: Simulator) -> None:
    assert disagreements(folder, world, simulator) == []


CHANGES = {
    "swapped joints": (
        "config/controllers.yaml",
        r"(- front_left_steer_joint)(\s+)(- front_right_steer_joint)",
        r"\3\2\1",
    ),
    "another interface": ("config/controllers.yaml", "interface_name: effort", "interface_name: velocity"),
    "another rate": ("config/controllers.yaml", "update_rate: 200", "update_rate: 100"),
    "another controller": (
        "config/controllers.yaml",
        "ForwardCommandController",
        "MultiInterfaceForwardCommandController",
    ),
    "no broadcaster": ("config/controllers.yaml", r"    joint_state_broadcaster:\n.*\n", ""),
    "mass in Gazebo": ("urdf/car.urdf.xacro", r"\$\{total_mass - ", "${(50 if in_gazebo else 0) + total_mass - "),
    "inertia in Gazebo": ("urdf/car.urdf.xacro", "4.0 if in_gazebo", "3.0 if in_gazebo"),
    "limit in Gazebo": ("urdf/car.urdf.xacro", 'lower="-0.55"', 'lower="${-0.5 if in_gazebo else -0.55}"'),
    "name of a joint": ("urdf/car.urdf.xacro", 'effort_joint name="rear_left_', 'effort_joint name="back_left_'),
    "order of ros2_control": (
        "urdf/car.urdf.xacro",
        r'(<xacro:effort_joint name="rear_left.*)(\s+)(<xacro:effort_joint name="rear_right.*)',
        r"\3\2\1",
    ),
    "effort of ros2_control": (
        "urdf/car.urdf.xacro",
        r'wheel_joint" effort="\$\{wheel_effort\}"',
        'wheel_joint" effort="900"',
    ),
    "less than the settings ask": (
        "urdf/car.urdf.xacro",
        '"wheel_effort" value="1500.0"',
        '"wheel_effort" value="1400.0"',
    ),
    "velocity of a joint in Gazebo": (
        "urdf/car.urdf.xacro",
        'velocity="3.0"',
        'velocity="${2.0 if in_gazebo else 3.0}"',
    ),
    "velocity of the steering": ("urdf/car.urdf.xacro", 'velocity="3.0"', 'velocity="0.9"'),
    "velocity of the wheels": ("urdf/car.urdf.xacro", 'velocity="65.0"', 'velocity="50.0"'),
    "more than the URDF allows": ("config/car.yaml", "steer_effort_max: 600.0", "steer_effort_max: 650.0"),
    "steering faster than the URDF allows": ("config/car.yaml", "steer_velocity_max: 1.0", "steer_velocity_max: 3.1"),
    "speed that no wheel may turn for": ("config/car.yaml", "speed_max: 16.5", "speed_max: 20.5"),
    "tightened for MuJoCo": ("config/car.yaml", "    vehicle:", "    camera: {fov_deg: 50.0}\n    vehicle:"),
    "another filter rate": ("config/car.yaml", "    vehicle:", "    safety: {rate_hz: 100.0}\n    vehicle:"),
    "more planes": (
        "config/car.yaml",
        "    vehicle:",
        "    ranging: {elevation_deg: [-4.0, -2.0, 0.0, 2.0]}\n    vehicle:",
    ),
    "picture size": ("urdf/gazebo.xacro", r"<width>\$\(arg camera_width\)", "<width>320"),
    "frame of the pictures": ("urdf/gazebo.xacro", "<gz_frame_id>camera_optical_frame", "<gz_frame_id>camera_link"),
    "field of view": ("urdf/gazebo.xacro", "<horizontal_fov>", "<horizontal_fov>1"),
    "default of the picture": ("urdf/gazebo.xacro", '"camera_height" default="80"', '"camera_height" default="120"'),
    "planes": ("urdf/gazebo.xacro", r"radians\(\$\(arg range_lowest\)\)", "radians(-5)"),
    "beams": ("urdf/gazebo.xacro", r"radians\(\$\(arg range_azimuth\)\)", "radians(45)"),
    "reach": ("urdf/gazebo.xacro", r"<max>\$\(arg range_max\)", "<max>40"),
    "topic of a sensor": ("urdf/gazebo.xacro", "<topic>imu<", "<topic>imu/data<"),
    "frame of the IMU": ("urdf/gazebo.xacro", "<gz_frame_id>imu_link", "<gz_frame_id>base_link"),
    "frame of the odometry": ("urdf/gazebo.xacro", "<odom_frame>odom", "<odom_frame>map"),
    "body of the odometry": ("urdf/gazebo.xacro", "<robot_base_frame>base_link", "<robot_base_frame>imu_link"),
    "mount of the camera in Gazebo": ("urdf/car.urdf.xacro", r"radians\(4\)", "radians(4 - 5 * in_gazebo)"),
    "rate of the odometry": (
        "urdf/gazebo.xacro",
        r"odom_publish_frequency>\$\(arg rate\)",
        "odom_publish_frequency>50",
    ),
    "topic of the stack": ("config/gazebo_bridge.yaml", "ros_topic_name: points", "ros_topic_name: scan"),
    "ROS type": ("config/gazebo_bridge.yaml", "sensor_msgs/msg/PointCloud2", "sensor_msgs/msg/LaserScan"),
    "Gazebo type": ("config/gazebo_bridge.yaml", "gz.msgs.PointCloudPacked", "gz.msgs.LaserScan"),
    "Gazebo topic": ("config/gazebo_bridge.yaml", "gz_topic_name: /range/points", "gz_topic_name: /range"),
    "direction": ("config/gazebo_bridge.yaml", "GZ_TO_ROS", "ROS_TO_GZ"),
    "lane": ("world/meshes/lines_right.obj", r"(?m)^v (\S+)\d{4} ", r"v \g<1>0300 "),
    "height": ("world/meshes/road.obj", r"(?m)^(v \S+ \S+) .*", r"\1 9.0"),
    "start": ("world/world.sdf", r'(name="start">\s+<pose>)\S+', r"\g<1>0.0"),
    "step": ("world/world.sdf", "<max_step_size>0.0025", "<max_step_size>0.001"),
    "gravity": ("world/world.sdf", "<gravity>0 0 -9.81", "<gravity>0 0 -9.8"),
    "sun": ("world/world.sdf", r"<direction>\S+", "<direction>0.9"),
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_a_change_in_one_file_is_seen(change: str, folder: Path, world: Path, simulator: Simulator) -> None:
    file, old, new = CHANGES[change]
    if file.startswith("world/"):
        shutil.copytree(world, folder / "world")
        world = folder / "world"
    text = (folder / file).read_text()
    changed, count = re.subn(old, new, text)
    assert count >= 1
    assert changed != text
    (folder / file).write_text(changed)
    assert disagreements(folder, world, simulator)


def test_a_change_of_the_mujoco_model_is_seen(
    folder: Path, world: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(car, "STEERING_INERTIA", 5.0)
    found = disagreements(folder, world, simulator)
    assert len(found) == 2
    assert all(text.startswith("inertia about front_") for text in found)


@pytest.mark.parametrize(
    ("limited", "reach", "said"),
    [
        (False, 0.55, "front_left_steer_joint is not limited in MuJoCo"),
        (True, 0.5, "range of front_left_steer_joint in MuJoCo"),
    ],
)
def test_a_steering_of_the_mujoco_model_that_turns_farther_is_seen(
    folder: Path,
    world: Path,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    limited: bool,
    reach: float,
    said: str,
) -> None:
    def loose(spec: mujoco.MjSpec, *given: Any, **options: Any) -> None:
        car.add_car(spec, *given, **options)
        joint = spec.joint("front_left_steer_joint")
        joint.range, joint.limited = [-reach, reach], getattr(mujoco.mjtLimited, f"mjLIMITED_{str(limited).upper()}")

    monkeypatch.setattr(agreement, "add_car", loose)
    assert disagreements(folder, world, simulator) == [said]


@pytest.mark.parametrize("angle", ["roll", "pitch", "yaw"])
def test_a_turned_camera_of_the_mujoco_model_is_seen(
    folder: Path, world: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, angle: str
) -> None:
    """By half a degree, in each direction alone."""

    def turned(spec: mujoco.MjSpec, *given: Any, **options: Any) -> None:
        car.add_car(spec, *given, **options)
        axis = {"roll": [0.0, 0.0, 1.0], "pitch": [1.0, 0.0, 0.0], "yaw": [0.0, 1.0, 0.0]}[angle]  # of the camera
        turn, made = np.zeros(4), np.zeros(4)
        mujoco.mju_axisAngle2Quat(turn, np.array(axis), math.radians(0.5))
        mujoco.mju_mulQuat(made, spec.camera("front").quat, turn)
        spec.camera("front").quat = made

    monkeypatch.setattr(agreement, "add_car", turned)
    assert disagreements(folder, world, simulator) == ["orientation of camera_link"]


def test_another_seed_is_another_road(folder: Path, simulator: Simulator, tmp_path: Path) -> None:
    other = write_world(simulator.settings, "road", SEED + 1, tmp_path / "other").parent
    found = disagreements(folder, other, simulator)
    assert any(text.startswith("lane of lines_right") for text in found)
    assert "start" in found


def test_what_gazebo_cannot_do_is_refused_in_one_line(tmp_path: Path, folder: Path) -> None:
    settings = load_settings(ROOT / "config" / "car.yaml")
    with pytest.raises(SceneError, match="scene 'traffic' has vehicles"):
        write_world(settings, "traffic", SEED, tmp_path / "traffic")
    with pytest.raises(SceneError, match=f"{folder}: is there already"):
        write_world(settings, "road", SEED, folder)
    with pytest.raises(SceneError, match="has no frame 'start'"):
        read_start(folder / "config" / "car.yaml")
    with pytest.raises(RobotError, match="has no 'effort_controller'"):
        check_controllers(folder / "config" / "car.yaml", Car.from_settings(settings))
    yaml = folder / "config" / "car.yaml"
    yaml.write_text(yaml.read_text() + "    ranging: {elevation_deg: [-4.0, 0.0, 1.0]}\n")
    with pytest.raises(RobotError, match=r"elevation_deg is -4, 0, 1; .* evenly apart"):
        gazebo_description(load_settings(yaml), folder / "config" / "controllers.yaml")
