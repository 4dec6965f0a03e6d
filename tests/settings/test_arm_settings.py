# SPDX-License-Identifier: Apache-2.0
"""An arm's settings: the shipped file loads, every fault is named with file, key, value and what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tidegate.errors import SettingsError
from tidegate.settings import entries
from tidegate.settings.arm import arm_settings_from, load_arm_settings
from tidegate.settings.kind import robot_kind
from tidegate.settings.schema import check
from tidegate.share import share_path


def test_shipped_file_loads() -> None:
    settings = load_arm_settings(share_path("config/arm.yaml"))
    assert settings.arm.name == "arm"
    assert Path(settings.arm.urdf).is_file()
    assert len(settings.arm.joints) == len(settings.safety.motion.jerk) == 7


def test_every_entry_is_declared_with_meaning_and_a_default_inside_its_range() -> None:
    every = list(entries(arm_settings_from({}, "defaults", Path())))
    assert len({entry.key for entry in every}) == len(every) > 30
    for entry in every:
        assert entry.limits.doc
        assert check(entry.default, entry, "default") == entry.default


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"arm": {"joint": ["a"]}}, ["arm.joint", "known here", "joints"]),
        ({"arm": {"joints": []}}, ["arm.joints", "[]", "each once"]),
        ({"arm": {"joints": ["a", "a"]}}, ["arm.joints", "'a', 'a'", "each once"]),
        ({"arm": {"effort_rate": [1.0, 2.0]}}, ["arm.effort_rate", "2 values", "7"]),
        ({"safety": {"motion": {"jerk": [900.0]}}}, ["safety.motion.jerk", "1 values", "7"]),
        ({"arm": {"payload": 0.1, "payload_error": 0.2}}, ["arm.payload_error", "0.2", "0.1 [kg]"]),
        ({"arm": {"command_hold_s": 0.003}}, ["'arm.command_hold_s' is 0.003", "two periods", "0.004 s"]),
        ({"safety": {"surface": {"normal": [0.0, 1.0]}}}, ["safety.surface.normal", "[0.0, 1.0]", "x, y, z"]),
        ({"safety": {"surface": {"normal": [0.0, 0.0, 0.0]}}}, ["safety.surface.normal", "direction"]),
        ({"safety": {"surface": {"static_share": 0.5}}}, ["safety.surface.static_share", "0.5", "0.45"]),
        (
            {"safety": {"motion": {"braking": [5.0, 5.0, 13.0, 5.0, 5.0, 5.0, 5.0]}}},
            ["safety.motion.braking", "joint_3", "less than 13", "acceleration"],
        ),
        ({"safety": {"motion": {"drift": [900.0] * 7}}}, ["safety.motion.drift", "joint_1", "less than 800", "jerk"]),
        ({"safety": {"limits": {"tool_drift": 500.0}}}, ["safety.limits.tool_drift", "500", "less than", "tool_jerk"]),
        ({"arm": {"urdf": "a\0b"}}, ["arm.urdf", "must be a path"]),
        ({"simulator": {"start": [0.1]}}, ["simulator.start", "1 values", "7"]),
    ],
)
def test_a_fault_is_named(values: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        arm_settings_from(values, "file.yaml", Path())
    for word in ("file.yaml", *words):
        assert word in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml: cannot be read"):
        load_arm_settings(tmp_path / "none.yaml")


def test_a_file_tells_which_kind_of_robot_it_describes(tmp_path: Path) -> None:
    assert robot_kind(share_path("config/arm.yaml")) == "arm"
    assert robot_kind(share_path("config/car.yaml")) == "car"
    (tmp_path / "empty.yaml").write_text("/**:\n  ros__parameters:\n", encoding="utf-8")
    assert robot_kind(tmp_path / "empty.yaml") == "car"
    with pytest.raises(SettingsError, match=r"none\.yaml: cannot be read"):
        robot_kind(tmp_path / "none.yaml")
