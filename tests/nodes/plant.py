# SPDX-License-Identifier: Apache-2.0
"""A car that is only messages, for tests of single nodes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import rclpy
from rclpy.experimental import EventsExecutor
from rclpy.serialization import deserialize_message
from std_srvs.srv import Trigger

from tidegate.messages import TOPICS, decode, encode
from tidegate.nodes.topics import make, message_class, offered_qos, requested_qos, ros_name
from tidegate.records import (
    Command,
    Gains,
    ImageHealth,
    Imu,
    JointStates,
    LaneEstimate,
    Level,
    Nominal,
    Odometry,
    Points,
    Round,
    SafetyState,
    UsedInputs,
)
from tidegate.robot import Car
from tidegate.settings import Settings
from tidegate.share import share_path

CAR_YAML = share_path("config/car.yaml")
ARGUMENTS = ["--ros-args", "--params-file", str(CAR_YAML)]
LOCK_STEP = [*ARGUMENTS, "-p", "lock_step:=true", "-p", "auto_reset:=true"]
"""Of the safety node; the second in lock-step, released by itself."""
PATIENCE_S = 20.0
STANDS = 300
"""Ticks after which a plant that stood at once is believed: no stop is that its brakes cannot make."""


def until(executor: EventsExecutor, done: Callable[[], Any], what: str) -> None:
    """Spin until ``done``; fail where nothing more is to be expected."""
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end, f"never happened: {what}"
        executor.spin_once(timeout_sec=0.01)


def let_go(executor: EventsExecutor, node: Any) -> None:
    """Take ``node`` off ``executor``, which lets go of it only while it spins, after all that came before.

    One spin does one thing. A node that is destroyed while it is held stays in the domain, and the next test hears it.
    """
    executor.remove_node(node)
    executor.spin_until_future_complete(executor.create_task(lambda: None))


class Plant:
    """A car that drives straight on an empty road, in lock-step: what the simulator would publish, under full control.

    ``change`` maps a topic to a function of the record that is about to be published; None drops it.
    """

    SENSORS = ("joint_states", "odom", "imu")
    CAMERA = ("lane", "health", "nominal", "gains")

    def __init__(
        self, executor: EventsExecutor, settings: Settings, lock_step: bool = True, namespace: str = ""
    ) -> None:
        self.executor, self.settings, self.lock_step = executor, settings, lock_step
        self.node: Any = rclpy.create_node("plant", namespace=namespace or None)
        executor.add_node(self.node)
        self.car = Car.from_settings(settings)
        self.period = round(1e9 / settings.safety.rate_hz)
        self.tick, self.speed = 0, 0.0
        self.driven, self.sensed = 0.0, self.now
        self.change: dict[str, Callable[[Any], Any]] = {}
        self.command: Command | None = None
        self.commands: list[Command] = []
        self.state: SafetyState | None = None
        self.used: UsedInputs | None = None
        self.diagnostics: list[Any] = []
        self.publishers = {
            topic: self.node.create_publisher(
                message_class(TOPICS[topic].type), ros_name(topic), offered_qos(topic, lock_step)
            )
            for topic in (*self.SENSORS, "points", *self.CAMERA, "emergency_stop", "tick")
        }
        for topic in ("command", "safety_node/barriers", "safety_node/inputs", "diagnostics"):
            profile = requested_qos(topic, lock_step)
            self.node.create_subscription(
                message_class(TOPICS[topic].type), ros_name(topic), self._hear(topic), profile, raw=True
            )

    def close(self) -> None:
        """Leave the domain, so that whoever listens knows that nothing more will come."""
        if self.node is not None:
            let_go(self.executor, self.node)
            self.node.destroy_node()
            self.node = None

    @property
    def now(self) -> int:
        return 1_000_000_000 + self.tick * self.period if self.lock_step else time.time_ns()

    def publish(self, topic: str, record: Any) -> bool:
        if topic in self.change:
            record = self.change[topic](record)
        if record is not None:
            self.publishers[topic].publish(encode(record, make))
        return record is not None

    def round(self) -> SafetyState:
        """Publish one round, wait for the command and the state of its tick, and go on to the next."""
        awaited = self.sense()
        self.publish("tick", Round(self.now, awaited))
        now = self.now
        until(self.executor, lambda: self._answered(now), f"a tick at {now} with {awaited}")
        self.tick += 1
        assert self.state is not None
        return self.state

    def rounds(self, count: int) -> SafetyState:
        for _ in range(count):
            state = self.round()
        return state

    def drive(self, speed: float) -> None:
        """From standstill to driving in mode NORMAL."""
        while self.round().mode.name != "NORMAL":
            assert self.tick < 400, "never released"
        self.speed = speed
        assert self.rounds(40).mode.name == "NORMAL"

    def sense(self) -> tuple[str, ...]:
        """Publish the sensors that are due at this tick, and what perception and policy would make of them."""
        now, names, one = self.now, self.car.joint_names, np.zeros(3)
        self.driven += self.speed * (now - self.sensed) / 1e9
        self.sensed = now
        turned = np.array([0.0, 0.0, *[self.driven / self.car.wheel_radius] * 4])
        wheels = np.array([0.0, 0.0, *[self.speed / self.car.wheel_radius] * 4])
        records: dict[str, Any] = {
            "joint_states": JointStates(now, names, turned, wheels, np.zeros(6)),
            "odom": Odometry(now, self.driven, 0.0, 0.0, self.speed, 0.0),
            "imu": Imu(now, one, one + [0, 0, 9.81 + 1e-9 * self.tick]),  # no real one repeats itself
        }
        if self.tick % 10 == 0:
            empty = np.zeros((0, 3), np.float32)
            records |= {
                "points": Points(now, empty, np.zeros(0, np.int32)),
                "lane": LaneEstimate(now, 0.0, 0.0, np.zeros(4), np.full(6, 0.01)),
                "health": ImageHealth(now, Level.OK),
                "nominal": Nominal(now, 100.0, 0.0),
                "gains": Gains(now, {"lane": 2.0}),
            }
        return tuple(topic for topic, record in records.items() if self.publish(topic, record))

    def status(self) -> dict[str, str]:
        """Key and value pairs of the last diagnostics of the safety node."""
        return {pair.key: pair.value for pair in self.diagnostics[-1].status[0].values}

    def said(self) -> str:
        """The message of the last diagnostics of the safety node."""
        return str(self.diagnostics[-1].status[0].message)

    def _answered(self, now: int) -> bool:
        return all(record is not None and record.stamp == now for record in (self.command, self.state, self.used))

    def _hear(self, topic: str) -> Callable[[bytes], None]:
        def heard(data: bytes) -> None:
            message = deserialize_message(data, message_class(TOPICS[topic].type))
            if topic == "diagnostics":
                self.diagnostics.append(message)
                return
            record = decode(topic, message)
            if topic == "command":
                self.command = record
                self.commands.append(record)
            elif topic == "safety_node/barriers":
                self.state = record
            else:
                self.used = record

        return heard


def poisoned(record: Any, field: str, value: Any) -> Any:
    """The record with one field replaced."""
    return replace(record, **{field: value})


def call(plant: Plant, name: str) -> Any:
    """Ask the service ``name`` of a node."""
    client = plant.node.create_client(Trigger, name)
    until(plant.executor, client.service_is_ready, f"service {name}")
    future = client.call_async(Trigger.Request())
    until(plant.executor, future.done, f"answer of {name}")
    return future.result()


def told_of(plant: Plant, go_on: Callable[[], object], words: str) -> tuple[str, dict[str, str]]:
    """Message and values of the first diagnostics that tell ``words``; the car goes on until then."""

    def found() -> list[Any]:
        go_on()
        return [one.status[0] for one in plant.diagnostics if words in one.status[0].message]

    until(plant.executor, found, f"diagnostics that say: {words}")
    status = found()[0]
    return status.message, {pair.key: pair.value for pair in status.values}


def finite(plant: Plant) -> None:
    """Every command so far names the joints and holds numbers inside the actuators' limits."""
    low = np.array([-plant.car.limits[name].effort for name in plant.car.joint_names])
    assert plant.commands
    for command in plant.commands:
        assert command.names == plant.car.joint_names
        assert (command.effort >= low).all()
        assert (command.effort <= -low).all()
