# SPDX-License-Identifier: Apache-2.0
"""``robot.launch.py`` in real time, on a car whose drivers are up already: ends of nodes, a joystick, other names."""

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("launch_ros")
pytest.importorskip("ros2launch")

from launched import Launched
from listener import Listener

from tidegate.messages import TOPICS, encode
from tidegate.nodes.topics import make, message_class
from tidegate.records import Joy, Mode
from tidegate.robot import Car
from tidegate.settings import load_settings
from tidegate.share import share_path

pytestmark = [pytest.mark.slow, pytest.mark.real_time]
PAGE = Path(__file__).parents[2] / "docs" / "robot.md"
AT_SPEED, STANDING = 2.0, 0.05
DRIVER = ("use_sim_time:=true", f"bundle:={share_path('models/car-ltc19')}")
"""Of a car that lives in the time of its simulation."""
JOY_S = 0.02


@pytest.mark.parametrize(
    ("node", "number"),
    [
        ("perception_node", signal.SIGKILL),
        ("policy_node", signal.SIGTERM),
        ("safety_node", signal.SIGINT),
        ("safety_node", signal.SIGTERM),
    ],
)
def test_however_a_node_ends_at_speed_the_last_word_is_the_stop(
    launch: Callable[..., Launched], car: Listener, node: str, number: int
) -> None:
    """The car's own drivers go on, and brake by what they were told last."""
    launched = launch("robot.launch.py", *DRIVER)
    car.release(launched)
    car.until(lambda: car.speed() > AT_SPEED, launched)
    os.kill(launched.pid(node), number)
    car.until(lambda: launched.process.poll() is not None, launched)
    car.spin(0.5)
    killed = number == signal.SIGKILL
    assert launched.process.returncode == (1 if killed else 0), launched.said
    assert "Traceback" not in launched.said
    assert launched.said.count("process has finished cleanly") == 3 - killed, launched.said
    assert car.braked(), launched.said
    assert car.mode() == Mode.STOPPED
    assert car.speed() < STANDING


def test_a_driver_with_a_joystick_drives_and_a_silent_one_stops_the_car(
    launch: Callable[..., Launched], car: Listener
) -> None:
    """What ``joy_node`` would publish; the network asks for another force than full deflection does."""
    settings = load_settings(share_path("config/car.yaml"))
    chosen, force = settings.joystick, Car.from_settings(settings).force_max * settings.joystick.drive_share
    launched = launch("robot.launch.py", "robot:=car", *DRIVER, "joystick:=true")
    car.release(launched)
    sender = car.node.create_publisher(message_class(TOPICS["joy"].type), "joy", 10)
    axes, held = [0.0] * 6, [0] * 11
    axes[chosen.drive_axis], held[chosen.dead_man_button] = 1.0, 1

    def drives() -> bool:
        sender.publish(encode(Joy(car.newest("truth").stamp, tuple(axes), tuple(held)), make))
        car.spin(JOY_S)
        return bool(car.newest("safety_node/barriers").wanted[0] == pytest.approx(force))

    car.until(drives, launched)
    assert car.mode() == Mode.NORMAL
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        assert drives()
    car.until(lambda: car.mode() == Mode.STOPPED and car.speed() < STANDING, launched)
    os.killpg(launched.process.pid, signal.SIGINT)
    assert launched.process.wait(60) == 0, launched.said


NAMES = {"imu": "/imu/data", "odom": "/odometry/filtered", "points": "/velodyne_points"}


@pytest.mark.parametrize("car", [NAMES], indirect=True)
def test_drivers_with_other_names_are_heard_by_the_launch_file_of_the_page(
    launch: Callable[..., Launched], car: Listener, tmp_path: Path
) -> None:
    """It includes ours in a group, whose remappings and arguments are gone when the first event comes: a node that was
    started again has them too."""
    text = PAGE.read_text(encoding="utf-8")
    (mine,) = re.findall(r"```python\n(from launch import .*?)```", text, re.DOTALL)
    assert all(f'"{ours}": "{theirs}"' in mine for ours, theirs in NAMES.items())
    file = tmp_path / "my_car.launch.py"
    file.write_text(mine, encoding="utf-8")
    launched = launch(str(file), *DRIVER, "use_respawn:=true", f"record:={tmp_path}/bag")
    car.release(launched)
    car.until(lambda: car.speed() > AT_SPEED, launched)
    for node in ("policy_node", "safety_node"):
        os.kill(launched.pid(node), signal.SIGKILL)
        launched.wait_for(f"/{node} is active again")
        car.until(lambda: car.mode() == Mode.STOPPED and car.speed() < STANDING, launched)
    car.release(launched)
    car.until(lambda: car.speed() > AT_SPEED, launched)
    subscribed = {topic for topic, _ in car.node.get_subscriber_names_and_types_by_node("safety_node", "/")}
    assert set(NAMES.values()) <= subscribed
    assert not {f"/{ours}" for ours in NAMES} & subscribed
    os.killpg(launched.process.pid, signal.SIGINT)
    assert launched.process.wait(60) == 0, launched.said
