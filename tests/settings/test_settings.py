# SPDX-License-Identifier: Apache-2.0
"""Settings: the shipped file loads, every fault is named with file, key, value and what is allowed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import SettingsError
from tidegate.settings import Entry, Settings, entries, load_settings, settings_from
from tidegate.settings.schema import check
from tidegate.share import share_path

ENTRIES = list(entries(Settings))


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
        ({"vehicle": {"speed_max": True}}, ["vehicle.speed_max", "True"]),
        ({"vehicle": {"driven": "rear"}}, ["vehicle.driven", "list"]),
        ({"vehicle": 3}, ["vehicle", "mapping"]),
        ({"camera": {"width": 1.5}}, ["camera.width", "whole number"]),
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


@pytest.mark.parametrize("text", ["", "[1, 2", "/**: 3", "other: {}", "\x00"])
def test_what_is_no_parameter_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "robot.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"robot\.yaml"):
        load_settings(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml"):
        load_settings(tmp_path / "none.yaml")


@given(st.sampled_from([entry for entry in ENTRIES if entry.type in (int, float)]), st.floats(allow_nan=True))
def test_a_number_is_taken_exactly_when_it_is_in_range(entry: Entry, value: float) -> None:
    whole = entry.type is float or (math.isfinite(value) and value == int(value))
    if whole and entry.limits.low <= value <= entry.limits.high:
        assert check(value, entry, "here") == value
    else:
        with pytest.raises(SettingsError):
            check(value, entry, "here")


def test_defaults_make_valid_settings(tmp_path: Path) -> None:
    assert settings_from({}, "nothing", tmp_path).safety.rate_hz > 0
