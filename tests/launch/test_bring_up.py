# SPDX-License-Identifier: Apache-2.0
"""The real ``ros2 launch`` when nodes come up: in which order, by whose act, on which robot, and who hears whom."""

import os
import re
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("launch_ros")
pytest.importorskip("ros2launch")
pytest.importorskip("torch")

from launched import ORDER, Launched
from lifecycle_msgs.msg import Transition
from listener import WHEELS, Listener
from rosbags.highlevel import AnyReader

from tidegate.messages import decode
from tidegate.nodes import ros2_control
from tidegate.records import Mode

pytestmark = [pytest.mark.slow, pytest.mark.real_time]
AT_SPEED, DRIVEN = 2.0, 1.0
STANDING = 0.05
QUIET_S = 3.0
"""By then a request that somebody made would have been obeyed."""
STACK = ORDER[1:]
CONFIGURE = (Transition.TRANSITION_CONFIGURE, "inactive")
ACTIVATE = (Transition.TRANSITION_ACTIVATE, "active")


def test_the_nodes_become_active_in_order(
    launch: Callable[..., Launched], listen: Callable[..., Listener], bundle: Path
) -> None:
    """As they say themselves: all are configured in order, then activated in order. What a node says before it has
    found the listener is lost, so that it may take several launches until each has been heard."""
    listener = listen(lock_step=True)
    told = listener.transitions(*ORDER)
    every = [(node, state) for state in ("inactive", "active") for node in ORDER]
    heard: set[tuple[str, str]] = set()
    for _ in range(8):
        before = len(told)
        launched = launch("simulation.launch.py", f"bundle:={bundle}", "lock_step:=true")
        listener.until(lambda launched=launched: "all nodes are active" in launched.said, launched)
        listener.spin(QUIET_S)
        reached = [one for one in told[before:] if one in every]
        assert reached == [one for one in every if one in reached]
        os.killpg(launched.process.pid, signal.SIGINT)
        assert launched.process.wait(60) == 0, launched.said
        heard.update(reached)
        if heard == set(every):
            return
    raise AssertionError(f"heard only {heard}")


def test_without_autostart_every_step_is_the_operators(
    launch: Callable[..., Launched], listen: Callable[..., Listener], bundle: Path
) -> None:
    listener = listen(lock_step=True)
    told = listener.transitions(*ORDER)
    arguments = (f"bundle:={bundle}", "lock_step:=true", "autostart:=false", "use_respawn:=true")
    launched = launch("simulation.launch.py", *arguments)
    done = []

    def step(node: str, transition: int, goal: str) -> None:
        listener.change(node, transition, goal)
        done.append((node, goal))
        listener.until(lambda: (node, goal) in told, launched)
        listener.spin(QUIET_S)
        assert [(name, state) for name, state in told if state in ("inactive", "active")] == done

    step("safety_node", *CONFIGURE)
    step("simulator_node", *CONFIGURE)
    os.kill(launched.pid("perception_node"), signal.SIGKILL)
    launched.wait_for("/perception_node is started again and waits for 'ros2 lifecycle set'")
    step("simulator_node", *ACTIVATE)
    assert listener.state("perception_node") == "unconfigured"
    for node in ("perception_node", "policy_node"):
        step(node, *CONFIGURE)
        step(node, *ACTIVATE)
    assert "all nodes are active" not in launched.said
    step("safety_node", *ACTIVATE)
    launched.wait_for("all nodes are active")
    os.killpg(launched.process.pid, signal.SIGINT)
    assert launched.process.wait(60) == 0, launched.said


MANAGER = """#!{python}
# Stands in for ros2_control_node: goes down at SIGINT at once, and tells what it was commanded last.
import signal, sys
import rclpy
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Float64MultiArray

asked, last = [], []
signal.signal(signal.SIGINT, lambda *_: asked.append(1))
rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
node = rclpy.create_node("controller_manager")
node.create_subscription(Float64MultiArray, "effort_controller/commands", lambda told: last.append(told.data), 10)
while not asked:
    rclpy.spin_once(node, timeout_sec=0.05)
print("commanded last", *last[-1], flush=True)
"""
DESCRIBER = """#!{python}
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
signal.sigwait([signal.SIGINT])
"""
SPAWNER = """#!{python}
import sys
print("spawned", *sys.argv[1:3], flush=True)
"""


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """Where stand-ins for ros2_control are installed."""
    made = tmp_path / "prefix"
    programs = {
        ("controller_manager", "ros2_control_node"): MANAGER,
        ("controller_manager", "spawner"): SPAWNER,
        ("robot_state_publisher", "robot_state_publisher"): DESCRIBER,
    }
    index = made / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True)
    for package in ros2_control.PACKAGES:
        (index / package).touch()
    for (package, name), text in programs.items():
        program = made / "lib" / package / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(text.format(python=sys.executable))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return made


def test_a_robot_is_released_drives_and_is_braked_through_ros2_control(
    launch: Callable[..., Launched],
    environment: dict[str, str],
    car: Listener,
    bundle: Path,
    prefix: Path,
) -> None:
    """``robot.launch.py`` on a car that somebody else's drivers run. A Ctrl-C reaches everybody at once, but what
    brings the brake to the wheels goes last."""
    arguments = (f"bundle:={bundle}", "use_sim_time:=true", "ros2_control:=true", "hardware:=my_driver/MySystem")
    path = os.pathsep.join([str(prefix), environment["AMENT_PREFIX_PATH"]])
    launched = launch("robot.launch.py", *arguments, AMENT_PREFIX_PATH=path)
    launched.wait_for("all nodes are active")
    launched.wait_for("spawned joint_state_broadcaster effort_controller")
    car.until(lambda: car.mode() == Mode.STOPPED, launched)
    car.spin(QUIET_S)
    assert car.mode() == Mode.STOPPED
    assert car.speed() < STANDING

    car.release(launched)
    car.until(lambda: car.speed() > AT_SPEED, launched)
    os.killpg(launched.process.pid, signal.SIGINT)
    car.until(lambda: launched.process.poll() is not None, launched)
    assert launched.process.returncode == 0, launched.said
    assert "Traceback" not in launched.said
    car.until(lambda: car.speed() < STANDING, launched)
    assert car.braked()
    assert car.mode() == Mode.STOPPED
    said = launched.said
    (efforts,) = re.findall(r"commanded last (.*)", said)
    assert all(float(effort) < 0 for effort in efforts.split()[WHEELS]), said
    finished = re.findall(r"\[(\w+)-\d+\]: process has finished cleanly", said)
    assert finished[-1] == "ros2_control_node", said
    assert set(finished) >= {*STACK, "robot_state_publisher"}


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
        listener = listen(lock_step=True, namespace=place)
        listener.until(lambda heard=listener: heard.speed() > DRIVEN, launched)
    node, common = listener.node, {"/parameter_events", "/rosout"}
    nodes = {(name, f"/{place}") for name in (*ORDER, "recorder_node") for place in places}
    listener.until(lambda: nodes <= set(node.get_node_names_and_namespaces()), launched)
    listener.spin(QUIET_S)  # what else they may have is known by then
    for name, space in sorted(nodes):
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
        assert max(speeds) > DRIVEN
