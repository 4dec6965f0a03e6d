# SPDX-License-Identifier: Apache-2.0
"""An arm's nodes over real DDS, in lock-step: the same topics and services as a car's, with torques for its wish."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import rclpy

pytest.importorskip("pinocchio")
pytest.importorskip("mujoco")

from arm_graph import ARM_YAML, KINDS, ArmGraph, User, arm, gravity, hurried, patient
from plant import let_go
from rclpy.experimental import EventsExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from std_msgs.msg import Bool

from blocks import ROOT, blocks
from tidegate.errors import SettingsError
from tidegate.messages import TOPICS, encode
from tidegate.nodes import filter_node
from tidegate.nodes.arm_safety_node import ArmSafetyNode
from tidegate.nodes.inbox import Instant
from tidegate.nodes.topics import make, message_class, offered_qos, ros_name
from tidegate.records import JointStates, Mode, Round
from tidegate.safety.ladder import Rung

PERIOD = 2_000_000


@pytest.fixture
def graph(request: pytest.FixtureRequest, ros: EventsExecutor, monkeypatch: pytest.MonkeyPatch) -> Iterator[ArmGraph]:
    made = ArmGraph(ros, *getattr(request, "param", ()))
    yield made
    monkeypatch.setattr(filter_node, "BLIND_S", 0.0)  # nobody is left to see it brake
    made.close()


def inside(user: User) -> None:
    """Every command names the joints and holds numbers inside box and rate."""
    efforts = np.array([command.effort for command in user.heard["command"]])
    assert {command.names for command in user.heard["command"]} == {arm().joint_names}
    assert (np.abs(efforts) <= arm().effort).all()
    assert (np.abs(np.diff(efforts, axis=0)) <= arm().effort_rate * PERIOD / 1e9 + 1e-9).all()


def test_from_a_wish_to_torques_to_a_hold_to_a_stop_and_back(graph: ArmGraph) -> None:
    """The whole way of an arm, and what everybody is told on it."""
    user = graph.user
    user.ticks(60)
    assert user.mode == Mode.STOPPED, "nobody has asked for torques yet"
    assert user.speed < 0.02
    assert "nominal never arrived" in user.said()
    user.wish = hurried
    user.until(Mode.NORMAL)
    patient(user.executor, lambda: user.speed > 0.2, "it moves")
    user.wish = lambda joints: None
    user.until(Mode.HOLD)
    user.until(Mode.STOPPED)
    assert user.speed < 0.03
    user.wish = gravity
    user.ticks(20)
    assert user.call("safety_node/reset").success
    user.until(Mode.NORMAL)
    for topic, kind in KINDS.items():
        assert type(user.newest(topic)) is kind
    state, command = user.newest("safety_node/barriers"), user.newest("command")
    assert {barrier.name for barrier in state.barriers} >= {"position", "velocity", "power", "force"}
    assert state.names == command.names == arm().joint_names
    arrays = user.heard["effort_controller/commands"]
    assert list(arrays[0].data) == user.heard["command"][0].effort.tolist()
    assert user.newest("wrench").frame == "tool"
    assert user.newest("safety_node/inputs").inputs["joints"] is not None
    told = user.newest("diagnostics").status[0]
    assert (told.name, told.hardware_id) == ("safety_node: filter", "arm")
    assert user.newest("truth").values["excess"] == 0
    inside(user)


@pytest.mark.slow
def test_hostile_wishes_break_no_limit_of_the_arm_behind_the_topics(graph: ArmGraph) -> None:
    rng = np.random.default_rng(1000)
    graph.user.wish = lambda joints: rng.choice([-1.5, 1.5], 7) * arm().effort
    graph.user.until(Mode.NORMAL)
    graph.user.ticks(1500)
    assert graph.user.mode == Mode.NORMAL
    assert graph.user.newest("truth").values["excess"] == 0
    inside(graph.user)


def test_emergency_stop_and_the_stop_service_stop_for_good_until_a_reset(graph: ArmGraph) -> None:
    user = graph.user
    user.wish = gravity
    user.until(Mode.NORMAL)
    patient(user.executor, lambda: user.stops.get_subscription_count() > 0, "the node listens")
    for pressed in (True, False):
        user.stops.publish(Bool(data=pressed))
    user.until(Mode.STOPPED)
    user.ticks(50)
    assert user.mode == Mode.STOPPED
    assert user.call("safety_node/reset").success
    user.until(Mode.NORMAL)
    assert user.call("safety_node/stop").success
    user.until(Mode.STOPPED)
    inside(user)


class Told:
    """An arm that is only messages: joint states under full control, one tick each."""

    def __init__(self, graph: ArmGraph) -> None:
        self.graph, self.user, self.now = graph, graph.user, 1_000_000_000
        self.change: Callable[[JointStates], JointStates | None] = lambda record: record
        self.says, self.rounds = (
            self.user.node.create_publisher(
                message_class(TOPICS[topic].type), ros_name(topic), offered_qos(topic, lock_step=True)
            )
            for topic in ("joint_states", "tick")
        )
        self.place = np.array([0.0, 0.3, 0.0, 1.5, 0.0, 1.34, 0.0])

    def tick(self) -> Mode:
        noise = 1e-9 * (1 + self.now // PERIOD % 7)
        one = np.zeros(7)
        record = self.change(JointStates(self.now, arm().joint_names, self.place + noise, one, one))
        if record is not None:
            self.says.publish(encode(record, make))
        self.rounds.publish(encode(Round(self.now, () if record is None else ("joint_states",)), make))
        states = self.user.heard["safety_node/barriers"]
        patient(self.user.executor, lambda: states and states[-1].stamp == self.now, f"the tick of {self.now}")
        self.now += PERIOD
        return states[-1].mode

    def ticks(self, count: int) -> list[Mode]:
        return [self.tick() for _ in range(count)]


class Frozen:
    """The first record for good, with stamps that go on."""

    kept: JointStates | None = None

    def __call__(self, record: JointStates) -> JointStates:
        self.kept = self.kept or record
        return dataclasses.replace(self.kept, stamp=record.stamp)


@pytest.fixture
def told(ros: EventsExecutor, monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    graph = ArmGraph(ros, simulate=False)
    made = Told(graph)
    made.user.wish = gravity
    yield made
    monkeypatch.setattr(filter_node, "BLIND_S", 0.0)
    graph.close()


@pytest.mark.parametrize(
    ("fault", "within"),
    [
        (lambda record: None, 12),
        (lambda record: dataclasses.replace(record, position=record.position * math.nan), 12),
        (lambda record: dataclasses.replace(record, velocity=record.velocity[:3]), 12),
        (lambda record: dataclasses.replace(record, names=record.names[::-1]), 2),
        (Frozen(), 53),
    ],
    ids=["silent", "nan", "short", "swapped", "frozen"],
)
def test_joint_states_that_cannot_be_used_stop_the_arm_within_so_many_ticks(
    told: Told, fault: Callable[[JointStates], JointStates | None], within: int
) -> None:
    assert Mode.NORMAL in told.ticks(120)
    told.change = fault
    seen = told.ticks(within + 1)
    assert seen[0] == Mode.NORMAL or within == 2
    assert Mode.STOPPING in seen
    assert Mode.HOLD not in seen
    inside(told.user)


def test_ticks_that_come_late_are_told(told: Told) -> None:
    assert Mode.NORMAL in told.ticks(120)
    told.now += 2 * PERIOD
    told.tick()
    told.change = lambda record: None
    told.ticks(15)
    assert "1 ticks came late" in told.user.said()


def test_a_limits_row_that_gave_way_in_a_single_tick_is_told(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Mode.NORMAL in told.ticks(120)
    guard = told.graph.safety._supervisor.guard  # type: ignore[union-attr]
    whole = guard.filter

    def gives_way(*given: Any) -> Any:
        found = whole(*given)
        return found._replace(barriers=(*found.barriers[:-1], found.barriers[-1]._replace(relaxed=True)))

    monkeypatch.setattr(guard, "filter", gives_way)
    told.tick()
    monkeypatch.undo()
    told.change = lambda record: None
    told.ticks(15)
    assert f"{whole.barriers[-1].name} gave way in 1 ticks" in told.user.said()


def test_going_down_no_tick_follows_another_sooner_than_a_period(
    ros: EventsExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each changes torques by what drives do in a whole one: the first came at once, and the first blind one too."""
    monkeypatch.setattr(filter_node, "BLIND_S", 0.02)
    graph, times = ArmGraph(ros, simulate=False, lock_step=False), []
    node = graph.safety
    patient(ros, lambda: node._ticked > 0, "it ticks")
    brake, tick = node._brake, node._tick

    def ticked(now: Instant) -> None:
        times.append(now.steady)
        tick(now)

    def braking() -> None:
        node._tick_now()
        times.append(node._ticked)
        node._period *= 20  # longer than a tick takes, on however busy a machine
        node._supervisor.rung = Rung(Mode.NORMAL, node._ticked, ())  # type: ignore[union-attr]
        monkeypatch.setattr(node, "_tick", ticked)
        brake()

    monkeypatch.setattr(node, "_brake", braking)
    graph.close()
    assert len(times) > 5
    assert np.diff(times).min() >= 20 * PERIOD


def test_nothing_is_commanded_before_joint_states_were_seen(told: Told) -> None:
    told.change = lambda record: None
    assert set(told.ticks(20)) == {Mode.STOPPED}
    assert told.user.heard["command"] == []
    told.change = lambda record: record
    told.ticks(2)
    command = told.user.newest("command")
    np.testing.assert_allclose(command.effort, np.zeros(7), atol=arm().effort_rate.max() * 2 * PERIOD / 1e9)


@pytest.mark.real_time
@pytest.mark.slow
def test_the_node_of_the_page_moves_the_arm(ros: EventsExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the simulator's clock, as the launch file runs it; here in one process, so slower joint states are allowed."""
    (block,) = [one.text for one in blocks(ROOT / "docs" / "arm.md") if "class Posture" in one.text]
    page: dict[str, Any] = {}
    exec(block, page)
    monkeypatch.chdir(ROOT)
    seldom = ("safety.ladder.joints_timeout_s:=0.5", "safety.ladder.pause_s:=1.0", "use_sim_time:=true")
    graph = ArmGraph(ros, *seldom, lock_step=False)
    user, posture = graph.user, page["Posture"]()
    ros.add_node(posture)
    user.until(Mode.NORMAL)
    patient(ros, lambda: abs(user.newest("joint_states").position - page["GOAL"]).max() < 0.1, "it is there")
    assert user.newest("truth").values["excess"] == 0
    let_go(ros, posture)
    posture.destroy_node()
    monkeypatch.setattr(filter_node, "BLIND_S", 0.0)
    graph.close()


def test_somebody_else_on_the_controllers_topic_is_a_second_master_too(ros: EventsExecutor) -> None:
    other = rclpy.create_node("other")
    topic = TOPICS["effort_controller/commands"]
    other.create_publisher(message_class(topic.type), ros_name("effort_controller/commands"), 1)
    ros.add_node(other)
    node = ArmSafetyNode(["--ros-args", "--params-file", str(ARM_YAML)])
    ros.add_node(node)
    patient(ros, lambda: node.count_publishers("effort_controller/commands") == 1, "it sees the other")
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    for one in (node, other):
        let_go(ros, one)
        one.destroy_node()


def test_a_second_master_is_refused(graph: ArmGraph, ros: EventsExecutor) -> None:
    rival = ArmSafetyNode(["--ros-args", "-r", "__node:=rival", "--params-file", str(ARM_YAML)])
    ros.add_node(rival)
    patient(ros, lambda: rival.count_publishers("command") == 1, "it sees the first")
    assert rival.trigger_configure() == TransitionCallbackReturn.FAILURE
    let_go(ros, rival)
    rival.destroy_node()


def test_settings_of_a_car_are_refused_by_name(ros: EventsExecutor) -> None:
    car = str(ARM_YAML).replace("arm.yaml", "car.yaml")
    with pytest.raises(
        SettingsError, match=r"car\.yaml: unknown key 'vehicle'; known here: arm, camera, policy, safety, simulator"
    ):
        ArmSafetyNode(["--ros-args", "--params-file", car])
