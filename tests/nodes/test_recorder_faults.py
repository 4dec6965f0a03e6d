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
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from plant import CAR_YAML, until
from rclpy.duration import Duration
from rclpy.executors import Executor

from tidegate.bag import BagReader
from tidegate.errors import BagError
from tidegate.messages import TOPICS, encode
from tidegate.nodes.children import environment
from tidegate.nodes.recorder_node import HELD_UP_S
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


@contextmanager
def diagnosed(executor: Executor) -> Iterator[list[Any]]:
    """A list that grows with what is told on ``/diagnostics``."""
    told: list[Any] = []
    node = rclpy.create_node("listener")
    executor.add_node(node)
    kind, profile = message_class(TOPICS["diagnostics"].type), requested_qos("diagnostics", False)
    node.create_subscription(kind, "/diagnostics", lambda message: told.extend(message.status), profile)
    yield told
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
    with publishing(ros, "camera/image_raw") as sender, diagnosed(ros) as told:
        until(ros, lambda: sender.get_subscription_count() > 0, "the recorder subscribes")
        until(ros, lambda: bool(told), "the recorder tells that it records")
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
        sent = 0

        def failed() -> bool:
            nonlocal sent
            sender.publish(encode(Frame(sent, noise), make))
            sent += 1
            return any(status.level == b"\x02" for status in told)

        until(ros, failed, "the recorder tells of the failure")
        until(ros, lambda: sender.get_subscription_count() == 0, "it listens no more")
        for _ in range(20):
            ros.spin_once(timeout_sec=0.02)
    assert process.poll() is None
    code, said = ended(process)
    assert code == 0
    assert said.count("recording has ended: ") == 1
    first, *_, status = told
    assert {one.name for one in (first, status)} == {"recorder_node: recording"}
    assert first.level == b"\x00"
    assert status.level == b"\x02"
    assert re.search(r"bag: cannot be written \(File too large\)", status.message)
    reader = BagReader(tmp_path / "bag")
    stamps = [record.stamp for _, _, record in reader.messages(["camera/image_raw"])]
    assert len(stamps) > 15
    assert stamps == list(range(stamps[0], stamps[0] + len(stamps)))


def test_a_recorder_that_stood_still_warns_for_it_may_be_deaf(ros: Executor, recorder: Start, tmp_path: Path) -> None:
    process = recorder(f"path:={tmp_path}/bag")
    with diagnosed(ros) as told:
        until(ros, lambda: any(status.level == b"\x00" for status in told), "the recorder tells that it records")
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.1 * HELD_UP_S)
        process.send_signal(signal.SIGCONT)
        until(ros, lambda: any(status.level == b"\x01" for status in told), "the recorder warns")
    assert re.fullmatch(r"was held up for \d+\.\d s: some topics may be heard no more", told[-1].message)
    code, said = ended(process)
    assert code == 0
    assert said.count("held up for") == 1


@pytest.mark.slow
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


def read(bag: Path, topic: str) -> list[int]:
    """Stamps of the records on a topic of a bag that was cut off, perhaps before the first reached the disk."""
    try:
        reader = BagReader(bag)
    except BagError as error:
        if "no message can be read" not in str(error):
            raise
        return []
    assert not reader.indexed
    return [record.stamp for _, _, record in reader.messages([topic])] if reader.held(topic) else []


@pytest.mark.slow
@pytest.mark.parametrize("images", [False, True])
def test_a_kill_at_any_moment_costs_less_than_a_second(
    ros: Executor, recorder: Start, tmp_path: Path, images: bool
) -> None:
    """Little data, so that no chunk is ever full and what is there was flushed by time; and so much that a file is
    followed by the next several times a second."""
    moments, files = random.Random(int(images)), 0
    noise = np.random.default_rng(0).integers(0, 255, (80, 160, 3), dtype=np.uint8)
    more = ["max_bag_size:=300000"] * images
    topics = ["truth", "camera/image_raw"][: 1 + images]
    for first in range(0, KILLED // 2, AT_ONCE):
        bags = [tmp_path / f"bag{number}" for number in range(first, first + AT_ONCE)]
        namespace = f"/from_{first}_{images:d}"  # who was killed is listed for a while still
        processes = [recorder(f"path:={bag}", *more, namespace=namespace) for bag in bags]
        with ExitStack() as stack:
            senders = [stack.enter_context(publishing(ros, topic, namespace)) for topic in topics]
            for sender in senders:
                until(ros, lambda sender=sender: sender.get_subscription_count() == AT_ONCE, "the recorders subscribe")
            begun = time.time_ns()
            after = [moments.uniform(0.1, 0.5), *(moments.uniform(0.1, 4.0) for _ in range(AT_ONCE - 1))]
            kills = sorted((seconds, index) for index, seconds in enumerate(after))
            killed = [0] * AT_ONCE
            sent: dict[str, list[int]] = {topic: [] for topic in topics}
            while kills:
                now = time.time_ns()
                sent["truth"].append(now)
                senders[0].publish(encode(Values(now, {"speed": 1.0}), make))
                if images and len(sent["truth"]) % 5 == 0:  # five recorders at once have to keep up
                    sent[topics[1]].append(now)
                    senders[1].publish(encode(Frame(now, noise), make))
                ros.spin_once(timeout_sec=0.01)
                if time.time_ns() - begun > kills[0][0] * 1e9:
                    _, index = kills.pop(0)
                    processes[index].kill()
                    killed[index] = time.time_ns()
        for process in processes:
            process.communicate(timeout=120)
        for topic in topics:
            held = [read(bag, topic) for bag in bags]
            # large best-effort messages wait in the sender's shared memory, where those of the killed take up room
            arrived = sent[topic] if topic == "truth" else sorted({stamp for one in held for stamp in one})
            for bag, one, at in zip(bags, held, killed, strict=True):
                last = one[-1] if one else 0
                lost = [stamp for stamp in arrived if last < stamp < at - LOST_S * 1e9]
                assert not lost, f"{bag.name}, {topic}: {len(one)} held, {len(lost)} of {len(arrived)} lost"
                begin = arrived.index(one[0]) if one else 0
                assert one == (arrived[begin:][: len(one)] if topic == "truth" else sorted(one))
        files = max(files, *(len(list(bag.glob("*.mcap"))) for bag in bags))
    assert (files > 2) is images
