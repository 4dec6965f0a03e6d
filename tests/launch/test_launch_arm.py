# SPDX-License-Identifier: Apache-2.0
"""The real ``ros2 launch`` with ``robot:=arm``: the same file, fewer nodes, down with a held arm."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("launch_ros")
pytest.importorskip("ros2launch")
pytest.importorskip("pinocchio")

from launched import Launched
from rosbags.highlevel import AnyReader

from tidegate.bag import BagReader

pytestmark = [pytest.mark.real_time, pytest.mark.slow]


def test_an_arm_comes_up_by_the_launch_file_of_the_car_and_goes_down(
    launch: Callable[..., Launched], tmp_path: Path
) -> None:
    """In lock-step, so that a busy machine changes nothing; nobody asks for torques, so that it stays stopped."""
    launched = launch("simulation.launch.py", "robot:=arm", "lock_step:=true", f"record:={tmp_path / 'bag'}")
    launched.wait_for("all nodes are active")
    assert "perception_node" not in launched.said
    launched.wait_for("STOPPED: started; waiting for a reset")
    assert launched.interrupt() == 0, launched.said
    assert "Traceback" not in launched.said
    with AnyReader([tmp_path / "bag"]) as reader:
        topics = {connection.topic for connection in reader.connections}
    assert topics >= {"/joint_states", "/wrench", "/command", "/effort_controller/commands"}


def test_an_arm_in_a_scene_drives_itself(
    launch: Callable[..., Launched], listen: Callable[..., Any], tmp_path: Path
) -> None:
    """With the shipped bundle; in lock-step it does what it was trained for, however busy the machine is."""
    launched = launch(
        *("simulation.launch.py", "robot:=arm", "scene:=press", "seed:=1001", "lock_step:=true"),
        f"record:={tmp_path / 'bag'}",
    )
    listener = listen(lock_step=True)
    launched.wait_for("all nodes are active")

    def done() -> bool:
        truth = listener.newest("truth")
        return truth is not None and truth.values["done"] == 1.0

    listener.until(done, launched)
    assert listener.newest("truth").values["excess"] == 0
    assert launched.interrupt() == 0, launched.said
    assert "Traceback" not in launched.said
    bag = BagReader(tmp_path / "bag")
    assert "offset: 0.25\n" not in bag.contract()["settings"], "where the pad of the scene is, stands there"
