# SPDX-License-Identifier: Apache-2.0
"""The executables: one process, one node, own signal handling.

rclpy's handler for SIGINT closes the context first, after which nothing can be published: the safety node could not
brake. The handlers here only raise a flag, and are installed before anything heavy is imported; a node that is in a
transition ends it first.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import time
import traceback
from importlib import import_module
from types import FrameType

LINGER_S = 10.0
"""Longest time that a node lives on because the safety node is braking."""
ONE_STOP = 2
"""Signals that one Ctrl-C makes: a terminal and ``ros2 launch`` both pass it on, on a busy machine seconds apart."""

REFUSED = 2
"""Exit code of a node that was refused at set-up."""

VIEWER_NICE = 19
"""Of what is only looked at: it computes when nobody else wants to. The middleware's threads keep their priority: a
publisher of the control path may wait for a lock that they hold in shared memory."""

PARENT = "TIDEGATE_PARENT"
"""Environment variable: process without which a node goes down."""

_signals: list[int] = []
"""The signals that asked this process to stop."""


def _note(number: int, _frame: FrameType | None) -> None:
    _signals.append(number)


def _impatient() -> bool:
    """Whether somebody asked again."""
    return len(_signals) > ONE_STOP


def _orphaned() -> bool:
    """Whether the process that brought the graph up, and named itself in ``PARENT``, is gone.

    It may have started this one through another, as a debugger is (``--launch-prefix``).
    """
    parent = os.environ.get(PARENT)
    if parent is None or parent == str(os.getppid()):
        return False
    try:
        with open(f"/proc/{parent}/cmdline", "rb") as words:
            return not words.read(1)  # empty: it has ended, and nobody has asked how
    except OSError:
        return True


def run(home: str, name: str, arguments: list[str] | None = None, nice: int | None = None, *, arm: bool = False) -> int:
    """Spin the node class ``name`` of module ``home`` until a signal, or until it is ``over``; the exit code of the
    process.

    ``arguments`` replace those of the process; ``nice`` is for the thread that spins. ``arm``: with an arm's settings
    the node is another, of the same name.

    0 = went down as asked; 1 = a fault of ours, with its traceback; 2 = refused at set-up, told in one line.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _note)
    faulthandler.register(signal.SIGUSR1, all_threads=False)  # tells where a node hangs

    import rclpy
    from rclpy.experimental import EventsExecutor
    from rclpy.signals import SignalHandlerOptions

    from tidegate.errors import TidegateError
    from tidegate.middleware import profile_of
    from tidegate.nodes.parameters import of_an_arm

    node_name = home.rpartition(".")[2]
    try:
        os.environ.update(profile_of(os.environ))  # whoever starts it: the room for images is the publisher's
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
        if arm and of_an_arm(sys.argv if arguments is None else arguments):
            home, name = home.replace(".nodes.", ".nodes.arm_"), f"Arm{name}"
        node = getattr(import_module(home), name)()
        node.alone = True
    except (TidegateError, RuntimeError, ImportError, OSError) as error:  # RCLError is a RuntimeError
        if not _signals:
            sys.stderr.write(f"[FATAL] [{node_name}]: {' '.join(str(error).split())}\n")
        rclpy.try_shutdown()
        return 0 if _signals else REFUSED
    if nice is not None:
        os.setpriority(os.PRIO_PROCESS, 0, nice)  # on Linux of the calling thread alone
    # Made for little work per message: a fifth of the time that the default executor takes.
    executor = EventsExecutor()
    executor.add_node(node)
    code = 0
    try:
        while not (_signals or _orphaned() or getattr(node, "over", False)):
            executor.spin_once(timeout_sec=0.5)
        end = time.monotonic() + LINGER_S
        while node.needed() and not _impatient() and time.monotonic() < end:
            executor.spin_once(timeout_sec=0.05)
    except Exception as error:  # a fault of ours; the safety node must brake all the same
        node.get_logger().fatal(f"{type(error).__name__}: {error}\n{traceback.format_exc()}")
        code = 1
    node.close()
    executor.remove_node(node)
    node.destroy_node()
    executor.shutdown()
    rclpy.try_shutdown()
    for number in (signal.SIGINT, signal.SIGTERM):  # its end would restore the default: death by the next
        signal.signal(number, signal.SIG_IGN)
    return code


def perception() -> int:
    """Entry point of ``perception_node``."""
    return run("tidegate.nodes.perception_node", "PerceptionNode", arm=True)


def policy() -> int:
    """Entry point of ``policy_node``."""
    return run("tidegate.nodes.policy_node", "PolicyNode", arm=True)


def safety() -> int:
    """Entry point of ``safety_node``."""
    return run("tidegate.nodes.safety_node", "SafetyNode", arm=True)


def simulator() -> int:
    """Entry point of ``simulator_node``."""
    return run("tidegate.nodes.simulator_node", "SimulatorNode", arm=True)


def recorder() -> int:
    """Entry point of ``recorder_node``."""
    return run("tidegate.nodes.recorder_node", "RecorderNode")


def player() -> int:
    """Entry point of ``player_node``."""
    return run("tidegate.nodes.player_node", "PlayerNode")


def joystick() -> int:
    """Entry point of ``joystick_node``."""
    return run("tidegate.nodes.joystick_node", "JoystickNode")


def markers() -> int:
    """Entry point of ``markers_node``."""
    return run("tidegate.nodes.markers_node", "MarkersNode", nice=VIEWER_NICE)


def saliency() -> int:
    """Entry point of ``saliency_node``."""
    return run("tidegate.nodes.saliency_node", "SaliencyNode", nice=VIEWER_NICE)


ENTRIES = {
    "perception_node": perception,
    "policy_node": policy,
    "safety_node": safety,
    "simulator_node": simulator,
    "recorder_node": recorder,
    "player_node": player,
    "joystick_node": joystick,
    "markers_node": markers,
    "saliency_node": saliency,
}

if __name__ == "__main__":
    sys.exit(ENTRIES[sys.argv[1]]())
