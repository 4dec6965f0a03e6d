# SPDX-License-Identifier: Apache-2.0
"""The safety node over real DDS, in lock-step with a car of messages: what it must never do, whatever it hears."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from plant import LOCK_STEP, STANDS, Plant, call, finite, let_go, until
from rclpy.experimental import EventsExecutor
from rclpy.lifecycle import TransitionCallbackReturn

from tidegate.messages import TOPICS
from tidegate.nodes.safety_node import SafetyNode
from tidegate.nodes.topics import message_class, ros_name
from tidegate.records import Mode


def test_it_starts_stopped_and_drives_once_released(plant: Plant, node: SafetyNode) -> None:
    assert plant.round().mode == Mode.STOPPED
    plant.drive(5.0)
    assert plant.used is not None
    assert plant.used.inputs["nominal"] is not None
    stamp, age = plant.used.inputs["nominal"]
    assert age == plant.used.stamp - stamp
    finite(plant)


@pytest.mark.parametrize("silent", ["nominal", "lane", "health"])
def test_a_silent_camera_path_holds_then_stops(plant: Plant, node: SafetyNode, silent: str) -> None:
    plant.drive(5.0)
    plant.change[silent] = lambda record: None
    seen = [plant.round().mode for _ in range(120)]
    assert seen.index(Mode.HOLD) < seen.index(Mode.STOPPING)
    assert (plant.commands[-1].effort[2:] < 0).all()  # all wheels brake
    finite(plant)


@pytest.mark.parametrize("silent", ["joint_states", "odom", "imu", "points"])
def test_a_silent_trusted_sensor_stops(plant: Plant, node: SafetyNode, silent: str) -> None:
    plant.drive(5.0)
    plant.change[silent] = lambda record: None
    seen = [plant.round().mode for _ in range(60)]
    assert Mode.STOPPING in seen
    assert Mode.HOLD not in seen
    finite(plant)


POISON = [
    ("nominal", "force"),
    ("nominal", "curvature"),
    ("lane", "offset"),
    ("odom", "speed"),
    ("joint_states", "velocity"),
    ("imu", "linear_acceleration"),
]


@pytest.mark.parametrize(("topic", "field"), POISON)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_no_message(plant: Plant, node: SafetyNode, topic: str, field: str, value: float) -> None:
    def poison(record: Any) -> Any:
        present = getattr(record, field)
        return replace(record, **{field: present * 0 + value if isinstance(present, np.ndarray) else value})

    plant.drive(5.0)
    plant.change[topic] = poison
    modes = [plant.round().mode for _ in range(120)]
    assert modes[-1] in (Mode.STOPPING, Mode.STOPPED)
    finite(plant)


def test_time_that_runs_back_is_not_believed(plant: Plant, node: SafetyNode) -> None:
    plant.drive(5.0)
    plant.change["odom"] = lambda record: replace(record, stamp=record.stamp - 10_000_000_000)
    assert Mode.STOPPING in [plant.round().mode for _ in range(60)]
    plant.speed = 0.0
    plant.change.clear()
    plant.change["odom"] = lambda record: replace(record, stamp=record.stamp - 10_000_000_000)
    until(plant.executor, lambda: "not newer, dropped: odom" in plant.status(), "diagnostics of it")
    finite(plant)


def test_motors_that_brake_get_torques_against_the_rotation(ros: EventsExecutor, plant: Plant) -> None:
    """The array for an effort controller, in the order of the command; the command keeps its brake requests."""
    heard: list[Any] = []
    topic = "effort_controller/commands"
    plant.node.create_subscription(message_class(TOPICS[topic].type), ros_name(topic), heard.append, 1000)
    made = SafetyNode([*LOCK_STEP, "-p", "vehicle.brake_fade:=1.0"])
    ros.add_node(made)
    try:
        assert made.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert made.trigger_activate() == TransitionCallbackReturn.SUCCESS
        plant.drive(5.0)
        assert call(plant, "safety_node/stop").success
        until(ros, lambda: plant.round().mode == Mode.STOPPING, "STOPPING")
        plant.rounds(5)
        assert (plant.command.effort[2:] < 0).all()
        until(ros, lambda: list(heard[-1].data) == list(plant.command.effort), "the wheels roll forward: the request")
        plant.speed = 0.0
        assert plant.rounds(STANDS).mode == Mode.STOPPED
        assert (plant.command.effort[2:] < 0).all()
        held = [*plant.command.effort[:2], 0.0, 0.0, 0.0, 0.0]
        until(ros, lambda: list(heard[-1].data) == held, "they stand: no torque")
    finally:
        plant.close()
        made.close()
        let_go(ros, made)
        made.destroy_node()


def test_a_transition_that_its_state_has_not_is_refused(plant: Plant, node: SafetyNode) -> None:
    """Another graph's bring-up, or whoever calls the service without looking, must not end it."""
    plant.drive(5.0)
    client = plant.node.create_client(ChangeState, "safety_node/change_state")
    until(plant.executor, client.service_is_ready, "its service")
    for transition in (Transition(id=Transition.TRANSITION_CONFIGURE), Transition(id=77)):
        future = client.call_async(ChangeState.Request(transition=transition))
        until(plant.executor, future.done, "its answer")
        assert not future.result().success
        assert plant.rounds(5).mode == Mode.NORMAL


def test_joints_of_another_robot_keep_it_stopped_and_say_so(plant: Plant, node: SafetyNode) -> None:
    plant.change["joint_states"] = lambda record: replace(record, names=tuple(f"other_{name}" for name in record.names))
    assert plant.rounds(300).mode == Mode.STOPPED
    assert any("joint" in status.message for array in plant.diagnostics for status in array.status)
    finite(plant)


def test_a_malformed_message_is_dropped_with_a_word(plant: Plant, node: SafetyNode) -> None:
    plant.drive(5.0)
    plant.change["joint_states"] = lambda record: replace(record, velocity=record.velocity[:3])
    modes = [plant.round().mode for _ in range(60)]
    assert Mode.STOPPING in modes
