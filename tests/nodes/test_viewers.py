# SPDX-License-Identifier: Apache-2.0
"""What is only looked at, over DDS: drawn while somebody looks, true to what the graph knows, never recorded."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from plant import CAR_YAML, until
from rclpy.executors import Executor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message

from domains import random_domain
from tidegate.bundle import Bundle
from tidegate.errors import BundleError, SettingsError
from tidegate.messages import TOPICS, camera_info, decode, encode
from tidegate.nodes.children import Child
from tidegate.nodes.main import VIEWER_NICE
from tidegate.nodes.markers_node import MarkersNode
from tidegate.nodes.recorder_node import RecorderNode
from tidegate.nodes.saliency_node import SaliencyNode
from tidegate.nodes.topics import make, message_class, offered_qos, ros_name
from tidegate.nodes.viewer_node import ViewerNode
from tidegate.perception import Perception
from tidegate.perception.saliency import overlay
from tidegate.records import BarrierState, Frame, ImageHealth, LaneEstimate, Level, Mode, Odometry, SafetyState
from tidegate.settings import Settings
from tidegate.share import share_path

BUNDLE = share_path("models/car-ltc19")
NOW = 3_000_000_000
FILE = ["--ros-args", "--params-file", str(CAR_YAML)]


class Bench:
    """Feeds a viewer's node and, if it looks, keeps what is shown."""

    def __init__(self, executor: Executor, viewer: ViewerNode) -> None:
        self.executor, self.viewer, self.got = executor, viewer, []
        self.own = rclpy.create_node("bench")
        for one in (viewer, self.own):
            executor.add_node(one)
        self._kind = message_class(TOPICS[viewer.SHOWS].type)
        self._senders = {
            topic: self.own.create_publisher(message_class(TOPICS[topic].type), topic, offered_qos(topic, False))
            for topic in viewer.HEARS
        }

    def look(self) -> Any:
        return self.own.create_subscription(
            self._kind,
            ros_name(self.viewer.SHOWS),
            lambda data: self.got.append(deserialize_message(data, self._kind)),
            QoSProfile(depth=10),
            raw=True,
        )

    def send(self, topic: str, record: Any) -> None:
        self._senders[topic].publish(encode(record, make))

    def heard(self) -> int:
        """How many inputs the viewer has subscribed to."""
        return sum(sender.get_subscription_count() > 0 for sender in self._senders.values())

    def close(self) -> None:
        self.viewer.close()
        for one in (self.viewer, self.own):
            self.executor.remove_node(one)
            one.destroy_node()


@pytest.fixture
def markers(ros: Executor) -> Iterator[Bench]:
    made = Bench(ros, MarkersNode(FILE))
    yield made
    made.close()


@pytest.fixture
def saliency(ros: Executor) -> Iterator[Bench]:
    made = Bench(ros, SaliencyNode([*FILE, "-p", f"bundle:={BUNDLE}"]))
    yield made
    made.close()


def names(array: Any) -> set[str]:
    return {marker.ns for marker in array.markers}


def test_markers_tell_of_lane_stop_command_and_verdict_while_somebody_looks(markers: Bench) -> None:
    state = SafetyState(NOW, Mode.HOLD, (0.0, 0.01), (-900.0, 0.01), (BarrierState("lane", 0.3, 0.0, 0.0),), "lane")
    looking = markers.look()
    until(markers.executor, lambda: markers.heard() == len(MarkersNode.HEARS), "the node subscribes")

    def shown() -> bool:
        markers.send("odom", Odometry(NOW, 0.0, 0.0, 0.0, 8.0, 0.0))
        markers.send("health", ImageHealth(NOW, Level.OK))
        markers.send("lane", LaneEstimate(NOW, 0.0, 0.0, np.zeros(4), np.full(6, 0.001)))
        markers.send("safety_node/barriers", state)
        return any(names(array) == {"lane", "lane_bound", "stop", "command", "verdict"} for array in markers.got)

    until(markers.executor, shown, "all groups are drawn")
    (text,) = [marker.text for marker in markers.got[-1].markers if marker.ns == "verdict"]
    assert text.splitlines()[:2] == ["HOLD", "lane acts"]
    markers.own.destroy_subscription(looking)
    until(markers.executor, lambda: markers.heard() == 0, "nobody looks, nothing is heard")


def test_a_lane_of_an_image_that_cannot_be_trusted_is_not_drawn(markers: Bench) -> None:
    markers.look()
    until(markers.executor, lambda: markers.heard() == len(MarkersNode.HEARS), "the node subscribes")

    def shown() -> bool:
        markers.send("odom", Odometry(NOW, 0.0, 0.0, 0.0, 8.0, 0.0))
        markers.send("health", ImageHealth(NOW, Level.ERROR, ("over-exposed",)))
        markers.send("lane", LaneEstimate(NOW, 0.0, 0.0, np.zeros(4), np.full(6, 0.001)))
        markers.send("safety_node/barriers", SafetyState(NOW, Mode.HOLD, (0.0, 0.0), (0.0, 0.0), ()))
        return any("stop" in names(array) for array in markers.got)

    until(markers.executor, shown, "the rest is drawn")
    assert not any("lane" in names(array) for array in markers.got)


def test_the_overlay_is_that_of_perception_with_the_stamp_of_its_frame(saliency: Bench, settings: Settings) -> None:
    shape = (settings.camera.height, settings.camera.width, 3)
    frame = Frame(NOW, np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    assert saliency.heard() == 0
    looking = saliency.look()
    until(saliency.executor, lambda: saliency.heard() == len(SaliencyNode.HEARS), "the node subscribes")

    def shown() -> bool:
        saliency.send("camera/image_raw", Frame(1, np.zeros((4, 4, 3), np.uint8)))  # of another size: left out
        saliency.send("camera/image_raw", frame)
        return bool(saliency.got)

    until(saliency.executor, shown, "an overlay")
    got = decode("saliency", saliency.got[0])
    assert got.stamp == NOW
    direct = Perception(Bundle.load(BUNDLE, "car"), settings)
    plain = overlay(frame.image, direct.saliency(frame))
    np.testing.assert_array_equal(got.image, plain)
    assert (got.image != frame.image).any()
    info = camera_info(NOW, settings.camera)
    info.k[0, 2] += 6.0
    direct.calibrate(info)
    rectified = overlay(frame.image, direct.saliency(frame))
    assert (rectified != plain).any()

    def told() -> bool:
        if not saliency.viewer._newest:  # more would keep the executor from the viewer's timer
            saliency.send("camera/camera_info", info)
            saliency.send("camera/image_raw", frame)
        return any(np.array_equal(decode("saliency", one).image, rectified) for one in saliency.got)

    until(saliency.executor, told, "an overlay of the camera that told of itself")
    saliency.own.destroy_subscription(looking)
    until(saliency.executor, lambda: saliency.heard() == 0, "nobody looks, nothing is heard")


def test_saliency_without_a_bundle_is_refused(ros: Executor, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such bundle"):
        SaliencyNode([*FILE, "-p", f"bundle:={tmp_path}/nothing"])


def test_a_recorder_does_not_look(markers: Bench, tmp_path: Path) -> None:
    """It would keep the viewers' nodes at work and fill the bag."""
    recorder = RecorderNode(["--ros-args", "-p", f"path:={tmp_path}/bag"])
    markers.executor.add_node(recorder)
    until(markers.executor, lambda: markers.heard() == 4, "the inputs are recorded")
    assert recorder.count_publishers("markers") == 1
    assert recorder.count_subscribers("markers") == 0
    markers.executor.remove_node(recorder)
    recorder.close()
    recorder.destroy_node()


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch) -> None:
    """A domain of its own: nobody of the test before is still listed."""
    monkeypatch.setenv("ROS_DOMAIN_ID", random_domain())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["markers_node", "saliency_node"])
def test_as_a_process_it_yields_to_all_others_and_goes_down_when_asked(domain: None, ros: Executor, name: str) -> None:
    own = rclpy.create_node("bench")
    ros.add_node(own)
    bundle = ["-p", f"bundle:={BUNDLE}"] if name == "saliency_node" else []
    child = Child(name, [*FILE[1:], *bundle], lambda *said: None)
    topic = name.removesuffix("_node")
    try:
        until(ros, lambda: own.count_publishers(topic) or child.code is not None, "it is up")
        assert child.code is None, child.problem
        until(ros, lambda: os.getpriority(os.PRIO_PROCESS, child.pid) == VIEWER_NICE, "the thread that spins yields")
        threads = [int(one.name) for one in Path(f"/proc/{child.pid}/task").iterdir()]
        kept = [one for one in threads if os.getpriority(os.PRIO_PROCESS, one) == os.getpriority(os.PRIO_PROCESS, 0)]
        # all but the one that spins and the executor's timers: a publisher may wait for a lock that the others hold
        assert len(threads) - 2 <= len(kept) < len(threads)
        child.ask_to_stop()
        until(ros, lambda: child.code is not None, "it goes down")
    finally:
        code = child.end()
    assert code == 0, child.problem
    ros.remove_node(own)
    own.destroy_node()


def test_the_rate_changes_at_run_time_and_nothing_else_does(saliency: Bench) -> None:
    node = saliency.viewer
    assert node._timer.timer_period_ns == 200_000_000
    assert node.set_parameters([Parameter("rate_hz", value=2.0)])[0].successful
    assert node._timer.timer_period_ns == 500_000_000
    for value in (0.0, -1.0, 31.0, math.nan):
        refused = node.set_parameters([Parameter("rate_hz", value=value)])[0]
        assert not refused.successful
        assert "0.1 to 30 Hz" in refused.reason
    assert "read at the node's start" in node.set_parameters([Parameter("bundle", value="/other")])[0].reason
    assert node._timer.timer_period_ns == 500_000_000
    with pytest.raises(SettingsError, match=r"'rate_hz' is 99; it must be 0.1 to 30"):
        MarkersNode([*FILE, "-p", "rate_hz:=99.0"])
