# SPDX-License-Identifier: Apache-2.0
"""What the real ``ros2 launch`` tells of each launch file's arguments, and how it refuses wrong ones."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("launch_ros")
pytest.importorskip("ros2launch")
pytest.importorskip("torch")

from launched import PATIENCE_S, Launched

LAUNCH_FILES = ["simulation.launch.py", "robot.launch.py", "gazebo.launch.py", "replay.launch.py"]


@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_the_arguments_explain_themselves(environment: dict[str, str], name: str) -> None:
    shown = subprocess.run(
        ["ros2", "launch", "tidegate", name, "-s"], env=environment, capture_output=True, text=True, check=True
    ).stdout
    wanted = {"robot", "params_file", "bundle", "namespace", "use_sim_time", "autostart", "use_respawn", "log_level"}
    wanted |= {"record", "record_all", "max_bag_size", "max_bag_duration", "snapshots", "bond_timeout"}
    wanted |= {"snapshot_before_s", "snapshot_after_s", "snapshot_max_size"}
    wanted |= {"dry_run", "use_rviz", "rviz_config_file", "use_foxglove", "viewers"}
    own = {
        "simulation": {"headless", "scene", "seed", "lock_step", "joystick"},
        "replay": {"bag", "remap", "rate", "clock_hz"},
        "gazebo": {"headless", "scene", "seed", "world", "controllers", "joystick"},
        "robot": {"ros2_control", "controllers", "hardware", "joystick", "policy"},
    }
    wanted |= own[name.partition(".")[0]]
    explained = re.findall(r"^    '(\w+)':\n        (\S.{8,})\n", shown, re.MULTILINE)
    assert wanted == {argument for argument, _ in explained}
    assert len(explained) == len(re.findall(r"^    '", shown, re.MULTILINE))
    assert "no description given" not in shown


@pytest.mark.slow
def test_a_missing_bundle_ends_the_launch_with_its_reason(launch: Callable[..., Launched], tmp_path: Path) -> None:
    launched = launch("robot.launch.py", f"bundle:={tmp_path}/nothing")
    assert launched.process.wait(PATIENCE_S) == 1
    assert f"{tmp_path}/nothing: no such bundle" in launched.said
    assert "/perception_node failed while configuring" in launched.said
    assert "Traceback" not in launched.said


def test_a_word_that_is_neither_true_nor_false_ends_the_launch(launch: Callable[..., Launched]) -> None:
    launched = launch("robot.launch.py", "dry_run:=yes")
    assert launched.process.wait(PATIENCE_S) == 1
    assert "dry_run is 'yes'; it must be true or false" in launched.said
    assert "Traceback" not in launched.said
    assert "process started" not in launched.said
