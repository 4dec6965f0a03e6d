# SPDX-License-Identifier: Apache-2.0
"""What strangers may send to a safety node: it is dropped with a word, and the car brakes by what is sound."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import rclpy
from plant import ARGUMENTS, LOCK_STEP, Plant, call, let_go, until
from rcl_interfaces.srv import SetParameters
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy

from tidegate.messages import TOPICS, encode
from tidegate.nodes import filter_node
from tidegate.nodes.safety_node import SafetyNode
from tidegate.nodes.topics import make, message_class, offered_qos
from tidegate.records import Level, Mode, Points

CUT_OFF = b"\x00\x01\x00\x00\x01\x02\x03"
"""Plain CDR that ends within its first field."""


def replaced(plant: Plant, topic: str, message: Callable[[Any], Any]) -> set[Mode]:
    """Modes of the rounds in which ``topic`` carries ``message`` of each record, in the place of its own."""

    def send(record: Any) -> None:
        plant.publishers[topic].publish(message(record))

    plant.change[topic] = send
    return {plant.round().mode for _ in range(120)}


@pytest.mark.parametrize("topic", ["points", "joint_states", "lane", "nominal"])
def test_bytes_that_are_no_message_are_a_silent_source(plant: Plant, node: SafetyNode, topic: str) -> None:
    plant.drive(5.0)
    assert Mode.STOPPING in replaced(plant, topic, lambda _: CUT_OFF)
    plant.change.clear()
    plant.speed = 0.0
    until(plant.executor, lambda: plant.round().mode == Mode.STOPPED, "STOPPED")


def test_a_cloud_with_a_type_that_there_is_not_is_a_silent_range_sensor(plant: Plant, node: SafetyNode) -> None:
    def unknown(cloud: Points) -> Any:
        message = encode(cloud, make)
        message.fields[0].datatype = 9
        return message

    plant.drive(5.0)
    assert Mode.STOPPING in replaced(plant, "points", unknown)


def test_an_emergency_stop_that_cannot_be_read_counts_as_pressed(plant: Plant, node: SafetyNode) -> None:
    plant.drive(5.0)
    plant.publishers["emergency_stop"].publish(CUT_OFF[:4])
    until(plant.executor, lambda: plant.round().mode == Mode.STOPPING, "STOPPING")
    assert plant.used is not None
    assert plant.used.flags["emergency_stop"]


def test_it_brakes_on_its_way_down_whatever_it_is_sent(plant: Plant, node: SafetyNode) -> None:
    """Without anybody to tell the time: it brakes blindly, and hears what comes all the same."""
    plant.drive(5.0)
    heard = len(plant.commands)
    for topic in ("points", *Plant.SENSORS):
        plant.publishers[topic].publish(CUT_OFF)
        plant.node.destroy_publisher(plant.publishers.pop(topic))
    until(plant.executor, node._alone, "the sensors are gone")
    plant.publishers["lane"].publish(CUT_OFF)
    node.close()
    until(plant.executor, lambda: len(plant.commands) > heard and plant.commands[-1].effort[-1] < -100, "the brakes")


@pytest.fixture
def stranger(plant: Plant) -> Iterator[Any]:
    """A node of somebody else, by the safety node's own name."""
    made = rclpy.create_node("safety_node")
    plant.executor.add_node(made)
    yield made
    let_go(plant.executor, made)
    made.destroy_node()


def advertise(stranger: Any, topic: str) -> Any:
    return stranger.create_publisher(message_class(TOPICS[topic].type), topic, offered_qos(topic, lock_step=True))


def tell(plant: Plant, node: SafetyNode, words: str) -> None:
    """Drive on until the diagnostics say ``words``, as an ERROR."""

    def told() -> bool:
        node._told = 0.0  # they are due
        plant.round()
        return bool(plant.diagnostics) and words in plant.said()

    until(plant.executor, told, words)
    assert plant.diagnostics[-1].status[0].level == bytes([Level.ERROR])


def test_a_second_safety_node_of_the_same_name_is_told_of(plant: Plant, node: SafetyNode, stranger: Any) -> None:
    plant.drive(5.0)
    advertise(stranger, "command")
    tell(plant, node, "'command' is published by /safety_node too")


def test_it_is_not_activated_beside_another_that_it_did_not_know_of_when_it_was_configured(
    plant: Plant, stranger: Any
) -> None:
    late = SafetyNode([*LOCK_STEP, "-r", "__node:=late"])
    plant.executor.add_node(late)
    try:
        assert late.trigger_configure() == TransitionCallbackReturn.SUCCESS
        advertise(stranger, "effort_controller/commands")
        until(plant.executor, lambda: late.count_publishers("effort_controller/commands") == 2, "discovery")
        assert late.trigger_activate() == TransitionCallbackReturn.FAILURE
    finally:
        let_go(plant.executor, late)
        late.destroy_node()


@pytest.mark.parametrize("topic", ["lane", "features"])
def test_two_sources_of_one_input_are_told_of(plant: Plant, node: SafetyNode, stranger: Any, topic: str) -> None:
    plant.drive(5.0)
    sources = [advertise(stranger, topic) for _ in range(1 if topic in plant.publishers else 2)]
    first = "/plant" if topic in plant.publishers else "/safety_node"
    tell(plant, node, f"{topic} is published by {first} and by /safety_node")
    for source in sources:
        stranger.destroy_publisher(source)


def test_an_emergency_stop_that_is_sent_as_best_effort_is_heard(plant: Plant, node: SafetyNode, stranger: Any) -> None:
    plant.drive(5.0)
    plant.node.destroy_publisher(plant.publishers.pop("emergency_stop"))
    loose = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    chain = stranger.create_publisher(message_class(TOPICS["emergency_stop"].type), "emergency_stop", loose)

    def heard() -> bool:
        node._told = 0.0
        plant.round()
        return chain.get_subscription_count() > 0

    until(plant.executor, heard, "it listens")
    chain.publish(encode(True, make))
    until(plant.executor, lambda: plant.round().mode == Mode.STOPPING, "STOPPING")


def test_a_stop_that_no_tick_has_seen_yet_outlives_a_reset(plant: Plant, node: SafetyNode) -> None:
    plant.drive(5.0)
    assert call(plant, "safety_node/stop").success
    assert call(plant, "safety_node/reset").success
    assert plant.round().mode == Mode.STOPPING


def test_a_reset_while_driving_does_not_make_it_believe_a_time_that_ran_back(plant: Plant, node: SafetyNode) -> None:
    plant.drive(5.0)
    plant.change["lane"] = lambda lane: replace(lane, stamp=lane.stamp - 10**9)
    plant.rounds(10)
    assert call(plant, "safety_node/reset").success
    plant.rounds(10)
    assert plant.used is not None
    lane, _ = plant.used.inputs["lane"]
    assert lane > plant.now - 10**9


@pytest.mark.parametrize("topic", ["odom", "lane"])
def test_what_is_stamped_ahead_of_the_time_is_too_old_to_drive_by(plant: Plant, node: SafetyNode, topic: str) -> None:
    plant.change[topic] = lambda record: replace(record, stamp=record.stamp + 500_000_000)
    assert plant.rounds(300).mode == Mode.STOPPED
    tell(plant, node, "is late (500 ms)")
    assert plant.status()[f"stamped ahead [ms]: {topic}"] == "500.0"


def test_simulated_time_that_runs_back_does_not_make_what_was_before_it_young(plant: Plant, node: SafetyNode) -> None:
    plant.drive(5.0)
    plant.tick -= 100
    plant.change = {topic: lambda _: None for topic in (*plant.SENSORS, "points", *plant.CAMERA)}
    plant.round()
    assert plant.used is not None
    assert all(used is None for used in plant.used.inputs.values())


def test_its_clock_cannot_be_changed_while_it_drives(plant: Plant, node: SafetyNode) -> None:
    client = plant.node.create_client(SetParameters, "safety_node/set_parameters")
    until(plant.executor, client.service_is_ready, "parameter service")
    wanted = Parameter("use_sim_time", value=True).to_parameter_msg()
    future = client.call_async(SetParameters.Request(parameters=[wanted]))
    until(plant.executor, future.done, "its answer")
    (result,) = future.result().results
    assert not result.successful
    assert "'use_sim_time' is read when the node is configured" in result.reason
    assert node.get_clock().now().nanoseconds > 10**18


@pytest.mark.parametrize(
    ("flag", "warned"),
    [("use_sim_time:=true", "no time passes on /clock"), ("auto_reset:=true", "the robot drives off by itself")],
)
def test_a_clock_that_stands_and_a_robot_that_releases_itself_are_told(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], flag: str, warned: str
) -> None:
    monkeypatch.setattr(filter_node, "SILENCE_S", 0.05)
    made = SafetyNode([*ARGUMENTS, "-p", flag])
    plant.executor.add_node(made)
    assert made.trigger_configure() == made.trigger_activate() == TransitionCallbackReturn.SUCCESS
    said: list[str] = []

    def told() -> bool:
        said.append(capfd.readouterr().err)
        return warned in "".join(said)

    until(plant.executor, told, warned)
    monkeypatch.setattr(filter_node, "BLIND_S", 0.0)
    made.close()
    let_go(plant.executor, made)
    made.destroy_node()


def test_a_fault_while_it_brakes_on_its_way_down_is_told(
    plant: Plant, node: SafetyNode, capfd: pytest.CaptureFixture[str]
) -> None:
    plant.drive(5.0)
    node.destroy_lifecycle_publisher(node._senders.pop("safety_node/barriers"))
    for topic in ("points", *Plant.SENSORS):
        plant.node.destroy_publisher(plant.publishers.pop(topic))
    until(plant.executor, node._alone, "the sensors are gone")
    assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    assert "could not brake to standstill (KeyError: 'safety_node/barriers')" in capfd.readouterr().err
