# SPDX-License-Identifier: Apache-2.0
"""When the safety node ticks: in real time, by /clock, and in a dry run beside the one that drives."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import daqp
import pytest
from plant import ARGUMENTS, LOCK_STEP, Plant, finite, let_go, told_of, until
from rclpy.experimental import EventsExecutor
from rclpy.lifecycle import TransitionCallbackReturn

from tidegate.messages import TOPICS, encode_clock
from tidegate.nodes.safety_node import SafetyNode
from tidegate.nodes.topics import make, message_class, offered_qos, ros_name
from tidegate.records import Level, Mode
from tidegate.settings import Settings


def driving(plant: Plant) -> Callable[[], bool]:
    """Senses in real time each time it is asked, if it is due; whether the car drives."""
    sensed = [0.0]

    def driven() -> bool:
        if time.monotonic() - sensed[-1] > 0.03:
            sensed.append(time.monotonic())
            plant.sense()
            plant.tick += 10
        return plant.state is not None and plant.state.mode == Mode.NORMAL

    return driven


@pytest.mark.real_time
def test_in_real_time_a_slow_solver_is_not_waited_for_which_is_told(
    ros: EventsExecutor, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = daqp.solve

    def sleeps(*programme: Any, **options: Any) -> Any:
        time.sleep(0.01)
        return real(*programme, **options)

    plant = Plant(ros, settings, lock_step=False)
    node = SafetyNode([*ARGUMENTS, "-p", "auto_reset:=true"])
    ros.add_node(node)
    assert node.trigger_configure() == node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    driven = driving(plant)
    until(ros, driven, "NORMAL")
    plant.speed = 8.0
    plant.change["nominal"] = lambda record: replace(record, curvature=0.2)
    monkeypatch.setattr("daqp.solve", sleeps)
    monkeypatch.setattr("tidegate.safety.planar.MANY", 0)  # every row is the solver's
    until(ros, lambda: driven() and plant.used.flags["out_of_time"], "a tick that ran out of time")  # type: ignore
    _, values = told_of(plant, driven, "(out of time, ")
    assert int(values["backup went out: out of time"]) > 0
    assert float(values["solve time, longest [ms]"]) >= 10.0  # the sleep
    finite(plant)
    node.close()
    for made in (node, plant.node):
        let_go(ros, made)
        made.destroy_node()


def test_with_use_sim_time_it_ticks_when_the_clock_passes_a_period_and_only_then(
    ros: EventsExecutor, settings: Settings
) -> None:
    plant = Plant(ros, settings, lock_step=False)
    node = SafetyNode([*ARGUMENTS, "-p", "use_sim_time:=true"])
    ros.add_node(node)
    assert node.trigger_configure() == node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    kind = message_class(TOPICS["clock"].type)
    clock = plant.node.create_publisher(kind, "/clock", offered_qos("clock", lock_step=False))
    until(ros, lambda: clock.get_subscription_count() == 2, "rclpy's own listener and that of the node")
    second = 1_000_000_000
    passed = [second, second + plant.period, second + plant.period + 1, second + 2 * plant.period, second // 2]
    for now in passed:
        heard = node.get_clock().now
        clock.publish(encode_clock(now, make))
        until(ros, lambda now=now, heard=heard: heard().nanoseconds == now, "the clock's message")
        for _ in range(20):
            ros.spin_once(timeout_sec=0.01)
    assert [command.stamp for command in plant.commands] == [now for now in passed if now != second + plant.period + 1]
    node.close()
    for made in (node, plant.node):
        let_go(ros, made)
        made.destroy_node()


@pytest.mark.real_time
def test_in_real_time_silence_alone_stops_the_car(ros: EventsExecutor, settings: Settings) -> None:
    plant = Plant(ros, settings, lock_step=False)
    node = SafetyNode([*ARGUMENTS, "-p", "auto_reset:=true"])
    ros.add_node(node)
    assert node.trigger_configure() == node.trigger_activate() == TransitionCallbackReturn.SUCCESS

    until(ros, driving(plant), "NORMAL")
    until(ros, lambda: plant.state is not None and plant.state.mode == Mode.STOPPING, "STOPPING in silence")
    finite(plant)
    node.close()
    for made in (node, plant.node):
        let_go(ros, made)
        made.destroy_node()


@pytest.mark.parametrize("flag", ["dry_run:=true", "disable:=fliter"])
def test_a_dry_run_in_lock_step_and_a_part_that_is_none_are_refused(
    plant: Plant, ros: EventsExecutor, flag: str
) -> None:
    node = SafetyNode([*LOCK_STEP, "-p", flag])
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    node.destroy_node()


@pytest.mark.real_time
@pytest.mark.parametrize("output", ["effort", "twist"])
def test_a_dry_run_sends_nothing_to_the_actuators_and_tells_what_it_would(
    ros: EventsExecutor, settings: Settings, output: str
) -> None:
    plant = Plant(ros, settings, lock_step=False)
    actuators = ("effort_controller/commands", "cmd_vel", "motion_request")
    heard: dict[str, list[Any]] = {"safety_node/would_command": [], **{topic: [] for topic in actuators}}
    for topic, kept in heard.items():
        plant.node.create_subscription(message_class(TOPICS[topic].type), ros_name(topic), kept.append, 10)
    flags = ("auto_reset:=true", "dry_run:=true", f"vehicle.output:={output}")
    node = SafetyNode([*ARGUMENTS, *(part for flag in flags for part in ("-p", flag))])
    ros.add_node(node)
    assert node.trigger_configure() == node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    driven = driving(plant)
    would = heard["safety_node/would_command"]
    until(ros, lambda: driven() and would and plant.diagnostics and plant.said().startswith("NORMAL"), "NORMAL")
    assert tuple(would[-1].name) == plant.car.joint_names
    assert "dry run: nothing is sent to the actuators" in plant.said()
    assert plant.diagnostics[-1].status[0].level == bytes([Level.WARN])
    assert plant.status()["dry_run"] == "true"
    told = plant.diagnostics[-1].status[0]
    assert (told.name, told.hardware_id) == ("safety_node: filter", plant.settings.vehicle.name)
    assert not any(node.count_publishers(topic) for topic in ("command", *actuators))
    node.close()
    assert plant.commands == []
    assert not any(heard[topic] for topic in actuators)
    for made in (node, plant.node):
        let_go(ros, made)
        made.destroy_node()
