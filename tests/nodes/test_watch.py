# SPDX-License-Identifier: Apache-2.0
"""``tidegate watch`` over DDS: it tells what is said, and says nothing itself."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from typing import Any

import numpy as np
import pytest
import rclpy
from plant import CAR_YAML, PATIENCE_S
from rclpy.executors import Executor

from domains import random_domain
from tidegate.messages import TOPICS, encode, encode_clock, encode_policy
from tidegate.nodes.bringup import Graph
from tidegate.nodes.graph_options import GraphOptions
from tidegate.nodes.topics import CLOCK_INSIDE, INSIDE, make, message_class, offered_qos, remap_flags, ros_name
from tidegate.nodes.watching import watching
from tidegate.operate.view import CAMERA, EXPECTED, View, silent
from tidegate.records import BarrierState, Mode, Neurons, Odometry, SafetyState
from tidegate.share import share_path

pytestmark = pytest.mark.real_time

PERIOD = 5_000_000
PROGRAM = [sys.executable, "-c", "from tidegate.cli.app import main; main()", "watch", "--once"]
OF_A_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); from tidegate.cli.app import main; main()"
"""The same in a terminal of its own, whose Ctrl-C comes to it."""
ENTERED, LEFT = "\x1b[?1049h", "\x1b[?1049l"
"""What a terminal is told to show another screen, and the former one again."""


class Source:
    """A graph in a namespace that says chosen things."""

    def __init__(self, *topics: str) -> None:
        inside = ["--ros-args", *remap_flags(INSIDE, CLOCK_INSIDE)]
        self.node: Any = rclpy.create_node("source", namespace="left", cli_args=inside)
        self._senders = {
            topic: self.node.create_publisher(
                message_class(TOPICS[topic].type), ros_name(topic), offered_qos(topic, lock_step=False)
            )
            for topic in topics
        }

    def send(self, topic: str, message: Any) -> None:
        self._senders[topic].publish(message)


def test_a_view_tells_what_was_said_and_nothing_is_said_by_it(ros: Executor) -> None:
    source = Source(CAMERA, "safety_node/barriers", "neurons", "odom", "clock", "diagnostics")
    step = 0
    with watching("left") as heard:

        def say() -> None:
            nonlocal step
            step += 1
            now, acting = step * PERIOD, "lane" if step % 2 else ""  # for one tick at a time
            state = SafetyState(now, Mode.HOLD, (1.0, 0.0), (1.0, 0.0), (BarrierState("lane", 0.5, 0.1, 0.0),), acting)
            source.send("safety_node/barriers", encode(state, make))
            source.send("odom", encode(Odometry(now, 0.0, 0.0, 0.0, 4.0, 0.0), make))
            source.send("neurons", encode(Neurons(now, np.zeros(19, np.float32)), make))
            source.send("clock", encode_clock(now + 2 * PERIOD, make))
            if step % 10 == 0:
                source.send("diagnostics", encode_policy(now, "C", make, {"inter": 11, "command": 6, "motor": 2}))

        def told() -> View:
            end = time.monotonic() + PATIENCE_S
            wanted = {"safety_node/barriers", "odom", "neurons"}
            while True:
                say()
                heard.spin(0.02)
                view = heard.view()
                known = wanted <= set(view.records) and view.simulated and view.statuses
                if known and step > 25 and not view.records["safety_node/barriers"].intervened:
                    return view
                assert time.monotonic() < end, "never heard"

        while step < 10:
            say()
            heard.spin(0.3)
        view = told()
        names = heard._node.get_publisher_names_and_types_by_node("tidegate_watch", "/left")
        assert [name for name, _ in names] == ["/parameter_events"]  # as every node has
    source.node.destroy_node()
    assert view.namespace == "/left"
    assert view.domain == os.environ["ROS_DOMAIN_ID"]
    assert view.acted == {"lane"}
    assert view.records["odom"].speed == 4.0
    assert view.statuses["policy_node"].values["neurons: inter"] == "11"
    assert view.topics[CAMERA].publishers == ("/left/source",)
    assert view.topics["odom"].rate_hz > 0
    assert view.topics["odom"].age_s < 1.0
    missing = list(silent(view))
    assert f"{CAMERA}: nobody publishes it" not in missing
    assert "imu: nobody publishes it" in missing
    assert not [one for one in missing if one.startswith(("odom", "neurons"))]


def test_live_it_shows_what_is_said_until_ctrl_c(ros: Executor) -> None:
    source, said = Source("odom"), ""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", OF_A_TERMINAL, "watch", "--namespace", "left"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    os.close(theirs)

    def read_until(words: str, speed: float) -> None:
        nonlocal said
        end = time.monotonic() + 3 * PATIENCE_S
        while words not in said:
            assert time.monotonic() < end, said
            source.send("odom", encode(Odometry(time.time_ns(), 0.0, 0.0, 0.0, speed, 0.0), make))
            if select.select([ours], [], [], 0.05)[0]:
                said += os.read(ours, 1 << 16).decode(errors="replace")

    try:
        read_until("4.00 m/s", 4.0)
        read_until("5.00 m/s", 5.0)  # it goes on looking
        assert ENTERED in said
        assert LEFT not in said
        os.write(ours, b"\x03")
        with contextlib.suppress(OSError):  # how Linux tells that nobody has the other side any more
            read_until(LEFT, 6.0)
        assert process.wait(PATIENCE_S) == 0, said
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        source.node.destroy_node()
    assert LEFT in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_where_nobody_is_it_says_so() -> None:
    domain = random_domain()
    run = subprocess.run(
        PROGRAM, env={**os.environ, "ROS_DOMAIN_ID": domain, "TERM": "dumb"}, capture_output=True, text=True
    )
    assert run.returncode == 1, run.stderr
    assert f"nobody publishes anything in domain {domain}" in run.stdout
    assert "NO VERDICT" in run.stdout


@pytest.mark.slow
def test_a_real_graph_is_shown_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", random_domain())
    options = GraphOptions(share_path("models/car-ltc19"), CAR_YAML, seed=1003, namespace="left")
    with Graph(options, lambda *said: None) as graph:
        graph.spin(3.0)
        process = subprocess.Popen([*PROGRAM, "--namespace", "left"], stdout=subprocess.PIPE, text=True)
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end:
            graph.spin(0.2)
        said, _ = process.communicate(timeout=10)
    assert process.returncode == 0, said
    assert "silent" not in said
    assert re.search(r"inter +command +motor", said)
    assert re.search(r"frames +[\d.]+ Hz", said)
    assert all(topic in said for topic in EXPECTED)
