# SPDX-License-Identifier: Apache-2.0
"""The safety node of a drive-by-wire car: a motion request and a twist in the place of efforts."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from plant import LOCK_STEP, STANDS, Plant, call, let_go, until
from rclpy.lifecycle import TransitionCallbackReturn

from tidegate.messages import TOPICS, decode
from tidegate.nodes import filter_node
from tidegate.nodes.actuator_watch import actuator_faults
from tidegate.nodes.safety_node import SafetyNode
from tidegate.nodes.topics import message_class, requested_qos, ros_name
from tidegate.records import Mode, MotionRequest, Twist


class Wire:
    """What a drive-by-wire computer hears, and the node that commands it."""

    def __init__(self, plant: Plant, *flags: str) -> None:
        self.twists: list[Twist] = []
        self.requests: list[MotionRequest] = []
        self.arrays: list[Any] = []
        self._hear(plant, "cmd_vel", lambda message: self.twists.append(decode("cmd_vel", message)))
        self._hear(plant, "motion_request", lambda message: self.requests.append(decode("motion_request", message)))
        self._hear(plant, "effort_controller/commands", self.arrays.append)
        self.node = SafetyNode([*LOCK_STEP, "-p", "vehicle.output:=twist", *flags])
        plant.executor.add_node(self.node)

    def _hear(self, plant: Plant, topic: str, heard: Callable[[Any], None]) -> None:
        profile = requested_qos(topic, lock_step=True)
        plant.node.create_subscription(message_class(TOPICS[topic].type), ros_name(topic), heard, profile)

    def up(self) -> None:
        assert self.node.trigger_configure() == self.node.trigger_activate() == TransitionCallbackReturn.SUCCESS

    def at(self, plant: Plant, stamp: int) -> MotionRequest:
        """The request of one tick, of which the twist is a part."""
        until(plant.executor, lambda: all(kept and kept[-1].stamp >= stamp for kept in (self.twists, self.requests)),
              "the request of the tick")  # fmt: skip
        asked = next(one for one in self.requests if one.stamp == stamp)
        assert next(one for one in self.twists if one.stamp == stamp) == asked.twist
        return asked


@pytest.fixture
def wire(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    made = Wire(plant)
    yield made
    plant.close()
    monkeypatch.setattr(filter_node, "BLIND_S", 0.0)
    made.node.close()
    let_go(plant.executor, made.node)
    made.node.destroy_node()


def off(plant: Plant, speed: float, gained: float = 2.0) -> None:
    """Drive off as a car does; a speed out of nothing is not believed."""
    plant.drive(0.0)
    plant.change["nominal"] = lambda record: replace(record, force=gained * plant.car.effective_mass)
    while plant.speed < speed:
        plant.speed = min(plant.speed + gained * plant.period / 1e9, speed)
        assert plant.round().mode == Mode.NORMAL
    plant.change.clear()
    assert plant.rounds(60).mode == Mode.NORMAL


def test_a_drive_by_wire_car_gets_the_motion_that_the_efforts_would_give(plant: Plant, wire: Wire) -> None:
    wire.up()
    off(plant, 5.0)
    assert plant.command is not None
    asked = wire.at(plant, plant.command.stamp)
    force = plant.car.wheel_force(plant.command.effort[2:])
    assert force == pytest.approx(100.0, rel=0.01)  # what the plant's policy asks for
    horizon = plant.settings.vehicle.speed_horizon_s
    assert asked.speed == pytest.approx(5.0 + force / plant.car.effective_mass * horizon, abs=0.01)
    assert asked.yaw_rate == asked.steering == 0.0
    assert wire.arrays == []
    assert wire.node.count_publishers("effort_controller/commands") == 0

    plant.change["nominal"] = lambda record: replace(record, curvature=0.02)
    plant.rounds(60)
    asked = wire.at(plant, plant.command.stamp)
    assert 0.0 < math.tan(asked.steering) / plant.car.wheelbase <= 0.02
    assert asked.yaw_rate == pytest.approx(asked.speed * math.tan(asked.steering) / plant.car.wheelbase)


def test_a_stop_asks_for_standstill_and_holds_the_steering(plant: Plant, wire: Wire) -> None:
    wire.up()
    off(plant, 5.0)
    assert call(plant, "safety_node/stop").success
    until(plant.executor, lambda: plant.round().mode == Mode.STOPPING, "STOPPING")
    before = wire.requests[-1]
    while plant.speed > 0.0:
        plant.speed = max(plant.speed - 2.5 * plant.period / 1e9, 0.0)
        plant.round()
        assert plant.command is not None
        asked = wire.at(plant, plant.command.stamp)
        assert asked.speed <= before.speed + 1e-9
        before = asked
    assert plant.rounds(STANDS).mode == Mode.STOPPED
    asked = wire.at(plant, plant.command.stamp)
    assert (asked.speed, asked.yaw_rate, asked.steering) == (0.0, 0.0, before.steering)
    plant.change["odom"] = lambda record: replace(record, speed=4.0)  # a car that is stopped is not started by it
    plant.rounds(100)
    assert max(one.speed for one in wire.requests if one.stamp > asked.stamp) == 0.0


def test_going_down_blind_the_last_that_a_drive_by_wire_car_hears_is_a_stop(
    plant: Plant, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filter_node, "BLIND_S", 0.1)  # brakes would be on by then; a speed must come down
    wire.up()
    off(plant, 5.0)
    for topic in (*Plant.SENSORS, "points"):
        plant.node.destroy_publisher(plant.publishers.pop(topic))
    until(plant.executor, wire.node._alone, "the sensors are gone")
    rolling = len(wire.requests)
    assert wire.requests[-1].speed > 4.0
    wire.node.close()
    until(plant.executor, lambda: wire.requests[-1].speed == 0.0 and wire.twists[-1].speed == 0.0, "the stop")
    asked = [one.speed for one in wire.requests[rolling:]]
    most = -plant.car.force_min / plant.car.effective_mass * (plant.settings.vehicle.speed_horizon_s + 0.01)
    assert max(one - two for one, two in itertools.pairwise([wire.requests[rolling - 1].speed, *asked])) < most
    assert wire.twists[-1].yaw_rate == 0.0


def test_who_asks_a_drive_by_wire_car_for_something_else_is_a_second_master(plant: Plant, wire: Wire) -> None:
    other = plant.node.create_publisher(message_class(TOPICS["cmd_vel"].type), "cmd_vel", 1)
    until(plant.executor, lambda: wire.node.count_publishers("cmd_vel") == 1, "discovery")
    assert wire.node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert actuator_faults(wire.node, wire.node.settings) == ("'cmd_vel' is published by /plant too",)
    plant.node.destroy_publisher(other)
