# SPDX-License-Identifier: Apache-2.0
"""Settings: the shipped file loads, every fault is named with file, key, value and what is allowed."""

from __future__ import annotations

import importlib
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import SettingsError
from tidegate.registry import barriers
from tidegate.settings import Entry, adjusted, check_change, entries, load_settings, setting, settings_from
from tidegate.settings.barriers import BUILT_IN
from tidegate.settings.schema import check
from tidegate.share import share_path

ENTRIES = list(entries(settings_from({}, "defaults", Path())))


def write(path: Path, values: Any) -> Path:
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": values}}), encoding="utf-8")
    return path


def test_shipped_file_loads() -> None:
    settings = load_settings(share_path("config/car.yaml"))
    assert settings.vehicle.name == "car"
    assert Path(settings.vehicle.urdf).is_file()


def test_every_entry_is_declared_with_meaning_and_a_default_inside_its_range() -> None:
    assert len({entry.key for entry in ENTRIES}) == len(ENTRIES)
    for entry in ENTRIES:
        assert entry.limits.doc
        assert check(entry.default, entry, "default") == entry.default


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"vehicle": {"speed_maxx": 3.0}}, ["vehicle.speed_maxx", "speed_max"]),
        ({"vehicles": {}}, ["vehicles", "vehicle"]),
        ({"vehicle": {"speed_max": "fast"}}, ["vehicle.speed_max", "'fast'", "m/s"]),
        ({"vehicle": {"speed_max": -1.0}}, ["vehicle.speed_max", "-1.0", "0.1 to 100"]),
        ({"vehicle": {"speed_max": math.nan}}, ["vehicle.speed_max", "nan"]),
        ({"safety": {"speed_margin": math.inf}}, ["safety.speed_margin", "inf", "a finite number [m/s]"]),
        ({"safety": {"lane": {"half_width": 167.5}}}, ["safety.lane.half_width", "167.5", "0.5 to 10 [m]"]),
        ({"vehicle": {"speed_max": True}}, ["vehicle.speed_max", "True"]),
        ({"vehicle": {"driven": "rear"}}, ["vehicle.driven", "list"]),
        ({"vehicle": 3}, ["vehicle", "mapping"]),
        ({"camera": {"topic": "/front image"}}, ["camera.topic", "'/front image'", "front/image_raw/compressed"]),
        ({"camera": {"topic": "/compressed"}}, ["camera.topic", "'/compressed'", "name of a topic"]),
        ({"camera": {"topic": "~/image"}}, ["camera.topic", "'~/image'", "name of a topic"]),
        ({"camera": {"width": 1.5}}, ["camera.width", "whole number"]),
        ({"camera": {"rate_hz": 10}}, ["safety.camera_timeout_s", "0.09", "longer", "0.1 s", "camera.rate_hz"]),
        ({"safety": {"filter": {"gain_default": 4.1}}}, ["safety.filter.gain_default", "4.1", "0.5 to 4"]),
        ({"safety": {"filter": {"gain_default": 0.4}}}, ["safety.filter.gain_default", "0.4", "0.5 to 4"]),
        ({"policy": {"solver": "rk4"}}, ["policy.solver", "'rk4'", "one of fused_euler, exponential_midpoint"]),
        (
            {"policy": {"cell": "cfc", "solver": "exponential_midpoint"}},
            ["'policy.solver' is 'exponential_midpoint'", "it must be fused_euler", "no solver"],
        ),
        (
            {"joystick": {"reset_button": 4}},
            ["'joystick.reset_button' is 4", "'joystick.dead_man_button'", "of its own"],
        ),
        ({"policy": {"gain_low": 4.1}}, ["policy.gain_high", "is 4", "policy.gain_low", "4.1"]),
        ({"policy": {"gain_high": 10}, "safety": {"rate_hz": 10}}, ["policy.gain_high", "is 10", "rate_hz"]),
    ],
)
def test_a_fault_is_refused_and_named(tmp_path: Path, values: Any, words: list[str]) -> None:
    path = write(tmp_path / "robot.yaml", values)
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    message = str(caught.value)
    assert "\n" not in message
    for word in [str(path), *words]:
        assert word in message


@pytest.mark.parametrize(
    ("barriers", "words"),
    [
        (["lane"], ["safety.barriers", "['lane']", "mapping"]),
        ({"walls": {}}, ["safety.barriers.walls", "empty", "{type: walls}"]),
        ({"lane": {}}, ["safety.barriers.lane", "empty", "{type: lane}"]),
        ({"walls": 3}, ["safety.barriers.walls", "3", "mapping"]),
        ({"two walls": {"type": "lane"}}, ["safety.barriers.two walls", "underscores"]),
        ({7: {"type": "lane"}, "walls": {"type": "lane"}}, ["safety.barriers.7", "underscores"]),
        ({"walls": {"enabled": True}}, ["safety.barriers.walls.type", "'walls'", "curve, distance"]),
        ({"keep": {"type": ["lane"]}}, ["safety.barriers.keep.type", "['lane']", "curve, distance"]),
        ({"keep": {"type": "distance", "gap": 1.0}}, ["safety.barriers.keep.gap", "extra_gap"]),
        ({"keep": {"type": "lane", "extra_gap": 1.0}}, ["safety.barriers.keep.extra_gap", "enabled"]),
        ({"distance": {"extra_gap": -1}}, ["safety.barriers.distance.extra_gap", "-1", "0 to 50 [m]"]),
        ({"lane": {"enabled": "no"}}, ["safety.barriers.lane.enabled", "'no'", "true or false"]),
    ],
)
def test_a_barrier_that_cannot_be_is_refused_and_named(tmp_path: Path, barriers: Any, words: list[str]) -> None:
    test_a_fault_is_refused_and_named(tmp_path, {"safety": {"barriers": barriers}}, words)


@pytest.mark.parametrize("text", ["", "[1, 2", "/**: 3", "other: {}", "\x00"])
def test_what_is_no_parameter_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "robot.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"robot\.yaml"):
        load_settings(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("vehicle: {speed_max: 8.0}\n    vehicle: {name: car}", "line 4: 'vehicle' stands here twice"),
        ("vehicle: {speed_max: 8.0, speed_max: 16.5}", "line 3: 'speed_max' stands here twice"),
    ],
)
def test_a_key_that_stands_twice_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "robot.yaml"
    path.write_text(f"/**:\n  ros__parameters:\n    {text}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=said):
        load_settings(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml"):
        load_settings(tmp_path / "none.yaml")


@given(st.sampled_from([entry for entry in ENTRIES if entry.type in (int, float)]), st.floats(allow_nan=True))
def test_a_number_is_taken_exactly_when_it_is_in_range(entry: Entry, value: float) -> None:
    whole = math.isfinite(value) and (entry.type is float or value == int(value))
    if whole and entry.limits.low <= value <= entry.limits.high:
        assert check(value, entry, "here") == value
    else:
        with pytest.raises(SettingsError):
            check(value, entry, "here")


def test_defaults_make_valid_settings(tmp_path: Path) -> None:
    assert settings_from({}, "nothing", tmp_path).safety.rate_hz > 0


def test_a_file_adds_barriers_to_the_built_in_ones_in_an_order_of_their_own(tmp_path: Path) -> None:
    own = {"zz": {"type": "lane"}, "aa": {"type": "distance", "extra_gap": 3}, "sight": {"enabled": False}}
    made = load_settings(write(tmp_path / "robot.yaml", {"safety": {"barriers": own}})).safety.barriers
    backwards = {"safety": {"barriers": dict(reversed(own.items()))}}
    turned = load_settings(write(tmp_path / "turned.yaml", backwards)).safety.barriers
    assert list(made) == list(turned) == [*BUILT_IN, "aa", "zz"]
    assert [one.type for one in made.values()] == [*BUILT_IN, "distance", "lane"]
    assert [name for name, one in made.items() if not one.enabled] == ["sight"]
    assert made["aa"].extra_gap == 3.0  # type: ignore[attr-defined]
    assert made["distance"].extra_gap == 0.0  # type: ignore[attr-defined]


def test_the_built_in_barriers_are_all_that_are_registered_with_the_parameters_of_their_types() -> None:
    importlib.import_module("tidegate.safety")
    registered = {name: barriers[name] for name in barriers}
    own = {name: kind.Parameters for name, kind in registered.items() if kind.__module__.startswith("tidegate.")}
    assert own == BUILT_IN


def test_who_only_reads_the_shipped_file_does_not_load_the_filter() -> None:
    script = (
        "import sys; from tidegate.settings import load_settings; from tidegate.share import share_path;"
        "load_settings(share_path('config/car.yaml')); sys.exit('tidegate.safety' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


CAR = share_path("config/car.yaml")
LIVE = {entry.key: entry for entry in entries(load_settings(CAR))}


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("vehicle.speed_max", 8.0, ""),
        ("vehicle.speed_max", 16.5, ""),
        ("vehicle.speed_max", 17, "'vehicle.speed_max' is 17; it must be at most 16.5 [m/s], as in the file"),
        ("safety.distance.standstill_gap", 9.0, ""),
        ("safety.distance.standstill_gap", 3.0, "is 3.0; it must be at least 4 [m], as in the file"),
        ("safety.distance.standstill_gap", 30.0, "is 30.0; it must be 0.5 to 20 [m]"),
        ("safety.filter.gain_default", 50.0, ""),
        ("safety.filter.gain_default", math.nan, "is nan; it must be 0.01 to 50 [1/s]"),
        ("safety.barriers.distance.extra_gap", 1, ""),
        ("safety.rate_hz", 100.0, "'safety.rate_hz' is 100.0; it is fixed while the robot runs, change it in the file"),
    ],
)
def test_a_change_at_run_time_only_tightens_and_says_what_else_is_allowed(key: str, value: float, said: str) -> None:
    if said:
        with pytest.raises(SettingsError, match=re.escape(said)):
            check_change(value, LIVE[key])
    else:
        assert check_change(value, LIVE[key]) == value


def test_adjusted_settings_differ_in_what_was_changed_alone() -> None:
    made = load_settings(CAR)
    changed = {"vehicle.speed_max": 8.0, "safety.barriers.distance.extra_gap": 2, "safety.distance.side_margin": 0.5}
    other = {entry.key: entry.value for entry in entries(adjusted(made, changed))}
    assert {key for key, value in other.items() if value != LIVE[key].value} == changed.keys()
    assert {key: other[key] for key in changed} == changed
    assert isinstance(other["safety.barriers.distance.extra_gap"], float)
    assert adjusted(made, {}) == made
    with pytest.raises(SettingsError, match=r"there is no 'vehicle\.speed' in these settings"):
        adjusted(made, {"vehicle.speed": 1.0})
    with pytest.raises(SettingsError, match=r"'vehicle\.speed_max' is 0\.0; it must be 0\.1 to 100"):
        adjusted(made, {"vehicle.speed_max": 0.0})


@pytest.mark.parametrize("default", [True, "fast", (1.0, 2.0)])
def test_only_numbers_can_be_declared_to_change_at_run_time(default: object) -> None:
    with pytest.raises(SettingsError, match="it must be a number"):
        setting(default, "", "something", live="range")
