# SPDX-License-Identifier: Apache-2.0
"""The settings file with what a scene tells the filter: the scene's settings, and the user's beside them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

pytest.importorskip("mujoco")

from tidegate.errors import SceneError
from tidegate.settings.arm import load_arm_settings
from tidegate.share import share_path
from tidegate.simulation.arm import ARM_SCENES, make_arm_scene
from tidegate.simulation.arm.told import write_told

FILE = share_path("config/arm.yaml")


@pytest.mark.parametrize("scene", sorted(ARM_SCENES))
@pytest.mark.parametrize("seed", [0, 1007])
def test_who_reads_it_has_the_scenes_settings_and_makes_the_same_scene_of_them(
    scene: str, seed: int, tmp_path: Path
) -> None:
    told = load_arm_settings(write_told(FILE, scene, seed, tmp_path))
    first = make_arm_scene(scene, load_arm_settings(FILE), seed)
    again = make_arm_scene(scene, told, seed)
    assert told == first.settings == again.settings
    first.show(first.start, 1.0)
    again.show(again.start, 1.0)
    assert first.goal().place.tolist() == again.goal().place.tolist()
    assert first.goal().force == again.goal().force


def test_what_the_user_has_in_the_file_stays(tmp_path: Path) -> None:
    document = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    document["/**"]["ros__parameters"]["arm"] |= {"urdf": str(share_path("urdf/arm.urdf.xacro")), "name": "left"}
    document["my_node"] = {"ros__parameters": {"own": 3}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    path = write_told(tmp_path / "mine.yaml", "wipe", 3, tmp_path)
    assert path == tmp_path / "wipe.yaml"
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["my_node"] == {"ros__parameters": {"own": 3}}
    told = load_arm_settings(path)
    assert told.arm.name == "left"
    assert told.safety.limits.tool_speed_max == 0.5


def test_a_scene_that_is_none_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="'road'"):
        write_told(FILE, "road", 0, tmp_path)
    assert not list(tmp_path.iterdir())
