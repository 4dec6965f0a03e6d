# SPDX-License-Identifier: Apache-2.0
"""``gazebo.launch.py``: what it asks, what it says without Gazebo, and what it would start with it."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from domains import random_domain

pytest.importorskip("launch_ros")
pytest.importorskip("mujoco")

from launch import LaunchContext
from launch.actions import IncludeLaunchDescription, RegisterEventHandler
from launch.utilities import perform_substitutions
from launch_ros.actions import Node

from tidegate.nodes import gazebo, ros2_control
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.simulation.gazebo import read_start, write_world

ROOT = share_path("config/car.yaml").parents[1]
INDEX = "share/ament_index/resource_index/packages"
HAS_GZ = shutil.which("gz") is not None


@pytest.fixture(scope="module", autouse=True)
def log_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where ``launch`` in this process keeps what it writes, for as long as the process lives."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_LOG_DIR", str(tmp_path_factory.mktemp("log")))
        yield


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A prefix in which this package is installed."""
    prefix = tmp_path / "prefix"
    (prefix / INDEX).mkdir(parents=True)
    (prefix / INDEX / "tidegate").touch()
    (prefix / "share").joinpath("tidegate").symlink_to(ROOT)
    return prefix


def ros2_launch(index: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    own = [str(Path(sys.executable).parent), os.environ["PATH"]]
    environment = {
        **os.environ,
        "AMENT_PREFIX_PATH": os.pathsep.join([str(index), sys.prefix]),
        "PATH": os.pathsep.join(own),
        "ROS_LOG_DIR": str(index / "log"),
        "ROS_DOMAIN_ID": random_domain(),
        "RCUTILS_COLORIZED_OUTPUT": "0",
    }
    command = ["ros2", "launch", str(ROOT / "launch" / "gazebo.launch.py"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)


@pytest.mark.skipif(shutil.which("ros2", path=Path(sys.executable).parent) is None, reason="ros2 is absent")
def test_the_real_launch_parses_it_and_without_gazebo_it_says_what_to_install(index: Path) -> None:
    shown = ros2_launch(index, "-s")
    assert shown.returncode == 0, shown.stderr
    asked = re.findall(r"^    '(\w+)':", shown.stdout, re.MULTILINE)
    assert asked[-5:] == ["headless", "scene", "seed", "world", "controllers"]
    assert asked[0] == "robot"
    if HAS_GZ:
        return
    refused = ros2_launch(index)
    assert refused.returncode == 1
    said = refused.stdout + refused.stderr
    assert "gazebo.launch.py needs ros_gz_sim, " in said
    assert "apt-get install ros-$ROS_DISTRO-gz-ros2-control " in said
    assert "Traceback" not in said


@pytest.fixture
def installed(index: Path, monkeypatch: pytest.MonkeyPatch) -> LaunchContext:
    """As if all packages were there, and the defaults of the launch file."""
    for package in gazebo.PACKAGES:
        (index / INDEX / package).touch()
        (index / "share" / package).mkdir()
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(index))
    context = LaunchContext()
    context.launch_configurations.update(
        namespace="",
        log_level="info",
        use_sim_time="true",
        params_file=str(ROOT / "config" / "car.yaml"),
        headless="true",
        scene="road",
        seed="7",
        world="",
        controllers=str(ROOT / "config" / "controllers.yaml"),
    )
    return context


@pytest.mark.parametrize("by_folder", [True, False])
def test_it_starts_gazebo_the_car_at_its_start_the_bridge_and_then_the_controllers(
    installed: LaunchContext, tmp_path: Path, by_folder: bool
) -> None:
    world = write_world(load_settings(ROOT / "config" / "car.yaml"), "road", 7, tmp_path / "w")
    installed.launch_configurations["world"] = str(world.parent if by_folder else world)
    gz, state, bridge, spawn, then = gazebo.gazebo().execute(installed)
    assert isinstance(gz, IncludeLaunchDescription)
    assert dict(gz.launch_arguments)["gz_args"] == f"-r -s --headless-rendering {world}"
    assert [node.node_package for node in (state, bridge, spawn)] == [
        "robot_state_publisher",
        "ros_gz_bridge",
        "ros_gz_sim",
    ]
    assert isinstance(then, RegisterEventHandler)
    words = [perform_substitutions(installed, part) for part in spawn.cmd[1:]]
    flags = dict(itertools.pairwise(words))
    place = [float(flags[name]) for name in ("-x", "-y", "-z", "-R", "-P", "-Y")]
    start = list(read_start(world))
    start[2] += gazebo.DROP_M
    assert place == pytest.approx(start, abs=1e-6)
    urdf = ElementTree.fromstring(flags["-string"])
    assert urdf.findtext("gazebo/plugin/parameters") == str(ROOT / "config" / "controllers.yaml")
    (spawner,) = then.event_handler.handle(_exited(spawn), installed)
    assert isinstance(spawner, Node)
    words = [perform_substitutions(installed, part) for part in spawner.cmd[1:]]
    assert words[:2] == list(ros2_control.CONTROLLERS)


def test_headless_is_read_in_any_case(installed: LaunchContext, tmp_path: Path) -> None:
    """Nav2's own default is spelt ``True``."""
    world = write_world(load_settings(ROOT / "config" / "car.yaml"), "road", 7, tmp_path / "w")
    for word, window in (("True", False), ("1", False), ("False", True)):
        installed.launch_configurations.update(headless=word, world=str(world))
        for argument in gazebo.gazebo_arguments():
            argument.execute(installed)
        gz, *_ = gazebo.gazebo().execute(installed)
        assert ("--headless-rendering" not in dict(gz.launch_arguments)["gz_args"]) is window


def _exited(action: Node) -> object:
    from launch.events.process import ProcessExited

    return ProcessExited(action=action, name="", cmd=[], cwd=None, env=None, pid=1, returncode=0)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("namespace", "left", "namespace is 'left'"),
        ("world", "/nowhere", "/nowhere/world.sdf: has no frame 'start'"),
        ("world", "/nowhere/my.sdf", "/nowhere/my.sdf: has no frame 'start'"),
        ("controllers", str(ROOT / "config" / "car.yaml"), "has no 'effort_controller'"),
        ("scene", "traffic", "scene 'traffic' has vehicles"),
    ],
)
def test_what_does_not_fit_ends_it_at_once(installed: LaunchContext, name: str, value: str, said: str) -> None:
    installed.launch_configurations[name] = value
    with pytest.raises((RuntimeError, ValueError), match=said):
        gazebo.gazebo().execute(installed)


@pytest.mark.skipif(not HAS_GZ, reason="Gazebo (gz) is absent")
def test_gazebo_checks_the_world(tmp_path: Path) -> None:
    world = write_world(load_settings(ROOT / "config" / "car.yaml"), "road", 7, tmp_path / "w")
    checked = subprocess.run(["gz", "sdf", "--check", str(world)], capture_output=True, text=True, check=True)
    assert "Valid" in checked.stdout
