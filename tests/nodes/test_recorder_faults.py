# SPDX-License-Identifier: Apache-2.0
"""Recorders in processes of their own: killed, without room on the disk, asked for the impossible."""

from __future__ import annotations

import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from plant import CAR_YAML, until
from rclpy.duration import Duration
from rclpy.executors import Executor

from tidegate.bag import BagReader
from tidegate.messages import TOPICS, encode
from tidegate.nodes.children import environment
from tidegate.nodes.topics import make, message_class, offered_qos, requested_qos, ros_name
from tidegate.records import BarrierState, Frame, Mode, SafetyState, Values
from tidegate.robot.contract import contract_of

KILLED, AT_ONCE = 20, 5
LOST_S = 1.0
"""What may be missing before a kill."""


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts recorders; none outlives the test."""
    monkeypatch.setattr("plant.PATIENCE_S", 120.0)  # a process starts for long on a busy machine
    started: list[subprocess.Popen[str]] = []

    def start(*parameters: str, namespace: str = "/") -> subprocess.Popen[str]:
        words = ["-r", f"__ns:={namespace}", *(word for parameter in parameters for word in ("-p", parameter))]
        command = [sys.executable, "-m", "tidegate.nodes.main", "recorder_node", "--ros-args", *words]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment())
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            process.kill()


@contextmanager
def publishing(executor: Executor, topic: str, namespace: str = "/") -> Iterator[Any]:
    node = rclpy.create_node("source", namespace=namespace)
    executor.add_node(node)
    yield node.create_publisher(message_class(TOPICS[topic].type), ros_name(topic), offered_qos(topic, False))
    executor.remove_node(node)
    node.destroy_node()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    return process.returncode, said


def test_without_room_it_says_so_once_and_stays_until_it_is_asked_to_go(
    ros: Executor, recorder: Start, tmp_path: Path
) -> None:
    process = recorder(f"path:={tmp_path}/bag")
    noise = np.random.default_rng(0).integers(0, 255, (80, 160, 3), dtype=np.uint8)
    told: list[Any] = []
    with publishing(ros, "camera/image_raw") as sender:
        node = rclpy.create_node("listener")
        ros.add_node(node)
        node.create_subscription(
            message_class(TOPICS["diagnostics"].type), "/diagnostics", told.append, requested_qos("diagnostics", False)
        )
        until(ros, lambda: sender.get_subscription_count() > 0, "the recorder subscribes")
        until(ros, lambda: bool(told), "the recorder tells that it records")
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
        sent = 0

        def failed() -> bool:
            nonlocal sent
            sender.publish(encode(Frame(sent, noise), make))
            sent += 1
            return any(status.level == b"\x02" for message in told for status in message.status)

        until(ros, failed, "the recorder tells of the failure")
        until(ros, lambda: sender.get_subscription_count() == 0, "it listens no more")
        for _ in range(20):
            ros.spin_once(timeout_sec=0.02)
        ros.remove_node(node)
        node.destroy_node()
    assert process.poll() is None
    code, said = ended(process)
    assert code == 0
    assert said.count("recording has ended: ") == 1
    first, *_, status = [status for message in told for status in message.status]
    assert {one.name for one in (first, status)} == {"recorder_node: recording"}
    assert first.level == b"\x00"
    assert status.level == b"\x02"
    assert re.search(r"bag: cannot be written \(File too large\)", status.message)
    reader = BagReader(tmp_path / "bag")
    stamps = [record.stamp for _, _, record in reader.messages(["camera/image_raw"])]
    assert len(stamps) > 15
    assert stamps == list(range(stamps[0], stamps[0] + len(stamps)))


def test_splits_snapshots_and_contract_come_by_parameters(ros: Executor, recorder: Start, tmp_path: Path) -> None:
    process = recorder(
        f"path:={tmp_path}/bag", "max_bag_duration:=1", f"snapshots:={tmp_path}/snapshots", "snapshot_before_s:=0.5",
        "snapshot_after_s:=0.2", f"config:={CAR_YAML}",
    )  # fmt: skip
    topic = "safety_node/barriers"
    with publishing(ros, topic) as sender:
        until(ros, lambda: sender.get_subscription_count() > 0, "the recorder subscribes")
        for index in range(150):
            acts = "lane" if index == 75 else ""
            barriers = (BarrierState("lane", 1.0, 1.0, 0.0),)
            state = SafetyState(index, Mode.NORMAL, (0.0, 0.0), (0.0, 0.0), barriers, acts)
            sender.publish(encode(state, make))
            end = time.monotonic() + 0.02
            while time.monotonic() < end:
                ros.spin_once(timeout_sec=0.005)
        assert sender.wait_for_all_acked(Duration(seconds=20))
    code, said = ended(process)
    assert code == 0
    assert "ERROR" not in said
    reader = BagReader(tmp_path / "bag")
    assert reader.counts[f"/{topic}"] == 150
    assert len(reader.files) >= 3
    assert reader.contract() == contract_of(CAR_YAML)
    (snapshot,) = (tmp_path / "snapshots").iterdir()
    stamps = [record.stamp for _, _, record in BagReader(snapshot).messages([topic])]
    assert stamps[0] < 75 < stamps[-1]
    assert 5 < len(stamps) < 75
    assert BagReader(snapshot).contract()["snapshot_cause"] == "lane"


@pytest.mark.parametrize(
    ("parameter", "said"),
    [
        ("max_bag_size:=-1", r"'max_bag_size' is -1; it must be int, 0 or more"),
        ("max_bag_duration:=long", r"'max_bag_duration' is 'long'; it must be float, 0 or more"),
        ("path:=''", r"'path' must name the folder to make, or 'snapshots'"),
        ("bundle:=/nowhere", r"/nowhere: no such bundle"),
    ],
)
def test_refused_parameters_are_named(recorder: Start, tmp_path: Path, parameter: str, said: str) -> None:
    process = recorder(f"path:={tmp_path}/bag", parameter)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 2
    assert re.search(said, error)
    assert not (tmp_path / "bag").exists()


@pytest.mark.slow
def test_a_kill_at_any_moment_costs_less_than_a_second(ros: Executor, recorder: Start, tmp_path: Path) -> None:
    """Little data, so that no chunk is ever full: what is there was flushed by time."""
    moments = random.Random(0)
    for first in range(0, KILLED, AT_ONCE):
        bags = [tmp_path / f"bag{number}" for number in range(first, first + AT_ONCE)]
        namespace = f"/from_{first}"  # who was killed is listed for a while still
        processes = [recorder(f"path:={bag}", namespace=namespace) for bag in bags]
        with publishing(ros, "truth", namespace) as sender:
            until(ros, lambda: sender.get_subscription_count() == AT_ONCE, "the recorders subscribe")
            begun = time.time_ns()
            kills = sorted((moments.uniform(1.2, 4.0), index) for index in range(AT_ONCE))
            killed = [0] * AT_ONCE
            sent: list[int] = []
            while kills:
                sent.append(time.time_ns())
                sender.publish(encode(Values(sent[-1], {"speed": 1.0}), make))
                ros.spin_once(timeout_sec=0.01)
                if time.time_ns() - begun > kills[0][0] * 1e9:
                    _, index = kills.pop(0)
                    processes[index].kill()
                    killed[index] = time.time_ns()
        for process in processes:
            process.communicate(timeout=120)
        for bag, at in zip(bags, killed, strict=True):
            reader = BagReader(bag)
            assert reader.interrupted
            held = [record.stamp for _, _, record in reader.messages(["truth"])]
            assert held == sent[sent.index(held[0]) :][: len(held)]
            assert not [stamp for stamp in sent if held[-1] < stamp < at - LOST_S * 1e9]
