# SPDX-License-Identifier: Apache-2.0
"""The real ``ros2 launch`` when nodes or itself end or hang: what reaches the actuators last, who comes back."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("launch_ros")
pytest.importorskip("ros2launch")
pytest.importorskip("torch")

from launched import ORDER, Launched
from listener import Listener

from tidegate.records import Mode

pytestmark = pytest.mark.slow
AT_SPEED = 2.0
STANDING = 0.05
START_NS = 3_000_000_000
"""After it a start that stumbled is over, and the simulation's safety node releases the car no more by itself."""
SETTLED_S = 1.0
"""After a death, what its node had sent has arrived."""

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
    assert listener.braked(), launched.said
    killed = number == signal.SIGKILL
    assert launched.process.returncode == (1 if killed else 0), launched.said
    assert "Traceback" not in launched.said
    clean = launched.said.count("process has finished cleanly")
    assert clean == len(ORDER) - killed, launched.said


@pytest.mark.real_time
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
    launched.wait_for(f"/{node} ended by itself with code -9")
    listener.spin(SETTLED_S)
    listener.forget()
    launched.wait_for(f"/{node} is active again")
    assert f"/{node} ended by itself with code -9; it is started again in 1 s" in launched.said
    listener.until(lambda: listener.mode() == Mode.STOPPED and listener.speed() < STANDING, launched)
    if node == "safety_node":
        assert listener.oldest("safety_node/barriers").mode == Mode.STOPPED
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


@pytest.mark.real_time
@pytest.mark.parametrize("node", ["policy_node", "safety_node"])
def test_a_node_that_hangs_is_told_of_and_counts_as_dead(
    launch: Callable[..., Launched], listen: Callable[..., Listener], bundle: Path, node: str
) -> None:
    """The car stands long before, by the watchdogs or by the actuators' time-out."""
    listener = listen(lock_step=False)
    launched = launch("simulation.launch.py", f"bundle:={bundle}", "bond_timeout:=4", "use_respawn:=true", "seed:=1003")
    listener.until(lambda: listener.speed() > AT_SPEED, launched)
    os.kill(launched.pid(node), signal.SIGSTOP)
    listener.until(lambda: listener.speed() < STANDING, launched)
    launched.wait_for(f"/{node} has not answered for 4 s: it hangs and is killed")
    launched.wait_for(f"/{node} ended by itself with code -9")
    launched.wait_for(f"/{node} is active again")
    os.killpg(launched.process.pid, signal.SIGINT)
    assert launched.process.wait(60) == 0, launched.said


@pytest.mark.real_time
def test_a_hung_node_ends_a_launch_that_starts_nothing_again(
    launch: Callable[..., Launched], listen: Callable[..., Listener], bundle: Path
) -> None:
    listener = listen(lock_step=True)
    launched = launch("simulation.launch.py", f"bundle:={bundle}", "bond_timeout:=4", "lock_step:=true", "seed:=1003")
    listener.until(lambda: listener.speed() > AT_SPEED, launched)
    os.kill(launched.pid("perception_node"), signal.SIGSTOP)
    listener.until(lambda: launched.process.poll() is not None, launched)
    listener.spin(SETTLED_S)
    assert launched.process.returncode == 1
    assert "/perception_node has not answered for 4 s" in launched.said
    assert listener.braked(), launched.said


def test_when_the_launch_itself_is_killed_the_nodes_brake_and_go(
    launch: Callable[..., Launched], listen: Callable[..., Listener], bundle: Path
) -> None:
    listener = listen(lock_step=True)
    launched = launch("simulation.launch.py", f"bundle:={bundle}", "lock_step:=true", "seed:=1003")
    listener.until(lambda: listener.speed() > AT_SPEED, launched)
    nodes = [launched.pid(node) for node in ORDER]
    os.kill(launched.process.pid, signal.SIGKILL)
    launched.process.wait()
    listener.until(lambda: not any(map(alive, nodes)), launched)
    listener.spin(SETTLED_S)
    assert listener.braked()
    assert listener.mode() == Mode.STOPPED
    assert listener.speed() < STANDING


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and that nobody asks how does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
