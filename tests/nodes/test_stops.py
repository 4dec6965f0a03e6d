# SPDX-License-Identifier: Apache-2.0
"""How the safety node stops the car: on request, by emergency stop, and when it goes down itself."""

import threading
import time

import pytest
from plant import LOCK_STEP, STANDS, Plant, call, finite, let_go, until
from rclpy.experimental import EventsExecutor
from rclpy.lifecycle import TransitionCallbackReturn

from tidegate.nodes import filter_node
from tidegate.nodes.safety_node import SafetyNode
from tidegate.records import Mode, SafetyState


def test_a_short_emergency_stop_stops_for_good_until_a_reset(plant: Plant, node: SafetyNode) -> None:
    plant.drive(5.0)
    plant.publish("emergency_stop", True)
    plant.publish("emergency_stop", False)
    until(plant.executor, lambda: plant.round().mode == Mode.STOPPING, "STOPPING")
    plant.speed = 0.0
    assert plant.rounds(STANDS).mode == Mode.STOPPED
    assert plant.rounds(50).mode == Mode.STOPPED
    assert call(plant, "safety_node/reset").success
    assert plant.rounds(3).mode == Mode.NORMAL


def test_a_stumble_at_the_start_is_forgiven_a_later_one_is_not(plant: Plant, node: SafetyNode) -> None:
    def stumble() -> None:
        plant.change = {topic: lambda _: None for topic in Plant.CAMERA}
        assert plant.rounds(200).mode == Mode.STOPPED
        plant.change = {}

    plant.drive(0.0)
    stumble()
    assert plant.rounds(400).mode == Mode.NORMAL
    stumble()
    assert plant.rounds(400).mode == Mode.STOPPED


def test_an_emergency_stop_from_before_it_started_counts(plant: Plant, request: pytest.FixtureRequest) -> None:
    """A hardware chain that speaks once and leaves its word behind (transient local)."""
    plant.publish("emergency_stop", True)
    request.getfixturevalue("node")
    assert plant.rounds(100).mode == Mode.STOPPED
    assert plant.used is not None
    assert plant.used.flags["emergency_stop"]


def test_no_reset_while_the_emergency_stop_holds(plant: Plant, node: SafetyNode) -> None:
    plant.publish("emergency_stop", True)
    plant.rounds(60)
    for _ in range(3):
        assert call(plant, "safety_node/reset").success
        assert plant.rounds(5).mode == Mode.STOPPED
    plant.publish("emergency_stop", False)
    plant.rounds(60)
    call(plant, "safety_node/reset")
    assert plant.rounds(60).mode == Mode.NORMAL


def test_an_emergency_stop_that_must_speak_and_falls_silent_counts_as_pressed(
    ros: EventsExecutor, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = SafetyNode([*LOCK_STEP, "-p", "safety.emergency_stop_timeout_s:=0.2"])
    ros.add_node(made)
    try:
        assert made.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert made.trigger_activate() == TransitionCallbackReturn.SUCCESS
        assert plant.rounds(100).mode == Mode.STOPPED, "it never spoke"
        until(ros, lambda: plant.publishers["emergency_stop"].get_subscription_count() > 0, "the node listens")

        def speaking(rounds: int) -> SafetyState:
            for _ in range(0, rounds, 10):
                plant.publish("emergency_stop", False)
                state = plant.rounds(10)
            return state

        assert speaking(60).mode == Mode.NORMAL
        plant.speed = 3.0
        assert speaking(420).mode == Mode.NORMAL
        assert plant.rounds(20).mode == Mode.NORMAL
        assert plant.rounds(40).mode == Mode.STOPPING
        assert plant.used is not None
        assert plant.used.flags["emergency_silent"]
        plant.speed = 0.0
        assert speaking(STANDS + 100).mode == Mode.STOPPED, "it speaks again: only a reset leads out"
    finally:
        plant.close()
        monkeypatch.setattr(filter_node, "BLIND_S", 0.0)
        made.close()
        let_go(ros, made)
        made.destroy_node()


def test_stop_is_a_service(plant: Plant, node: SafetyNode) -> None:
    plant.drive(5.0)
    assert call(plant, "safety_node/stop").success
    assert plant.round().mode == Mode.STOPPING
    plant.speed = 0.0
    assert plant.rounds(STANDS).mode == Mode.STOPPED


def test_going_down_brakes_to_standstill_before_it_falls_silent(plant: Plant, node: SafetyNode) -> None:
    """The executor is busy with the transition, so the car runs in a thread of its own here."""
    plant.drive(5.0)
    ended = threading.Event()
    other = EventsExecutor()
    let_go(plant.executor, plant.node)
    other.add_node(plant.node)
    plant.executor = other
    seen = []

    def drive() -> None:
        while not ended.is_set() and Mode.STOPPED not in seen:
            plant.speed = max(0.0, plant.speed - 0.05)
            try:
                seen.append(plant.round().mode)
            except AssertionError:
                return

    thread = threading.Thread(target=drive)
    thread.start()
    assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    ended.set()
    thread.join()
    assert seen[-1] == Mode.STOPPED
    assert Mode.STOPPING in seen
    assert (plant.commands[-1].effort[2:] < 0).all()
    finite(plant)


def test_going_down_without_anybody_who_tells_the_time_ends_with_the_brakes(plant: Plant, node: SafetyNode) -> None:
    plant.drive(5.0)
    assert plant.command is not None
    assert plant.command.effort[2:].sum() > 0
    heard = len(plant.commands)
    for topic in (*Plant.SENSORS, "points"):
        plant.node.destroy_publisher(plant.publishers.pop(topic))
    until(plant.executor, node._alone, "the sensors are gone")
    node.close()
    until(plant.executor, lambda: len(plant.commands) > heard and plant.command.effort[-1] < -100, "the brakes")
    finite(plant)


@pytest.mark.parametrize(("after", "anew"), [(0.9, False), (1.05, False), (1.2, True), (7.0, True)])
def test_after_a_tick_that_is_late_the_next_one_waits_for_a_whole_period(
    node: SafetyNode, monkeypatch: pytest.MonkeyPatch, after: float, anew: bool
) -> None:
    """Two ticks in quick succession changed torques by twice what the actuators do in that time."""
    clock, restarts = [1_000_000_000], []

    class Timer:
        def reset(self) -> None:
            restarts.append(clock[0])

    monkeypatch.setattr(node, "_timer", Timer())
    monkeypatch.setattr(node, "_tick_now", lambda: None)
    monkeypatch.setattr(node, "destroy_timer", lambda timer: None)
    monkeypatch.setattr(time, "monotonic_ns", lambda: clock[0])
    node._timer_fired()
    restarts.clear()
    clock[0] += round(after * node._period)
    node._timer_fired()
    assert restarts == [clock[0]] * anew
    monkeypatch.undo()


def test_a_tick_that_was_due_when_it_went_down_is_none(plant: Plant, node: SafetyNode) -> None:
    """The executor may have queued the timer's call, and then calls it after the timer is gone."""
    node.close()
    node._timer_fired()
    assert plant.commands == []
