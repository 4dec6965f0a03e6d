# SPDX-License-Identifier: Apache-2.0
"""A recorded drive played into live nodes over DDS: they say again what was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rclpy
from plant import CAR_YAML, until
from rclpy.executors import Executor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.serialization import deserialize_message

from tidegate.bag import BagReader, BagWriter, typestore
from tidegate.bundle import Bundle
from tidegate.errors import BagError
from tidegate.evaluation.difference import Tolerances, against_record, agreement, compare, full_scales
from tidegate.evaluation.replay import replay
from tidegate.evaluation.rollout import Task, run_task
from tidegate.evaluation.topics import small_records
from tidegate.messages import TOPICS, decode
from tidegate.nodes.perception_node import PerceptionNode
from tidegate.nodes.player_node import SENSORS, PlayerNode
from tidegate.nodes.policy_node import PolicyNode
from tidegate.nodes.recorder_node import RecorderNode
from tidegate.nodes.safety_node import SafetyNode
from tidegate.nodes.topics import message_class, offered_qos, ros_name
from tidegate.records import Manual, Mode, Nominal, Odometry
from tidegate.settings import Settings

SECONDS = 2.5
PERIOD = 5_000_000


@pytest.fixture(scope="session")
def bag(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Path:
    """A few seconds of a lock-step drive."""
    path = tmp_path_factory.mktemp("bags") / "drive"
    run_task(Task(str(CAR_YAML), str(bundle), "road", 1003, record=str(path), longest_s=SECONDS))
    return path


class Listener:
    """Keeps what is published on ``topics``: (topic, record or message) in the order of arrival."""

    def __init__(self, executor: Executor, topics: tuple[str, ...]) -> None:
        self.executor, self.node = executor, rclpy.create_node("listener")
        self.heard: list[tuple[str, Any]] = []
        executor.add_node(self.node)
        for topic in topics:
            profile = offered_qos(topic, False)
            profile.depth = 1000
            self.node.create_subscription(
                message_class(TOPICS[topic].type), ros_name(topic), self._keep(topic), profile, raw=True
            )

    def of(self, topic: str) -> list[Any]:
        return [record for name, record in self.heard if name == topic]

    def close(self) -> None:
        self.executor.remove_node(self.node)
        self.node.destroy_node()

    def _keep(self, topic: str) -> Any:
        def keep(data: bytes) -> None:
            message = deserialize_message(data, message_class(TOPICS[topic].type))
            self.heard.append((topic, decode(topic, message) if TOPICS[topic].record else message))

        return keep


def play(executor: Executor, bag: Path, **parameters: object) -> None:
    """Play a bag to its end."""
    flags = [part for name, value in parameters.items() for part in ("-p", f"{name}:={value}")]
    player = PlayerNode(["--ros-args", "-p", f"bag:={bag}", *flags])
    executor.add_node(player)
    until(executor, lambda: player.over, "the end of the bag")
    player.close()
    executor.remove_node(player)
    player.destroy_node()


@pytest.fixture
def listener(ros: Executor) -> Iterator[Listener]:
    made = Listener(ros, ("odom", "manual", "clock", "command"))
    yield made
    made.close()


def records_of(path: Path, last: int = 40) -> Path:
    """A bag of odometry, an operator's topic and a command, 5 ms apart."""
    with BagWriter(path) as writer:
        for index in range(last):
            at = 10**9 + index * PERIOD
            writer.write("odom", Odometry(at - 1000, float(index), 0.0, 0.0, 1.0, 0.0), at)
            writer.write("manual", Manual(at, False, 0.0, 0.0), at)
            writer.write("nominal", Nominal(at, 0.0, 0.0), at)
    return path


def test_sensors_and_operator_are_played_in_order_with_a_clock_after_each_moment(
    ros: Executor, listener: Listener, tmp_path: Path
) -> None:
    play(ros, records_of(tmp_path / "bag"), rate=4.0)
    until(ros, lambda: len(listener.of("odom")) == 40, "all of the odometry")
    assert [record.x for record in listener.of("odom")] == list(range(40))
    last = 10**9 + 39 * PERIOD  # of a topic of depth 1 the newest counts
    until(ros, lambda: listener.of("manual") and listener.of("manual")[-1].stamp == last, "what the operator told last")
    times = [message.clock.sec * 10**9 + message.clock.nanosec for message in listener.of("clock")]
    assert set(times) <= {10**9 + index * PERIOD for index in range(40)}
    assert times == sorted(times)
    assert len(times) > 10  # best effort, the newest alone is kept


def test_the_clock_is_that_of_the_stamps_where_these_are_simulated(
    ros: Executor, listener: Listener, tmp_path: Path
) -> None:
    """A recorder by the wall clock, at half the simulation's pace, that did not keep ``/clock``."""
    received = 1_700_000_000 * 10**9
    with BagWriter(tmp_path / "bag") as writer:
        for index in range(40):
            stamp = 3 * 10**9 + index * PERIOD
            writer.write("odom", Odometry(stamp, float(index), 0.0, 0.0, 1.0, 0.0), received + 2 * index * PERIOD)
    play(ros, tmp_path / "bag", rate=4.0)
    until(ros, lambda: len(listener.of("odom")) == 40, "all of the odometry")
    times = [message.clock.sec * 10**9 + message.clock.nanosec for message in listener.of("clock")]
    assert set(times) <= {3 * 10**9 + index * PERIOD for index in range(40)}
    assert times == sorted(times)
    assert len(times) > 10


@pytest.mark.slow
def test_compressed_images_are_played_as_images(ros: Executor, tmp_path: Path) -> None:
    """And topics of other names as ours."""
    done, data = cv2.imencode(".png", np.full((8, 16, 3), (10, 20, 30), np.uint8))  # blue, green, red
    assert done
    message = typestore.make("sensor_msgs/msg/CompressedImage")
    message.format, message.data = "png", data.reshape(-1)
    with BagWriter(tmp_path / "bag") as writer:
        for stamp in range(3):
            writer.write_raw("/front/image", message.__msgtype__, typestore.serialise(message), stamp)
    camera = Listener(ros, ("camera/image_raw",))
    play(ros, tmp_path / "bag", remap="/front/image:=camera/image_raw")
    until(ros, lambda: len(camera.of("camera/image_raw")) == 3, "all images")
    assert (camera.of("camera/image_raw")[0].image == (30, 20, 10)).all()
    camera.close()


def test_no_clock_is_told_where_none_is_wanted(ros: Executor, listener: Listener, tmp_path: Path) -> None:
    play(ros, records_of(tmp_path / "bag"), rate=10.0, clock_hz=0.0)
    until(ros, lambda: len(listener.of("odom")) == 40, "all of the odometry")
    assert listener.of("clock") == []


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ([], "parameter 'bag'"),
        (["-p", "bag:=/nowhere"], "/nowhere: no such bag"),
        (["-p", "bag:={bag}", "-p", "rate:=0.0"], "rate is 0.0"),
    ],
)
def test_what_cannot_be_played_is_refused(ros: Executor, tmp_path: Path, parameters: list[str], told: str) -> None:
    bag = records_of(tmp_path / "bag", 1)
    with pytest.raises(BagError, match=told):
        PlayerNode(["--ros-args", *(one.format(bag=bag) for one in parameters)])


def test_a_bag_without_a_sensor_is_refused(ros: Executor, tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        writer.write("nominal", Nominal(1, 0.0, 0.0))
    with pytest.raises(BagError, match=f"none of the sensors' topics: {', '.join(SENSORS)}"):
        PlayerNode(["--ros-args", "-p", f"bag:={tmp_path / 'bag'}"])


@pytest.mark.slow
def test_live_nodes_say_again_what_was_recorded(
    ros: Executor, bundle: Path, bag: Path, settings: Settings, tmp_path: Path
) -> None:
    """Over DDS, slowed down so that a busy machine keeps up. Each frame that was processed gives the lane of the
    recording, and its nominal command as long as none before it was lost. Which record a tick gets is a matter of
    moments: what the filter makes of those that it got is in the bag of this very replay, whose own replay, without
    DDS and clocks, gives every record of it again. docs/replay.md states the same."""
    model = replace(Bundle.load(bundle), conformal=())  # its lane, of random weights, is none to drive by
    model.save(tmp_path / "model")
    arguments = ["--ros-args", "--params-file", str(CAR_YAML), "-p", f"bundle:={tmp_path / 'model'}"]
    own = ["--ros-args", "--params-file", str(CAR_YAML), "-p", "auto_reset:=true", "-p", "use_sim_time:=true"]
    recorder = RecorderNode(["--ros-args", "-p", f"path:={tmp_path}/again"])
    nodes = [PerceptionNode(arguments), PolicyNode(arguments), SafetyNode(own)]
    for node in (recorder, *nodes):
        ros.add_node(node)
    for node in nodes:
        assert node.trigger_configure() == node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    until(ros, lambda: recorder.count_subscribers("safety_node/inputs") > 0, "the recorder subscribes")
    play(ros, bag, rate=0.25)
    frames = sorted(small_records(BagReader(bag), ["nominal"])["nominal"])
    until(ros, lambda: recorder.count_publishers("camera/image_raw") == 0, "what was on its way has come")
    for node in (*reversed(nodes), recorder):
        node.close()
        ros.remove_node(node)
        node.destroy_node()
    recorded, live = (small_records(BagReader(path), ["lane", "nominal"]) for path in (bag, tmp_path / "again"))
    assert len(live["nominal"]) > 0.8 * len(frames)
    for stamp, lane in live["lane"].items():
        np.testing.assert_array_equal(lane.curvature, recorded["lane"][stamp].curvature)
        assert lane.offset == recorded["lane"][stamp].offset
    whole = next((place for place, stamp in enumerate(frames) if stamp not in live["nominal"]), len(frames))
    assert [live["nominal"][stamp] for stamp in frames[:whole]] == [recorded["nominal"][at] for at in frames[:whole]]
    made = replay(BagReader(tmp_path / "again"), model, settings)
    found = compare(*against_record(made), full_scales(model, settings), made.start, Tolerances())
    assert not [one for one in found if one.since is not None], agreement(found)
    modes = {state.mode for state in made.recorded["safety_node/barriers"].values()}
    assert made.ticks > 100
    assert Mode.NORMAL in modes
