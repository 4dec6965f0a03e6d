# SPDX-License-Identifier: Apache-2.0
"""The real ``ros2 launch`` on a real colcon build: up in order, driving, down safely."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("launch_ros")
pytest.importorskip("ros2launch")
pytest.importorskip("torch")

from launched import ORDER, PATIENCE_S, Launched
from rosbags.highlevel import AnyReader

from tidegate.evaluation.rollout import Task, run_task
from tidegate.messages import decode
from tidegate.records import Mode
from tidegate.share import share_path

pytestmark = pytest.mark.real_time

ROOT = Path(__file__).parents[2]


def test_it_comes_up_drives_and_goes_down_with_a_braked_car(
    launch: Callable[..., Launched], bundle: Path, tmp_path: Path
) -> None:
    """In lock-step, so that a busy machine changes nothing."""
    bag = tmp_path / "bag"
    arguments = (f"bundle:={bundle}", "seed:=1003", "lock_step:=true", f"record:={bag}")
    launched = launch("simulation.launch.py", "headless:=True", *arguments)
    launched.wait_for("[safety_node]: NORMAL")
    driving = 'm.position[list(m.name).index("speed")] > 1.5'
    echo = [
        "ros2",
        "topic",
        "echo",
        "--once",
        "--no-daemon",
        "--filter",
        driving,
        "/truth",
        "sensor_msgs/msg/JointState",
    ]
    subprocess.run(echo, env=launched.environment, stdout=subprocess.DEVNULL, check=True, timeout=120)
    assert launched.interrupt() == 0, launched.said
    assert "Traceback" not in launched.said
    assert "has died" not in launched.said
    assert launched.said.count("process has finished cleanly") == len(ORDER) + 1
    speeds, modes = [], []
    with AnyReader([bag]) as reader:
        for connection, _, data in reader.messages():
            topic = connection.topic.removeprefix("/")
            if topic == "truth":
                speeds.append(decode(topic, reader.deserialize(data, connection.msgtype)).values["speed"])
            elif topic == "safety_node/barriers":
                modes.append(decode(topic, reader.deserialize(data, connection.msgtype)).mode)
    assert max(speeds) > 1.0
    assert abs(speeds[-1]) < 0.1, launched.said
    assert modes[0] == modes[-1] == Mode.STOPPED
    assert Mode.NORMAL in modes
    assert Mode.STOPPING in modes


@pytest.mark.slow
def test_a_launch_that_hears_of_ctrl_c_after_its_nodes_are_down_ends_well(
    launch: Callable[..., Launched], bundle: Path
) -> None:
    launched = launch("simulation.launch.py", f"bundle:={bundle}", "lock_step:=true")
    launched.wait_for("[safety_node]: NORMAL")
    nodes = [launched.pid(node) for node in ORDER]
    os.kill(launched.process.pid, signal.SIGSTOP)
    os.killpg(launched.process.pid, signal.SIGINT)
    end = time.monotonic() + 30
    while not all(Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z" for pid in nodes):
        assert time.monotonic() < end
        time.sleep(0.1)
    os.kill(launched.process.pid, signal.SIGCONT)
    assert launched.process.wait(60) == 0, launched.said
    assert "Traceback" not in launched.said
    assert launched.said.count("process has finished cleanly") == len(ORDER)


def test_a_node_that_dies_takes_the_launch_down_safely(launch: Callable[..., Launched], bundle: Path) -> None:
    arguments = (f"bundle:={bundle}", "namespace:=left", "lock_step:=True", "use_rviz:=true", "use_foxglove:=True")
    launched = launch("simulation.launch.py", *arguments, "record:=False")
    launched.wait_for("[left.safety_node]: NORMAL")
    assert "recorder_node" not in launched.said
    if shutil.which("rviz2") is None:
        assert "RViz is not started: rviz2, robot_state_publisher not installed" in launched.said
    prefixes = launched.environment["AMENT_PREFIX_PATH"].split(os.pathsep)
    if not any(Path(prefix, "share", "foxglove_bridge").is_dir() for prefix in prefixes):
        assert "Foxglove's bridge is not started: foxglove_bridge not installed" in launched.said
    os.kill(launched.pid("saliency_node"), signal.SIGKILL)  # nobody drives by it
    launched.wait_for("[ERROR] [saliency_node")
    assert "ended by itself" not in launched.said
    os.kill(launched.pid("policy_node"), signal.SIGKILL)
    assert launched.process.wait(PATIENCE_S) == 1
    assert "ended by itself with code -9" in launched.said
    assert re.search(r"safety_node-\d\]: process has finished cleanly", launched.said)


@pytest.mark.slow
def test_a_recorder_that_dies_is_told_of_and_stops_nobody(
    launch: Callable[..., Launched], bundle: Path, tmp_path: Path
) -> None:
    arguments = (f"bundle:={bundle}", "lock_step:=true", f"record:={tmp_path}/bag", "max_bag_size:=100000")
    launched = launch("simulation.launch.py", *arguments)
    launched.wait_for("[safety_node]: NORMAL")
    os.kill(launched.pid("recorder_node"), signal.SIGKILL)
    launched.wait_for("ended by itself with code -9; nothing is recorded any more")
    assert re.search(r"\[ERROR\] \[launch.user\]: recorder_node-\d+ ended by itself", launched.said)
    latched = ["--qos-durability", "transient_local", "--qos-reliability", "reliable"]
    heard = subprocess.run(
        ["ros2", "topic", "echo", "--once", "--no-daemon", *latched, "--filter", '"nothing is" in m.status[0].message',
         "/diagnostics", "diagnostic_msgs/msg/DiagnosticArray"],
        env=launched.environment, capture_output=True, text=True, check=True, timeout=120,
    ).stdout  # fmt: skip
    assert "recorder_node: recording" in heard
    assert launched.process.poll() is None
    os.killpg(launched.process.pid, signal.SIGINT)
    assert launched.process.wait(60) == 0, launched.said
    assert len(list((tmp_path / "bag").glob("*.mcap"))) > 1


@pytest.mark.slow
def test_a_recorded_drive_goes_through_the_live_stack_and_ends_the_launch(
    launch: Callable[..., Launched], bundle: Path, tmp_path: Path
) -> None:
    """A bag of a simulated drive; what comes out is recorded in the namespace ``replay``."""
    played, again = tmp_path / "played", tmp_path / "again"
    settings = str(share_path("config/car.yaml"))
    run_task(Task(settings, str(bundle), "road", 1003, record=str(played), longest_s=2.0))
    launched = launch("replay.launch.py", f"bundle:={bundle}", f"bag:={played}", f"record:={again}", "rate:=0.5")
    assert launched.process.wait(PATIENCE_S) == 0, launched.said
    assert "the bag has ended" in launched.said
    assert "Traceback" not in launched.said
    assert launched.said.count("process has finished cleanly") == 5
    with AnyReader([again]) as reader:
        counts = {topic: found.msgcount for topic, found in reader.topics.items()}
    assert counts["/replay/lane"] > 10
    assert counts["/replay/command"] > 100
    assert "/command" not in counts
    check = ["tidegate", "replay", str(again), "--bundle", str(bundle)]
    checked = subprocess.run(check, env=launched.environment, capture_output=True, text=True, check=False, timeout=120)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.slow
@pytest.mark.parametrize("player", ["tidegate replay", "ros2 bag play"])
def test_without_a_bag_somebody_else_plays_it(
    launch: Callable[..., Launched], bundle: Path, tmp_path: Path, player: str
) -> None:
    """By the command that docs/replay.md gives."""
    if player == "ros2 bag play" and find_spec("ros2bag") is None:
        pytest.skip("ros2 bag is absent")
    page = (ROOT / "docs" / "replay.md").read_text("utf-8").replace("\\\n", " ")
    live = "--live" if player == "tidegate replay" else "--clock"
    (command,) = [line for line in page.splitlines() if line.startswith(f"{player} ") and live in line]
    again = tmp_path / "again"
    launched = launch("replay.launch.py", f"bundle:={bundle}", f"record:={again}")
    launched.wait_for("all nodes are active")
    played = command.partition("#")[0].replace("BAG", str(ROOT / "tests" / "golden" / "road"))
    subprocess.run(shlex.split(played), cwd=ROOT, env=launched.environment, check=True, timeout=120)
    os.killpg(launched.process.pid, signal.SIGINT)
    assert launched.process.wait(60) == 0, launched.said
    assert "player_node" not in launched.said
    with AnyReader([again]) as reader:
        counts = {topic: found.msgcount for topic, found in reader.topics.items()}
    assert counts["/replay/lane"] > 10
    assert counts["/replay/command"] > 100
    assert "/command" not in counts


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gz") is None, reason="Gazebo (gz) is absent")
def test_the_car_drives_in_gazebo(launch: Callable[..., Launched]) -> None:
    """The shipped network may stop on pictures that it does not know; that it is released and moves is asked here."""
    launched = launch("gazebo.launch.py", "seed:=7")
    launched.wait_for("[safety_node]: NORMAL")
    echo = ["ros2", "topic", "echo", "--once", "--no-daemon", "--filter", "m.twist.twist.linear.x > 0.5", "/odom"]
    subprocess.run(echo, env=launched.environment, stdout=subprocess.DEVNULL, check=True, timeout=120)
    os.killpg(launched.process.pid, signal.SIGINT)
    assert launched.process.wait(60) == 0, launched.said
