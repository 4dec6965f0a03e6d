# SPDX-License-Identifier: Apache-2.0
"""The real ``ros2 launch`` on a real colcon build: up in order, driving, down safely."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("launch_ros")
pytest.importorskip("ros2launch")
pytest.importorskip("torch")

from rosbags.highlevel import AnyReader

from tidegate.evaluation.rollout import Task, run_task
from tidegate.messages import decode
from tidegate.records import Mode
from tidegate.robot import Car
from tidegate.settings import load_settings
from tidegate.share import share_path

ROOT = Path(__file__).parents[2]
ORDER = ("simulator_node", "perception_node", "policy_node", "safety_node")
PATIENCE_S = 120.0
STALL_S = 1.5
"""How long a busy machine may keep a process waiting: longer than a second has been seen."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A fresh colcon build in a folder of its own, sourced."""
    colcon = shutil.which("colcon", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if colcon is None:
        pytest.skip("colcon is absent")
    place = tmp_path_factory.mktemp("workspace")
    build = [colcon, "--log-base", str(place / "log"), "build", "--base-paths", str(ROOT)]
    subprocess.run(build, cwd=place, check=True, capture_output=True)
    installed = place / "install" / "tidegate"
    (site,) = installed.glob("lib/python*/site-packages")
    prefixes = [str(installed), *filter(None, [os.environ.get("AMENT_PREFIX_PATH"), sys.prefix])]
    return {
        **os.environ,
        "AMENT_PREFIX_PATH": os.pathsep.join(prefixes),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")])),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "ROS_DOMAIN_ID": str(random.SystemRandom().randint(100, 199) // 2),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_LOG_DIR": str(place / "ros"),
        "RCUTILS_COLORIZED_OUTPUT": "0",
    }


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    from tidegate.stack import Stack

    settings = load_settings(share_path("config/car.yaml"))
    mass = Car.from_settings(settings).effective_mass
    Stack.from_settings(settings, 0).to_bundle("random", settings, mass).save(tmp_path / "bundle")
    return tmp_path / "bundle"


class Launched:
    """``ros2 launch`` in a process group of its own, as a terminal would make it."""

    def __init__(self, environment: dict[str, str], log: Path, *arguments: str) -> None:
        self._log, self.environment = log, environment
        with log.open("w") as stream:
            self.process = subprocess.Popen(
                ["ros2", "launch", "tidegate", *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self._log.read_text()

    def wait_for(self, text: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while text not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < end, self.said
            time.sleep(0.1)

    def pid(self, node: str) -> int:
        """Of the process of ``node``."""
        (pid,) = re.findall(rf"\[{node}-\d\]: process started with pid \[(\d+)\]", self.said)
        return int(pid)

    def interrupt(self) -> int:
        """Ctrl-C on a busy machine: the terminal sends SIGINT to the whole group, of which some come to it late."""
        late = (self.process.pid, self.pid("simulator_node"))
        for pid in late:
            os.kill(pid, signal.SIGSTOP)
        os.killpg(self.process.pid, signal.SIGINT)
        time.sleep(STALL_S)
        for pid in late:
            os.kill(pid, signal.SIGCONT)
        return self.process.wait(60)


@pytest.fixture
def launch(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    made: list[Launched] = []

    def start(*arguments: str) -> Launched:
        made.append(Launched(environment, tmp_path / f"launch{len(made)}.log", *arguments))
        return made[-1]

    yield start
    for one in made:
        if one.process.poll() is None:
            os.killpg(one.process.pid, signal.SIGKILL)
            one.process.wait()


@pytest.mark.parametrize("name", ["simulation.launch.py", "robot.launch.py", "replay.launch.py"])
def test_the_arguments_explain_themselves(environment: dict[str, str], name: str) -> None:
    shown = subprocess.run(
        ["ros2", "launch", "tidegate", name, "-s"], env=environment, capture_output=True, text=True, check=True
    ).stdout
    wanted = ["robot", "namespace", "use_sim_time", "params_file", "bundle", "autostart", "log_level", "record"]
    own = {"simulation": ["headless", "scene", "seed", "lock_step"], "replay": ["bag", "rate", "clock_hz"]}
    wanted += own.get(name.partition(".")[0], [])
    assert re.findall(r"^    '(\w+)':", shown, re.MULTILINE) == wanted


def test_it_comes_up_drives_and_goes_down_with_a_braked_car(
    launch: Callable[..., Launched], bundle: Path, tmp_path: Path
) -> None:
    """In lock-step, so that a busy machine changes nothing."""
    bag = tmp_path / "bag"
    arguments = (f"bundle:={bundle}", "seed:=1003", "lock_step:=true", f"record:={bag}")
    launched = launch("simulation.launch.py", "headless:=true", *arguments)
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


def test_a_missing_bundle_ends_the_launch_with_its_reason(launch: Callable[..., Launched], tmp_path: Path) -> None:
    launched = launch("robot.launch.py", f"bundle:={tmp_path}/nothing")
    assert launched.process.wait(PATIENCE_S) == 1
    assert f"{tmp_path}/nothing: no such bundle" in launched.said
    assert "/perception_node failed while configuring" in launched.said
    assert "Traceback" not in launched.said


def test_a_node_that_dies_takes_the_launch_down_safely(launch: Callable[..., Launched], bundle: Path) -> None:
    launched = launch("simulation.launch.py", f"bundle:={bundle}", "namespace:=left", "lock_step:=true")
    launched.wait_for("[left.safety_node]: NORMAL")
    os.kill(launched.pid("policy_node"), signal.SIGKILL)
    assert launched.process.wait(PATIENCE_S) == 1
    assert "ended by itself with code -9" in launched.said
    assert re.search(r"safety_node-\d\]: process has finished cleanly", launched.said)


def test_a_recorded_drive_goes_through_the_live_stack_and_ends_the_launch(
    launch: Callable[..., Launched], bundle: Path, tmp_path: Path
) -> None:
    """A bag of a simulated drive; what comes out is recorded in the namespace ``replay``."""
    played, again = tmp_path / "played", tmp_path / "again"
    settings = str(share_path("config/car.yaml"))
    run_task(Task(settings, str(bundle), "road", 1003, record=str(played), longest_s=2.0))
    launched = launch("replay.launch.py", f"bundle:={bundle}", f"bag:={played}", f"record:={again}", "rate:=1")
    assert launched.process.wait(PATIENCE_S) == 0, launched.said
    assert "the bag has ended" in launched.said
    assert "Traceback" not in launched.said
    assert launched.said.count("process has finished cleanly") == 5
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
