# SPDX-License-Identifier: Apache-2.0
"""Launch arguments reach the nodes that they are for, in every launch file."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import yaml

pytest.importorskip("launch_ros")

from launch import LaunchContext
from launch.actions import DeclareLaunchArgument
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.utilities import perform_substitutions
from launch_ros.actions import Node

from tidegate.nodes.launching import player
from tidegate.share import share_path

ROOT = share_path("config/car.yaml").parents[1]
INDEX = "share/ament_index/resource_index/packages"
LAUNCH_FILES = sorted(path.name for path in (ROOT / "launch").glob("*.launch.py"))
STACK = {"perception_node", "policy_node", "safety_node"}
OTHERS = {"recorder_node", "markers_node", "saliency_node"}


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LaunchContext:
    """Of a launch in a prefix in which this package is installed."""
    (tmp_path / INDEX).mkdir(parents=True)
    (tmp_path / INDEX / "tidegate").touch()
    (tmp_path / "share" / "tidegate").symlink_to(ROOT)
    for variable, value in (("AMENT_PREFIX_PATH", tmp_path), ("ROS_LOG_DIR", tmp_path / "log")):
        monkeypatch.setenv(variable, str(value))
    made = LaunchContext()
    made.extend_locals({"ros_specific_arguments": {"name": "", "ns": ""}})
    return made


def commands(context: LaunchContext, name: str, **given: str) -> dict[str, list[str]]:
    """Words of the command line by executable, for each node that ``name`` may start with the arguments ``given``."""
    context.launch_configurations.update(given)
    entities = PythonLaunchDescriptionSource(str(ROOT / "launch" / name)).get_launch_description(context).entities
    if name.startswith("replay"):
        entities = [*entities, player()[1]]
    for entity in entities:
        if isinstance(entity, DeclareLaunchArgument) and entity.name != "bag":
            entity.execute(context)
    found = {}
    for node in (entity for entity in entities if isinstance(entity, Node)):
        node._perform_substitutions(context)
        found[str(node.node_executable)] = [perform_substitutions(context, part) for part in node.cmd[1:]]
    return found


def parameters(words: list[str]) -> dict[str, object]:
    """What the files of a command line give beyond the robot's settings."""
    given: dict[str, object] = {}
    for flag, path in itertools.pairwise(words):
        if flag == "--params-file" and "launch_params_" in path:
            (section,) = yaml.safe_load(Path(path).read_text()).values()
            given |= section["ros__parameters"]
    return given


@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_the_log_level_reaches_every_node(context: LaunchContext, name: str) -> None:
    found = commands(context, name, log_level="debug", bag="/bag")
    own = {"replay": {"player_node"}, "simulation": {"simulator_node"}}.get(name.partition(".")[0], set())
    assert set(found) >= STACK | OTHERS | own
    for words in found.values():
        assert words[words.index("--log-level") + 1] == "debug"


@pytest.mark.parametrize("asked", ["true", "false"])
@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_a_dry_run_is_the_safety_nodes_in_every_launch_file(context: LaunchContext, name: str, asked: str) -> None:
    words = commands(context, name, dry_run=asked, bag="/bag")["safety_node"]
    assert parameters(words)["dry_run"] is (asked == "true")
