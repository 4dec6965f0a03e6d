# SPDX-License-Identifier: Apache-2.0
"""The real ``ros2 launch`` when nodes end: what reaches the actuators last, who is started again, who hears whom."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("launch_ros")
pytest.importorskip("ros2launch")
pytest.importorskip("torch")

import rclpy
from launched import ORDER, PATIENCE_S, Launched
from rclpy.executors import SingleThreadedExecutor
from rclpy.serialization import deserialize_message
from rosbags.highlevel import AnyReader
from std_srvs.srv import Trigger

from tidegate.messages import TOPICS, decode
from tidegate.nodes.topics import message_class, offered_qos, ros_name
from tidegate.records import Mode

pytestmark = [pytest.mark.slow, pytest.mark.real_time]
TOLD = ("truth", "command", "safety_node/barriers", "safety_node/would_command")
AT_SPEED = 2.0
STANDING = 0.05
START_NS = 3_000_000_000
"""After it a start that stumbled is over, and the simulation's safety node releases the car no more by itself."""
WHEELS = slice(2, None)


class Listener:
    """A node in the domain of the launch that keeps the newest of what it hears."""

    def __init__(self, environment: dict[str, str], *, lock_step: bool) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context, args=[], domain_id=int(environment["ROS_DOMAIN_ID"]))
        self.node: Any = rclpy.create_node("listener", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._newest: dict[str, bytes] = {}
        for topic in TOLD:
            kind, profile = message_class(TOPICS[topic].type), offered_qos(topic, lock_step)
            self.node.create_subscription(kind, ros_name(topic), self._keep(topic), profile, raw=True)

    def _keep(self, topic: str) -> Callable[[bytes], None]:
        return lambda data: self._newest.__setitem__(topic, data)

    def newest(self, topic: str) -> Any:
        """The newest record on ``topic``; None = nothing yet."""
        data = self._newest.get(topic)
        return None if data is None else decode(topic, deserialize_message(data, message_class(TOPICS[topic].type)))

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def until(self, done: Callable[[], bool], launched: Launched) -> None:
        end = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < end, launched.said
            self.spin(0.05)

    def speed(self) -> float:
        truth = self.newest("truth")
        return 0.0 if truth is None else abs(truth.values["speed"])

    def mode(self) -> Mode | None:
        state = self.newest("safety_node/barriers")
        return None if state is None else state.mode

    def reset(self) -> None:
        client = self.node.create_client(Trigger, "safety_node/reset")
        future = client.call_async(Trigger.Request())
        self._executor.spin_until_future_complete(future, timeout_sec=10)
        self.node.destroy_client(client)

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self._context)


@pytest.fixture
def listen(environment: dict[str, str]) -> Iterator[Callable[..., Listener]]:
    made: list[Listener] = []

    def start(*, lock_step: bool) -> Listener:
        made.append(Listener(environment, lock_step=lock_step))
        return made[-1]

    yield start
    for one in made:
        one.close()


def braked(listener: Listener) -> bool:
    """Whether the last message on the actuators' topic brakes every wheel."""
    command = listener.newest("command")
    return bool((command.effort[WHEELS] < 0).all())


CASES = [(node, number) for node in ORDER for number in (signal.SIGINT, signal.SIGTERM)]
CASES += [(node, signal.SIGKILL) for node in ORDER if node != "safety_node"]


@pytest.mark.parametrize(("node", "number"), CASES)
def test_however_a_node_ends_the_last_word_to_the_actuators_is_the_stop(
    launch: Callable[..., Launched], listen: Callable[..., Listener], bundle: Path, node: str, number: int
) -> None:
    """In lock-step, so that a busy machine changes nothing."""
    listener = listen(lock_step=True)
    launched = launch("simulation.launch.py", f"bundle:={bundle}", "lock_step:=true", "seed:=1003")
    listener.until(lambda: listener.speed() > AT_SPEED, launched)
    os.kill(launched.pid(node), number)
    listener.until(lambda: launched.process.poll() is not None, launched)
    listener.spin(0.5)
    assert braked(listener), launched.said
    killed = number == signal.SIGKILL
    assert launched.process.returncode == (1 if killed else 0), launched.said
    assert "Traceback" not in launched.said
    clean = launched.said.count("process has finished cleanly")
    assert clean == len(ORDER) - killed, launched.said


@pytest.mark.parametrize("node", ORDER)
def test_a_node_that_was_killed_comes_back_while_the_car_stands_and_waits_for_a_reset(
    launch: Callable[..., Launched], listen: Callable[..., Listener], bundle: Path, node: str
) -> None:
    listener = listen(lock_step=False)
    launched = launch("simulation.launch.py", f"bundle:={bundle}", "use_respawn:=true", "seed:=1003")
    listener.until(lambda: listener.speed() > AT_SPEED, launched)
    begun = listener.newest("truth").stamp
    listener.until(lambda: listener.newest("truth").stamp - begun > START_NS, launched)
    os.kill(launched.pid(node), signal.SIGKILL)
    launched.wait_for(f"/{node} is active again")
    assert f"/{node} ended by itself with code -9; it is started again in 1 s" in launched.said
    listener.until(lambda: listener.mode() == Mode.STOPPED and listener.speed() < STANDING, launched)
    listener.spin(3.0)
    assert listener.mode() == Mode.STOPPED
    assert listener.speed() < STANDING

    def released() -> bool:
        listener.reset()
        listener.spin(1.0)
        return listener.mode() == Mode.NORMAL

    listener.until(released, launched)
    os.killpg(launched.process.pid, signal.SIGINT)
    assert launched.process.wait(60) == 0, launched.said


def test_a_dry_run_moves_nothing_and_says_what_it_would(
    launch: Callable[..., Launched], listen: Callable[..., Listener], bundle: Path
) -> None:
    listener = listen(lock_step=False)
    launched = launch("simulation.launch.py", f"bundle:={bundle}", "dry_run:=true")
    launched.wait_for("[safety_node]: NORMAL")

    def would_drive() -> bool:
        told = listener.newest("safety_node/would_command")
        return told is not None and bool((told.effort[WHEELS] > 0).any())

    listener.until(would_drive, launched)
    assert listener.speed() < STANDING
    assert listener.newest("command") is None
    assert not listener.node.count_publishers("command")
    assert "dry run: nothing is sent to the actuators" in launched.said
    os.killpg(launched.process.pid, signal.SIGINT)
    assert launched.process.wait(60) == 0, launched.said


def test_two_namespaces_in_one_domain_drive_apart(
    launch: Callable[..., Launched], listen: Callable[..., Listener], bundle: Path, tmp_path: Path
) -> None:
    places = ("a", "b")
    arguments = (f"bundle:={bundle}", "lock_step:=true")
    launches = {
        place: launch(
            "simulation.launch.py", *arguments, f"namespace:={place}", f"seed:={seed}", f"record:={tmp_path / place}"
        )
        for place, seed in zip(places, (1003, 1004), strict=True)
    }
    for place, launched in launches.items():
        launched.wait_for(f"[{place}.safety_node]: NORMAL")
    listener = listen(lock_step=True)
    listener.spin(6.0)
    node, common = listener.node, {"/parameter_events", "/rosout"}
    for name, space in node.get_node_names_and_namespaces():
        if space.strip("/") not in places:
            continue
        known = [*node.get_subscriber_names_and_types_by_node(name, space)]
        known += node.get_publisher_names_and_types_by_node(name, space)
        outside = {topic for topic, _ in known if not topic.startswith(f"{space}/")}
        assert outside <= common, (space, name)
    for launched in launches.values():
        os.killpg(launched.process.pid, signal.SIGINT)
    for launched in launches.values():
        assert launched.process.wait(60) == 0, launched.said
    for place in places:
        speeds, topics = [], set()
        with AnyReader([tmp_path / place]) as reader:
            for connection, _, data in reader.messages():
                topics.add(connection.topic)
                if connection.topic == f"/{place}/truth":
                    record = decode("truth", reader.deserialize(data, connection.msgtype))
                    speeds.append(record.values["speed"])
        assert {topic.split("/")[1] for topic in topics} == {place}
        assert {f"/{place}/clock", f"/{place}/diagnostics"} <= topics
        assert max(speeds) > 1.0


def test_the_nodes_become_active_in_order(launch: Callable[..., Launched], bundle: Path) -> None:
    launched = launch("simulation.launch.py", f"bundle:={bundle}", "lock_step:=true")
    begun = time.monotonic()
    launched.wait_for("all nodes are active")
    print(f"active {time.monotonic() - begun:.1f} s after the start of ros2 launch")
    started = re.findall(r"\[(\w+)-\d+\]: process started", launched.said)
    assert tuple(started) == ORDER
    os.killpg(launched.process.pid, signal.SIGINT)
    assert launched.process.wait(60) == 0, launched.said
