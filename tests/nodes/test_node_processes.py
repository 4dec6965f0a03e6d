# SPDX-License-Identifier: Apache-2.0
"""Nodes as processes: how they refuse, how they end."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import rclpy
import rclpy.client
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from plant import CAR_YAML, Plant, until
from rclpy.duration import Duration
from rclpy.experimental import EventsExecutor
from rosbags.highlevel import AnyReader

from tidegate.bag import BagWriter
from tidegate.nodes.main import PARENT
from tidegate.nodes.remote import Remote
from tidegate.settings import Settings


class Process:
    def __init__(self, node: str, *arguments: str) -> None:
        self.node = node
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tidegate.nodes.main", node, "--ros-args", *arguments],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )

    def end(self, number: int | None = None) -> tuple[int, str]:
        """Send a signal, if any; exit code and all that was said."""
        if number is not None:
            self._process.send_signal(number)
        _, said = self._process.communicate(timeout=30)
        return self._process.returncode, said

    def listens(self) -> bool:
        """Whether it has a handler for SIGTERM."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        caught = int(re.search(r"^SigCgt:\s*(\w+)", status, re.MULTILINE)[1], 16)  # type: ignore[index]
        return bool(caught >> (signal.SIGTERM - 1) & 1)

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@pytest.fixture
def start() -> Iterator[type[Process]]:
    started: list[Process] = []

    def make(*arguments: str) -> Process:
        started.append(Process(*arguments))
        return started[-1]

    yield make  # type: ignore[misc]
    for process in started:
        process.kill()


def configured(ros: EventsExecutor, node: str) -> bool:
    """Ask a node to configure; whether it did."""
    caller = rclpy.create_node("caller")
    ros.add_node(caller)
    remote = Remote(caller, node)
    until(ros, remote.ready, f"{node} is up")
    remote.change(Transition.TRANSITION_CONFIGURE)
    outcome = []
    until(ros, lambda: outcome.append(remote.outcome("inactive")) or outcome[-1] is not None, "its answer")
    ros.remove_node(caller)
    caller.destroy_node()
    return bool(outcome[-1])


def test_a_node_that_answers_is_ready_though_the_middleware_calls_it_absent(
    ros: EventsExecutor, start: type[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rclpy.client.Client, "service_is_ready", lambda client: False)
    start("safety_node", "--params-file", str(CAR_YAML))
    assert configured(ros, "safety_node")


@pytest.mark.parametrize("node", ["perception_node", "policy_node"])
def test_a_missing_bundle_fails_configure_in_one_line(
    ros: EventsExecutor, start: type[Process], tmp_path: Path, node: str
) -> None:
    process = start(node, "--params-file", str(CAR_YAML), "-p", f"bundle:={tmp_path}/nothing")
    assert not configured(ros, node)
    assert not configured(ros, node)  # it can be tried again
    code, said = process.end(signal.SIGINT)
    assert code == 0
    lines = [line for line in said.splitlines() if "ERROR" in line]
    assert len(lines) >= 2
    assert f"{tmp_path}/nothing: no such bundle" in lines[0]
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/**:\n  ros__parameters:\n    vehicle:\n      speed_mx: 5.0\n", "speed_mx"),
        ("/**:\n  ros__parameters:\n    vehicle:\n      speed_max: [1, 2.5]\n", ""),
        ("/**:\n  ros__parameters: [\n", ""),
    ],
)
def test_a_file_that_cannot_be_used_ends_the_process_in_one_line(
    start: type[Process], tmp_path: Path, text: str, told: str
) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    code, said = start("safety_node", "--params-file", str(path)).end()
    assert code == 2
    assert "Traceback" not in said
    assert "[FATAL] [safety_node]" in said
    assert "wrong.yaml" in said
    assert told in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("node", "delay"),
    [
        ("safety_node", 0.0),
        ("safety_node", 0.2),
        ("safety_node", 0.8),
        ("simulator_node", 0.3),
        ("perception_node", 0.3),
        ("policy_node", 0.1),
    ],
)
def test_a_signal_while_it_comes_up_ends_it_with_code_zero(
    start: type[Process], node: str, number: int, delay: float
) -> None:
    process = start(node, "--params-file", str(CAR_YAML))
    while not process.listens():  # the interpreter itself is still starting: no line of this package has run
        time.sleep(0.005)
    time.sleep(delay)
    assert process.end(number) == (0, "")


def test_a_signal_during_a_transition_ends_it_with_code_zero(ros: EventsExecutor, start: type[Process]) -> None:
    process = start("simulator_node", "--params-file", str(CAR_YAML))
    caller = rclpy.create_node("caller")
    ros.add_node(caller)
    client = caller.create_client(ChangeState, "simulator_node/change_state")
    until(ros, client.service_is_ready, "it is up")
    client.call_async(ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE)))
    for _ in range(20):
        ros.spin_once(timeout_sec=0.01)
    code, said = process.end(signal.SIGINT)
    assert code == 0
    assert "Traceback" not in said
    ros.remove_node(caller)
    caller.destroy_node()


def test_a_node_goes_down_with_the_process_that_it_is_told_of_which_may_not_be_its_own_parent(
    ros: EventsExecutor, start: type[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under a debugger; and nobody asks how the killed one ended, so that it stays in the table."""
    launch = subprocess.Popen(["sleep", "600"])
    monkeypatch.setenv(PARENT, str(launch.pid))
    node = start("safety_node", "--params-file", str(CAR_YAML))
    assert configured(ros, "safety_node")
    launch.kill()
    code, said = node.end()
    launch.wait()
    assert (code, "Traceback" in said) == (0, False), said


def test_record_writes_what_was_published_until_ctrl_c(ros: EventsExecutor, settings: Settings, tmp_path: Path) -> None:
    plant = Plant(ros, settings, lock_step=False)
    command = [sys.executable, "-c", "from tidegate.cli.app import main; main()", "record", str(tmp_path / "bag")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    odometry = plant.publishers["odom"]
    until(ros, lambda: odometry.get_subscription_count() > 0, "the recorder listens")
    for _ in range(50):
        plant.sense()
        plant.tick += 1
        ros.spin_once(timeout_sec=0.01)
    assert odometry.wait_for_all_acked(Duration(seconds=10))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert "Ctrl-C" in out
    with AnyReader([tmp_path / "bag"]) as reader:
        counts = {connection.topic: connection.msgcount for connection in reader.connections}
    assert counts["/odom"] == 50
    plant.close()


def test_a_recording_never_overwrites(start: type[Process], tmp_path: Path) -> None:
    BagWriter(tmp_path / "bag").close()
    before = (tmp_path / "bag" / "metadata.yaml").read_text()
    code, said = start("recorder_node", "-p", f"path:={tmp_path}/bag").end()
    assert code == 2
    assert re.search(r"\[FATAL\] \[recorder_node\]: .*exists already", said)
    assert (tmp_path / "bag" / "metadata.yaml").read_text() == before
