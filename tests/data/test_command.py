# SPDX-License-Identifier: Apache-2.0
"""The commands as a user types them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml
from foreign_bags import bag
from tubs import jpeg, tub, views
from typer.testing import CliRunner

from tidegate.cli.app import app
from tidegate.errors import DataError, DependencyError, SettingsError

VEHICLE = ["--set", "wheelbase_m=0.17", "--set", "full_lock_deg=25", "--set", "full_throttle_mps=3"]
LAG = ["--set", "throttle_lag_s=0.5"]


def run(*words: str | Path) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a tub, a bag and its map, as docs/data.md has them."""
    path = tub(tmp_path / "tub", 80, deleted=[70])
    (path / "images" / "20_cam_image_array_.jpg").write_bytes(b"")
    (path / "images" / "21_cam_image_array_.jpg").write_bytes(jpeg(views(2)[0])[:100])
    bag(tmp_path / "bag")
    channels = {
        "yaw_rate": {"key": "/cmd_vel", "fields": ["twist.angular.z"]},
        "speed_command": {"key": "/cmd_vel", "fields": ["twist.linear.x"]},
    }
    (tmp_path / "map.yaml").write_text(yaml.safe_dump({"channels": channels}), "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_of_the_page(place: Path) -> None:
    told = run("import", "tub", "out/tub", *VEHICLE, *LAG)
    assert "tub: donkeycar tub v2 → 1 bag(s) in out/tub, 77 frames, 4.0 s" in told
    assert [line.split() for line in told.splitlines() if "picture is" in line] == [
        ["left", "out", "1", "picture", "is", "empty"],
        ["1", "picture", "is", "corrupt"],
    ]
    assert "skipped       1  deleted by its owner" in told
    assert "bag: rosbag2 → 1 bag(s) in out/bag, 60 frames" in run("import", "bag", "out/bag", "--topics", "map.yaml")
    told = run("info", "out/tub/drive-0000")
    assert "contract imported from: donkeycar tub v2 'tub'" in told
    assert "/expert/nominal" in told
    pytest.importorskip("pyarrow", reason="pip install 'tidegate[data]'")
    told = run("export-dataset", "out/tub/drive-0000", "out/set")
    assert "out/set: 1 episode(s), 80 frames at 20 Hz (3 repeat the picture before, 0 pictures were left out" in told


def test_without_its_packages_a_lerobot_data_set_says_what_to_install(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "set" / "meta").mkdir(parents=True)
    (place / "set" / "meta" / "info.json").write_text("{}", "utf-8")
    for name in ("pyarrow", "tidegate.data.lerobot", "tidegate.data.video"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DependencyError, match=r"need pyarrow and av .*pip install 'tidegate\[data\]'"):
        run("import", "set", "out/set")


def test_what_is_missing_is_asked_for_by_name(place: Path) -> None:
    with pytest.raises(DataError, match="give it with --set throttle_lag_s="):
        run("import", "tub", "out/tub", *VEHICLE)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("wheelbase=0.17", "--set: unknown key 'wheelbase'; known here: .*wheelbase_m"),
        ("wheelbase_m", "--set 'wheelbase_m': must be of the form wheelbase_m=0.17"),
        ("wheelbase_m=short", "'wheelbase_m' is 'short'; it must be a number"),
        ("full_lock_deg=100", "'full_lock_deg' is 100.0; it must be 0 to 80"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(rule: str, said: str, place: Path) -> None:
    with pytest.raises(SettingsError, match=said):
        run("import", "tub", "out/tub", "--set", rule)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("channels: {sped: /odom}", "map.yaml: unknown key 'channels.sped'; known here: angle, steering"),
        ("channels: {speed: {fields: [x]}}", "'channels.speed' names no 'key'"),
        ("channels: 3", "'channels' is 3; it must be a mapping"),
        ("clock: wall", "'clock' is 'wall'; it must be one of header, receipt"),
        ("vehicle: {wheelbase_m: -1}", "'vehicle.wheelbase_m' is -1; it must be 0 to 20"),
        ("a: [", "map.yaml: is no YAML"),
        ("- 1", "'the document' is .*; it must be a mapping"),
    ],
)
def test_a_map_that_cannot_be_is_refused(text: str, said: str, place: Path) -> None:
    (place / "map.yaml").write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=said):
        run("import", "bag", "out/bag", "--topics", "map.yaml")


def test_a_map_that_is_not_there(place: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml: cannot be read"):
        run("import", "bag", "out/bag", "--topics", "none.yaml")
