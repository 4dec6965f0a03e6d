# SPDX-License-Identifier: Apache-2.0
"""Launch arguments reach the nodes that they are for, in every launch file."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import yaml

pytest.importorskip("launch_ros")

from launch import LaunchContext, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.utilities import perform_substitutions
from launch_ros.actions import Node

from tidegate.nodes.arguments import Flag
from tidegate.nodes.by_kind import ByKind
from tidegate.nodes.launching import RECORDED, player
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


def declared(context: LaunchContext, name: str, **given: str) -> list[LaunchDescriptionEntity]:
    """What the launch file ``name`` holds, its arguments declared with the values ``given``."""
    context.launch_configurations.update(given)
    entities = PythonLaunchDescriptionSource(str(ROOT / "launch" / name)).get_launch_description(context).entities
    for entity in entities:
        if isinstance(entity, DeclareLaunchArgument) and entity.name != "bag":
            entity.execute(context)
    of_kind = [inner for one in entities if isinstance(one, ByKind) for inner in one.execute(context)]
    return [*entities, *of_kind]


def commands(context: LaunchContext, name: str, **given: str) -> dict[str, list[str]]:
    """Words of the command line by executable, for each node that ``name`` may start with the arguments ``given``."""
    entities = declared(context, name, **given)
    if name.startswith("replay"):
        entities = [*entities, player()[1]]
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


@pytest.mark.parametrize("word", ["True", "TRUE", "1", " true"])
@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_true_and_false_are_read_as_launch_reads_them(context: LaunchContext, name: str, word: str) -> None:
    """Nav2's users write ``True``. Whoever reads the argument later reads ``true``."""
    flags = [one.name for one in declared(context, name) if isinstance(one, Flag)]
    assert {"use_sim_time", "autostart", "use_respawn", "record", "record_all", "dry_run", "use_rviz"} <= set(flags)
    declared(context, name, **dict.fromkeys(flags, word))
    assert [context.launch_configurations[flag] for flag in flags] == ["true"] * len(flags)
    declared(context, name, **dict.fromkeys(flags, "False"))
    assert [context.launch_configurations[flag] for flag in flags] == ["false"] * len(flags)


@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_every_argument_that_is_true_or_false_is_such_a_flag(context: LaunchContext, name: str) -> None:
    entities = declared(context, name)
    plain = [one.name for one in entities if isinstance(one, DeclareLaunchArgument) and not isinstance(one, Flag)]
    assert not [one for one in plain if context.launch_configurations.get(one, "").lower() in ("true", "false")]


@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_another_word_is_refused_in_one_line(context: LaunchContext, name: str) -> None:
    flags = [one.name for one in declared(context, name) if isinstance(one, Flag) and one.name != "record"]
    for flag in flags:
        with pytest.raises(RuntimeError, match=f"^{flag} is 'yes'; it must be true or false$"):
            declared(context, name, **{**dict.fromkeys(flags, "true"), flag: "yes"})


@pytest.mark.parametrize("word", ["nan", "-1", "inf", "long", ""])
@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_a_time_that_is_none_is_refused_in_one_line(context: LaunchContext, name: str, word: str) -> None:
    """NaN and less than 0 would switch the watch over nodes that hang off, without a word."""
    with pytest.raises(RuntimeError, match=f"^bond_timeout is '{word}'; it must be a number of seconds, 0 or more$"):
        declared(context, name, bond_timeout=word)


@pytest.mark.parametrize(
    ("record", "snapshots", "starts"),
    [("", "", False), ("False", "", False), ("0", "", False), ("True", "", True), ("bags/x", "", True),
     ("False", "around", True)],
)  # fmt: skip
@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_a_recorder_is_started_where_something_is_to_be_recorded(
    context: LaunchContext, name: str, record: str, snapshots: str, starts: bool
) -> None:
    entities = declared(context, name, record=record, snapshots=snapshots)
    (node,) = [one for one in entities if isinstance(one, Node) and one.node_executable == "recorder_node"]
    assert node.condition.evaluate(context) is starts


@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_what_a_bag_holds_and_how_large_it_becomes_is_told_to_the_recorder(context: LaunchContext, name: str) -> None:
    asked = {
        "max_bag_size": 1000,
        "max_bag_duration": 60.5,
        "snapshots": "around",
        "snapshot_before_s": 3.0,
        "snapshot_after_s": 2.5,
        "snapshot_max_size": 2000,
    }
    words = {one: f"{value:g}" if isinstance(value, float) else str(value) for one, value in asked.items()}
    given = parameters(
        commands(context, name, record="bags/x", record_all="True", bag="/bag", **words)["recorder_node"]
    )
    assert asked.items() <= given.items()
    assert (given["path"], given["all_topics"]) == ("bags/x", True)
    assert all(type(given[one]) is type(value) for one, value in asked.items())


@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_the_recorder_has_its_own_defaults_where_nothing_is_asked(context: LaunchContext, name: str) -> None:
    given = parameters(commands(context, name, bag="/bag")["recorder_node"])
    assert {key: item.default for key, item in RECORDED.items()}.items() <= given.items()


@pytest.mark.parametrize(
    ("name", "asked", "nodes"),
    [
        ("simulation.launch.py", {}, {"simulator_node", "safety_node", "recorder_node"}),
        ("simulation.launch.py", {"scene": "reach"}, {"simulator_node", *STACK, "recorder_node"}),
        ("robot.launch.py", {}, {"safety_node", "recorder_node"}),
        ("robot.launch.py", {"policy": "True"}, {*STACK, "recorder_node"}),
    ],
)
def test_an_arm_has_the_same_launch_files_and_without_a_policy_fewer_nodes(
    context: LaunchContext, name: str, asked: dict[str, str], nodes: set[str]
) -> None:
    found = commands(context, name, robot="arm", dry_run="true", **asked)
    assert set(found) == nodes
    for node in {"perception_node", "policy_node"} & nodes:
        assert str(parameters(found[node])["bundle"]).endswith("share/tidegate/models/arm-ltc19")
    assert parameters(found["safety_node"])["dry_run"] is True
    for words in found.values():
        assert f"{ROOT}/config/arm.yaml" in [str(Path(word).resolve()) for word in words] or "recorder_node" in nodes
