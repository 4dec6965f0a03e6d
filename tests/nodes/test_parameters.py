# SPDX-License-Identifier: Apache-2.0
"""Settings as ROS parameters: every one is declared, described and judged by the settings layer."""

import math
from pathlib import Path
from typing import Any

import pytest
import rclpy
import yaml
from plant import CAR_YAML
from rcl_interfaces.msg import ParameterType
from rclpy.executors import Executor
from rclpy.parameter import Parameter

from tidegate.errors import SettingsError
from tidegate.nodes.policy_node import PolicyNode
from tidegate.nodes.safety_node import SafetyNode
from tidegate.settings import Settings, entries, load_settings
from tidegate.share import share_path

TYPES = {
    float: ParameterType.PARAMETER_DOUBLE,
    int: ParameterType.PARAMETER_INTEGER,
    str: ParameterType.PARAMETER_STRING,
    bool: ParameterType.PARAMETER_BOOL,
    tuple[float, ...]: ParameterType.PARAMETER_DOUBLE_ARRAY,
    tuple[str, ...]: ParameterType.PARAMETER_STRING_ARRAY,
}


def changed(folder: Path, key: str, value: Any) -> list[str]:
    """Arguments of a node whose file is the car's with one key changed; a copy beside the same URDF."""
    document = yaml.safe_load(CAR_YAML.read_text())
    place = document["/**"]["ros__parameters"]
    *sections, last = key.split(".")
    for section in sections:
        place = place.setdefault(section, {})
    place[last] = value
    document["/**"]["ros__parameters"]["vehicle"]["urdf"] = str(share_path("urdf/car.urdf.xacro"))
    path = folder / "changed.yaml"
    path.write_text(yaml.safe_dump(document))
    return ["--ros-args", "--params-file", str(path)]


def made(arguments: list[str]) -> SafetyNode:
    return SafetyNode(arguments)


def test_every_setting_is_a_described_parameter(ros: Executor, settings: Settings) -> None:
    node = made(["--ros-args", "--params-file", str(CAR_YAML)])
    for entry in entries(settings):
        described = node.describe_parameter(entry.key)
        assert described.type == TYPES[entry.type], entry.key
        assert entry.limits.doc in described.description
        assert f"[{entry.limits.unit}]" in described.description or not entry.limits.unit
        assert described.read_only == (entry.limits.live == "fixed")
        for ranges in (described.floating_point_range, described.integer_range):
            if ranges and math.isfinite(entry.limits.low):
                assert ranges[0].from_value == entry.limits.low
            if ranges and math.isfinite(entry.limits.high):
                assert ranges[0].to_value == entry.limits.high
        present = node.get_parameter(entry.key).value
        assert (tuple(present) if isinstance(entry.value, tuple) else present) == entry.value, entry.key
    assert node.settings == settings
    node.destroy_node()


def test_a_barrier_that_a_file_adds_is_described_and_its_parameters_reach_the_node(
    ros: Executor, tmp_path: Path
) -> None:
    node = made(changed(tmp_path, "safety.barriers.keep_gap", {"type": "distance", "extra_gap": 3}))
    assert node.get_parameter("safety.barriers.keep_gap.type").value == "distance"
    described = node.describe_parameter("safety.barriers.keep_gap.extra_gap")
    assert described.description.endswith("[m]")
    assert described.floating_point_range[0].to_value == 50.0
    assert node.settings == load_settings(tmp_path / "changed.yaml")
    node.destroy_node()


def test_a_setting_cannot_change_under_way(ros: Executor) -> None:
    node = made(["--ros-args", "--params-file", str(CAR_YAML)])
    (result,) = node.set_parameters([Parameter("safety.rate_hz", value=100.0)])
    assert not result.successful
    assert "read-only" in result.reason
    node.destroy_node()


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("vehicle.speed_max", 8.0, ""),
        ("vehicle.speed_max", 16.5, ""),
        ("vehicle.speed_max", 16.6, "'vehicle.speed_max' is 16.6; it must be at most 16.5 [m/s], as in the file"),
        ("vehicle.speed_max", 0.0, "0.1"),
        ("safety.filter.gain_default", 0.5, ""),
        ("safety.filter.gain_default", 60.0, "50"),
    ],
)
def test_what_may_change_at_run_time_is_judged_by_the_table(ros: Executor, key: str, value: float, told: str) -> None:
    node = made(["--ros-args", "--params-file", str(CAR_YAML)])
    (result,) = node.set_parameters([Parameter(key, value=value)])
    assert result.successful == (not told)
    assert told in result.reason
    node.destroy_node()


def test_a_node_that_does_not_heed_a_setting_does_not_take_a_change_of_it(ros: Executor) -> None:
    node = PolicyNode(["--ros-args", "--params-file", str(CAR_YAML)])
    (result,) = node.set_parameters([Parameter("vehicle.speed_max", value=8.0)])
    assert not result.successful
    node.destroy_node()


def test_a_parameter_of_the_node_can_change_until_it_is_configured(ros: Executor) -> None:
    node = made(["--ros-args", "--params-file", str(CAR_YAML)])
    wish = [Parameter("dry_run", value=True)]
    assert node.set_parameters(wish)[0].successful
    node.trigger_configure()
    (result,) = node.set_parameters([Parameter("dry_run", value=False)])
    assert not result.successful
    assert result.reason == "'dry_run' is read when the node is configured; clean it up first"
    node.trigger_cleanup()
    assert node.set_parameters([Parameter("dry_run", value=False)])[0].successful
    node.destroy_node()


def test_an_integer_serves_as_a_double(ros: Executor, tmp_path: Path) -> None:
    node = made(changed(tmp_path, "vehicle.drive_effort_max", 500))
    assert node.get_parameter("vehicle.drive_effort_max").value == 500.0
    assert node.settings.vehicle.drive_effort_max == 500.0
    node.destroy_node()


def test_integers_serve_as_a_list_of_doubles(ros: Executor, tmp_path: Path) -> None:
    node = made(changed(tmp_path, "perception.preview_m", [0, 10, 20, 30]))
    assert list(node.get_parameter("perception.preview_m").value) == [0.0, 10.0, 20.0, 30.0]
    node.destroy_node()


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("vehicle.drive_efort_max", 500.0, "drive_efort_max"),
        ("vehicel.speed_max", 5.0, "vehicel"),
        ("speed_max", 5.0, "speed_max"),
        ("vehicle.speed_max", "fast", "'fast'"),
        ("vehicle.speed_max", 1e6, "0.1 to 100"),
        ("vehicle.speed_max", True, "True"),
        ("perception.input_width", 33.5, "33.5"),
        ("policy.cell", "lstm", "one of ltc, cfc"),
        ("safety", 5, "safety"),
        ("safety.barriers.keep_gap.type", "walls", "one of curve, distance"),
        ("safety.barriers.keep_gap", {"type": "distance", "extra_gap": -3.0}, "0 to 50 [m]"),
        ("safety.barriers.lane.extra_gap", 3.0, "known here: enabled, type"),
        ("lock_step", 1, "lock_step"),
    ],
)
def test_what_is_wrong_is_refused_with_file_key_value(
    ros: Executor, tmp_path: Path, key: str, value: Any, told: str
) -> None:
    arguments = changed(tmp_path, key, value)
    with pytest.raises(SettingsError) as caught:
        made(arguments)
    looker = rclpy.create_node("looker")
    assert looker.get_node_names() == ["looker"]  # what is refused leaves nothing in the domain
    looker.destroy_node()
    assert "changed.yaml" in str(caught.value)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_relative_urdf_is_found_beside_the_file(ros: Executor) -> None:
    node = made(["--ros-args", "--params-file", str(CAR_YAML)])
    assert Path(node.get_parameter("vehicle.urdf").value) == share_path("urdf/car.urdf.xacro").resolve()
    node.destroy_node()
