# SPDX-License-Identifier: Apache-2.0
"""The real ``ros2 launch`` when a node ends on which no driving depends: the car drives on, and so is told."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("launch_ros")
pytest.importorskip("ros2launch")

from launched import Launched
from listener import Listener

from tidegate.records import Mode
from tidegate.share import share_path

pytestmark = [pytest.mark.slow, pytest.mark.real_time]
SHIPPED = share_path("models/car-ltc19")
GOLDEN = Path(__file__).parents[1] / "golden" / "road"
BYSTANDERS = ("joystick_node", "markers_node", "saliency_node", "recorder_node")
AT_SPEED = 2.0
DRIVEN_NS = 2_000_000_000
ENDINGS = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]


@pytest.mark.parametrize("number", ENDINGS)
def test_the_car_drives_on_without_its_bystanders(
    launch: Callable[..., Launched], listen: Callable[..., Listener], tmp_path: Path, number: int
) -> None:
    """In lock-step, so that a busy machine changes nothing."""
    listener = listen(lock_step=True)
    asked = ("lock_step:=true", "seed:=1003", "joystick:=true", "viewers:=true", f"record:={tmp_path}/bag")
    launched = launch("simulation.launch.py", f"bundle:={SHIPPED}", *asked)
    listener.until(lambda: set(BYSTANDERS) <= set(listener.node.get_node_names()), launched)
    listener.until(lambda: listener.speed() > AT_SPEED, launched)
    for node in BYSTANDERS:
        os.kill(launched.pid(node), number)
    killed = number == signal.SIGKILL
    for node in BYSTANDERS:
        how = r"process has died \[pid \d+, exit code -9," if killed else "process has finished cleanly"
        listener.until(lambda said=rf"\[{node}-\d+\]: {how}": re.search(said, launched.said), launched)
    told = "ended by itself with code -9" if killed else "has ended as asked"
    launched.wait_for(f"{told}; nothing is recorded any more")
    begun = listener.newest("truth").stamp
    listener.until(lambda: listener.newest("truth").stamp - begun > DRIVEN_NS, launched)
    assert listener.mode() == Mode.NORMAL, launched.said
    assert listener.speed() > AT_SPEED
    assert "[safety_node]: STOPPING" not in launched.said
    os.killpg(launched.process.pid, signal.SIGINT)
    assert launched.process.wait(60) == 0, launched.said
    assert "Traceback" not in launched.said


@pytest.mark.parametrize("number", ENDINGS)
def test_the_launch_ends_with_its_player(launch: Callable[..., Launched], number: int) -> None:
    launched = launch("replay.launch.py", f"bundle:={SHIPPED}", f"bag:={GOLDEN}", "rate:=0.1")
    launched.wait_for("[replay.player_node]: playing ")
    os.kill(launched.pid("player_node"), number)
    killed = number == signal.SIGKILL
    assert launched.process.wait(60) == (1 if killed else 0), launched.said
    assert "Traceback" not in launched.said
    assert launched.said.count("process has finished cleanly") == 4 - killed, launched.said
    assert ("ended by itself with code -9" in launched.said) is killed
