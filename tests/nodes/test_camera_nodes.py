# SPDX-License-Identifier: Apache-2.0
"""Perception and policy nodes over DDS: they say what their objects say, and survive what a camera may send."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from plant import CAR_YAML, until
from rclpy.executors import Executor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.serialization import deserialize_message

from tidegate.bundle import Bundle
from tidegate.liquid import LiquidPolicy
from tidegate.messages import TOPICS, camera_info, decode, decode_policy, encode, layers_of, stamp_of, statuses
from tidegate.nodes import camera_node
from tidegate.nodes.perception_node import PerceptionNode
from tidegate.nodes.policy_node import PolicyNode
from tidegate.nodes.topics import latched_qos, make, message_class, offered_qos, requested_qos, ros_name
from tidegate.perception import Perception
from tidegate.records import CameraInfo, Features, Frame, Level, Odometry
from tidegate.settings import Settings

PERIOD = 50_000_000
HEARD = ("features", "lane", "health")


class Bench:
    """Publishes to a node under test and keeps what it publishes, by topic."""

    def __init__(
        self, executor: Executor, node: Any, sent: tuple[str, ...], heard: tuple[str, ...], lock_step: bool = True
    ) -> None:
        self.executor, self.node, self.got = executor, node, {topic: [] for topic in heard}
        self.own = rclpy.create_node("bench")
        for one in (node, self.own):
            executor.add_node(one)
        self._publishers = {
            topic: self.own.create_publisher(
                message_class(TOPICS[topic].type), ros_name(topic), offered_qos(topic, lock_step)
            )
            for topic in sent
        }
        for topic in heard:
            kind, profile = message_class(TOPICS[topic].type), requested_qos(topic, lock_step)
            self.own.create_subscription(kind, ros_name(topic), self._keep(topic), profile, raw=True)
        assert node.trigger_configure() == node.trigger_activate() == TransitionCallbackReturn.SUCCESS

    def send(self, topic: str, message: Any) -> None:
        self._publishers[topic].publish(message)

    def wait(self, topic: str, count: int) -> list[Any]:
        until(self.executor, lambda: len(self.got[topic]) >= count, f"{count} × {topic}")
        return self.got[topic]

    def close(self) -> None:
        self.node.close()
        for one in (self.node, self.own):
            self.executor.remove_node(one)
            one.destroy_node()

    def _keep(self, topic: str) -> Callable[[bytes], None]:
        def keep(data: bytes) -> None:
            message = deserialize_message(data, message_class(TOPICS[topic].type))
            self.got[topic].append(decode(topic, message) if TOPICS[topic].record else message)

        return keep


def arguments(bundle: Path) -> list[str]:
    return ["--ros-args", "--params-file", str(CAR_YAML), "-p", f"bundle:={bundle}", "-p", "lock_step:=true"]


@pytest.fixture
def perception(ros: Executor, bundle: Path) -> Iterator[Bench]:
    heard = ("features", "lane", "health", "diagnostics")
    made = Bench(ros, PerceptionNode(arguments(bundle)), ("camera/image_raw", "camera/camera_info"), heard)
    yield made
    made.close()


@pytest.fixture
def policy(ros: Executor, bundle: Path) -> Iterator[Bench]:
    heard = ("nominal", "gains", "neurons", "diagnostics")
    made = Bench(ros, PolicyNode(arguments(bundle)), ("features", "odom"), heard)
    yield made
    made.close()


def frame(settings: Settings, stamp: int, seed: int = 0) -> Frame:
    shape = (settings.camera.height, settings.camera.width, 3)
    return Frame(stamp, np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def test_perception_says_what_its_object_says(perception: Bench, bundle: Path, settings: Settings) -> None:
    direct = Perception(Bundle.load(bundle, "car"), settings)
    for index in range(5):
        perception.send("camera/image_raw", encode(frame(settings, (1 + index) * PERIOD, index), make))
    for topic in ("features", "lane", "health"):
        perception.wait(topic, 5)
    for index in range(5):
        percept = direct.process(frame(settings, (1 + index) * PERIOD, index))
        np.testing.assert_array_equal(perception.got["features"][index].values, percept.features.values)
        np.testing.assert_array_equal(perception.got["lane"][index].curvature, percept.lane.curvature)
        assert perception.got["lane"][index].offset == percept.lane.offset
        assert perception.got["health"][index] == percept.health


def spoilt(settings: Settings, how: str, stamp: int = PERIOD) -> Any:
    message = encode(frame(settings, stamp), make)
    if how == "encoding":
        message.encoding = "16UC1"
    elif how == "short":
        message.data = message.data[:100]
    elif how == "empty":
        message.height = message.width = message.step = 0
        message.data = message.data[:0]
    elif how == "size":
        message = encode(Frame(PERIOD, np.zeros((50, 64, 3), np.uint8)), make)
    return message


@pytest.mark.parametrize("how", ["encoding", "short", "empty", "size"])
def test_an_unusable_image_is_bad_health_with_its_reason_and_the_next_one_is_read(
    perception: Bench, settings: Settings, how: str
) -> None:
    perception.send("camera/image_raw", spoilt(settings, how))
    (health,) = perception.wait("health", 1)
    assert health.level == Level.ERROR
    assert health.stamp == PERIOD
    assert health.reasons[0]
    perception.send("camera/image_raw", encode(frame(settings, 2 * PERIOD), make))
    assert np.isfinite(perception.wait("features", 1 + (how == "size"))[-1].values).all()


def test_perception_tells_once_a_second_what_became_of_the_frames(perception: Bench, settings: Settings) -> None:
    lost, sent = {5, 6}, 0
    for index in range(1, 42):
        if index in lost:
            continue
        one = frame(settings, index * PERIOD, seed=index)
        perception.send(
            "camera/image_raw", encode(one, make) if index != 9 else spoilt(settings, "short", index * PERIOD)
        )
        sent += 1
        perception.wait("health", sent)
    first, second = perception.wait("diagnostics", 2)
    assert stamp_of(second) - stamp_of(first) == 20 * PERIOD
    (status,), (later,) = statuses(first), statuses(second)
    assert status.name == "perception_node: camera"
    assert first.status[0].hardware_id == settings.vehicle.name
    assert status.level == Level.WARN
    assert "2 frames dropped" in status.text
    assert status.values == {"rate [Hz]": "18.00", "frames": "19", "frames dropped": "2", "frames not readable": "1"}
    assert later.values == {"rate [Hz]": "20.00", "frames": "39", "frames dropped": "2", "frames not readable": "1"}
    assert (later.level, later.text) == (Level.OK, "20.0 Hz")


def test_a_bundle_whose_lane_has_no_error_bounds_is_told_of(ros: Executor, bundle: Path, tmp_path: Path) -> None:
    replace(Bundle.load(bundle), conformal=()).save(tmp_path)
    bench = Bench(ros, PerceptionNode(arguments(tmp_path)), ("camera/image_raw",), ("health", "diagnostics"))
    for index in range(1, 22):
        bench.send("camera/image_raw", encode(frame(bench.node.settings, index * PERIOD, seed=index), make))
        bench.wait("health", index)
    (message,) = bench.wait("diagnostics", 1)[:1]
    (status,) = statuses(message)
    assert status.level >= Level.WARN
    assert "lane is not calibrated: its error bounds are not known, so lane, edge and sight are off" in status.text
    bench.close()


def test_perception_tells_of_a_camera_that_is_silent(ros: Executor, bundle: Path) -> None:
    real_time = arguments(bundle)[:-2]
    bench = Bench(ros, PerceptionNode(real_time), (), ("diagnostics",), lock_step=False)
    (message,) = bench.wait("diagnostics", 1)[:1]
    (status,) = statuses(message)
    assert (status.level, status.text) == (Level.ERROR, "no frame for 1 s")
    bench.close()


def test_a_camera_that_says_it_is_another_is_rectified_or_bad_health_until_it_takes_it_back(
    perception: Bench, bundle: Path, settings: Settings
) -> None:
    direct, node = Perception(Bundle.load(bundle, "car"), settings), perception.node
    narrow, turned = (camera_info(0, settings.camera) for _ in range(2))
    narrow.k[0, 0] *= 3
    turned.k[0, 2] += 6.0

    def told(info: CameraInfo, known: Callable[[], bool]) -> None:
        perception.send("camera/camera_info", encode(info, make))
        until(perception.executor, known, "what the camera says of itself")

    told(narrow, lambda: bool(node._perception.fault))
    perception.send("camera/image_raw", encode(frame(settings, PERIOD), make))
    (health,) = perception.wait("health", 1)
    assert health.level == Level.ERROR
    assert "may be missing" in health.reasons[0]
    told(turned, lambda: not node._perception.fault)
    direct.calibrate(turned)
    perception.send("camera/image_raw", encode(frame(settings, 2 * PERIOD), make))
    seen = perception.wait("features", 2)[-1]
    np.testing.assert_array_equal(seen.values, direct.process(frame(settings, 2 * PERIOD)).features.values)
    told(replace(turned, k=np.full((3, 3), np.nan)), lambda: bool(node._perception.fault))
    told(camera_info(0, settings.camera), lambda: not node._perception.rectifies)


def test_what_a_camera_said_once_and_left_is_heard(ros: Executor, bundle: Path, settings: Settings) -> None:
    own = rclpy.create_node("camera_driver")
    profile = latched_qos("camera/camera_info")
    sender = own.create_publisher(message_class(TOPICS["camera/camera_info"].type), "camera/camera_info", profile)
    info = camera_info(0, settings.camera)
    info.k[0, 2] += 6.0
    sender.publish(encode(info, make))
    node = PerceptionNode(["--ros-args", "--params-file", str(CAR_YAML), "-p", f"bundle:={bundle}"])
    for one in (own, node):
        ros.add_node(one)
    try:
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        until(ros, lambda: bool(node.get_publishers_info_by_topic("camera/camera_info")), "the driver")
        assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        until(ros, lambda: node._perception.rectifies, "what the driver left")
    finally:
        node.close()
        for one in (own, node):
            ros.remove_node(one)
            one.destroy_node()


def test_what_a_camera_left_is_heard_where_its_driver_was_found_late(
    ros: Executor, bundle: Path, settings: Settings
) -> None:
    node = PerceptionNode(arguments(bundle)[:-2])
    bench = Bench(ros, node, (), (), lock_step=False)
    context = rclpy.Context()  # a participant of its own, which is not known at once
    rclpy.init(context=context)
    driver = rclpy.create_node("camera_driver", context=context)
    profile = latched_qos("camera/camera_info")
    sender = driver.create_publisher(message_class(TOPICS["camera/camera_info"].type), "camera/camera_info", profile)
    info = camera_info(0, settings.camera)
    info.k[0, 2] += 6.0
    sender.publish(encode(info, make))
    until(ros, lambda: node._perception.rectifies, "what the driver left")
    bench.close()
    driver.destroy_node()
    rclpy.try_shutdown(context=context)


def test_frames_whose_time_stands_still_and_a_second_camera_are_told(
    ros: Executor, bundle: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera_node, "PERIOD_S", 0.2)
    bench = Bench(ros, PerceptionNode(arguments(bundle)[:-2]), ("camera/image_raw",), ("diagnostics",), lock_step=False)
    kind = message_class(TOPICS["camera/image_raw"].type)
    bench.own.create_publisher(kind, "camera/image_raw", 1)

    def told() -> list[str]:
        bench.send("camera/image_raw", encode(frame(settings, 0), make))
        return [status.text for one in bench.got["diagnostics"] for status in statuses(one) if "stamps" in status.text]

    until(ros, told, "that no time passes")
    assert told()[0].startswith("frames come, but their stamps do not go on")
    assert "/camera/image_raw is published by /bench and by /bench" in told()[0]
    assert bench.got["diagnostics"][-1].status[0].level == bytes([Level.ERROR])
    bench.close()


def test_policy_says_what_its_object_says_whatever_comes_first(policy: Bench, bundle: Path, settings: Settings) -> None:
    direct = LiquidPolicy(Bundle.load(bundle, "car"), settings)
    random = np.random.default_rng(1)
    seen = [Features((1 + i) * PERIOD, random.standard_normal(32).astype(np.float32)) for i in range(6)]
    motion = [Odometry((1 + i) * PERIOD, 0.0, 0.0, 0.0, float(i), 0.0) for i in range(6)]
    for index in range(6):
        order = [("features", seen[index]), ("odom", motion[index])]
        for topic, record in order if index % 2 else reversed(order):
            policy.send(topic, encode(record, make))
    nominal, neurons = policy.wait("nominal", 6), policy.wait("neurons", 6)
    gains = policy.wait("gains", 6)
    for index in range(6):
        decision = direct.step(seen[index], motion[index])
        assert nominal[index] == decision.nominal
        assert gains[index] == decision.gains
        np.testing.assert_array_equal(neurons[index].values, decision.neurons)


def test_policy_tells_once_a_second_what_its_step_runs_in(policy: Bench, bundle: Path, settings: Settings) -> None:
    for index in range(1, 22):
        policy.send("odom", encode(Odometry(index * PERIOD, 0.0, 0.0, 0.0, 1.0, 0.0), make))
        policy.send("features", encode(Features(index * PERIOD, np.zeros(32, np.float32)), make))
        policy.wait("nominal", index)
    first, second = policy.wait("diagnostics", 2)
    direct = LiquidPolicy(Bundle.load(bundle, "car"), settings)
    assert decode_policy(first) == direct.runs_in
    (status,) = statuses(first)
    assert (status.name, status.node) == ("policy_node: liquid step", "policy_node")
    assert first.status[0].hardware_id == settings.vehicle.name
    assert layers_of(status) == direct.wiring.sizes
    assert sum(layers_of(status).values()) == direct.wiring.neurons
    assert stamp_of(second) - stamp_of(first) == 20 * PERIOD


def test_features_that_are_no_numbers_give_no_command(policy: Bench) -> None:
    policy.send("odom", encode(Odometry(PERIOD, 0.0, 0.0, 0.0, 1.0, 0.0), make))
    policy.send("features", encode(Features(PERIOD, np.full(32, np.nan, np.float32)), make))
    (nominal,) = policy.wait("nominal", 1)
    assert np.isnan([nominal.force, nominal.curvature]).all()
