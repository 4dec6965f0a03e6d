# SPDX-License-Identifier: Apache-2.0
"""An arm's nodes in lock-step in one process, with a user's node that asks for torques."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from plant import let_go
from rclpy.experimental import EventsExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.serialization import deserialize_message
from std_srvs.srv import Trigger

from tidegate.errors import MessageError
from tidegate.messages import TOPICS, decode, encode
from tidegate.nodes.arm_perception_node import ArmPerceptionNode
from tidegate.nodes.arm_policy_node import ArmPolicyNode
from tidegate.nodes.arm_safety_node import ArmSafetyNode
from tidegate.nodes.arm_simulator_node import ArmSimulatorNode
from tidegate.nodes.topics import make, message_class, offered_qos, requested_qos, ros_name
from tidegate.records import ArmSafetyState, Command, Floats, JointStates, Mode, Values, Wrench
from tidegate.robot.arm import Arm
from tidegate.robot.dynamics import Dynamics
from tidegate.settings.arm import load_arm_settings
from tidegate.share import share_path

ARM_YAML = share_path("config/arm.yaml")
SHORT = ("safety.ladder.hold_s:=0.06", "safety.ladder.persist_s:=0.05", "safety.motion.samples:=10")
"""Rungs that are gone through in few ticks; promises are held against the model elsewhere."""
PATIENCE_S = 200.0

Wish = Callable[[JointStates], Floats | None]


@cache
def arm() -> Arm:
    return Arm.from_settings(load_arm_settings(ARM_YAML))


@cache
def _dynamics() -> Dynamics:
    return Dynamics(arm())


def gravity(joints: JointStates) -> Floats:
    """Torques that hold the arm where it is."""
    return _dynamics().gravity(joints.position)


def hurried(joints: JointStates) -> Floats:
    """Torques that make it move."""
    return gravity(joints) + np.array([25.0, 0.0, 10.0, 0.0, 5.0, 0.0, 2.0])


def patient(executor: EventsExecutor, done: Callable[[], Any], what: str) -> None:
    """Spin until ``done``; fail where nothing more is to be expected, on however busy a machine."""
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end, f"never happened: {what}"
        executor.spin_once(timeout_sec=0.01)


class User:
    """Answers each of the joint states with torques, and hears what comes of them."""

    def __init__(self, executor: EventsExecutor, namespace: str = "", *, lock_step: bool = True) -> None:
        self.executor = executor
        self.node: Any = rclpy.create_node("user", namespace=namespace or None)
        executor.add_node(self.node)
        self.wish: Wish = lambda joints: None
        self.heard: dict[str, list[Any]] = {topic: [] for topic in HEARD}
        self.asks, self.stops = (
            self.node.create_publisher(
                message_class(TOPICS[topic].type), ros_name(topic), offered_qos(topic, lock_step and topic == "nominal")
            )
            for topic in ("nominal", "emergency_stop")
        )
        for topic in HEARD:
            name = "diagnostics" if topic == "diagnostics" else ros_name(topic)  # launch files put it there too
            kind, profile = message_class(TOPICS[topic].type), requested_qos(topic, lock_step)
            self.node.create_subscription(kind, name, self._hear(topic), profile, raw=True)

    def _hear(self, topic: str) -> Callable[[bytes], None]:
        def heard(data: bytes) -> None:
            message = deserialize_message(data, message_class(TOPICS[topic].type))
            try:
                kind = "command" if topic == "nominal" else topic  # what is asked for has the form of a command here
                record = message if TOPICS[topic].record is None else decode(kind, message)
            except MessageError:  # a test sent it
                return
            self.heard[topic].append(record)
            if topic == "joint_states" and (wanted := self.wish(record)) is not None:
                self.asks.publish(encode(Command(record.stamp, record.names, wanted), make))

        return heard

    def newest(self, topic: str) -> Any:
        return self.heard[topic][-1] if self.heard[topic] else None

    @property
    def mode(self) -> Mode | None:
        state: ArmSafetyState | None = self.newest("safety_node/barriers")
        return None if state is None else state.mode

    @property
    def speed(self) -> float:
        """The fastest joint's share of its limit; 0 before it is told."""
        truth: Values | None = self.newest("truth")
        return 0.0 if truth is None else truth.values["fastest"]

    def until(self, mode: Mode) -> None:
        patient(self.executor, lambda: self.mode == mode, f"{mode.name} after {self.mode}")

    def ticks(self, count: int) -> None:
        """So many more."""
        states = self.heard["safety_node/barriers"]
        end = len(states) + count
        patient(self.executor, lambda: len(states) >= end, f"{count} ticks")

    def call(self, name: str) -> Any:
        client = self.node.create_client(Trigger, name)
        patient(self.executor, client.service_is_ready, f"service {name}")
        future = client.call_async(Trigger.Request())
        patient(self.executor, future.done, f"answer of {name}")
        return future.result()

    def said(self) -> str:
        return str(self.newest("diagnostics").status[0].message)

    def close(self) -> None:
        let_go(self.executor, self.node)
        self.node.destroy_node()


HEARD = (
    "joint_states",
    "wrench",
    "features",
    "health",
    "nominal",
    "neurons",
    "command",
    "effort_controller/commands",
    "safety_node/barriers",
    "safety_node/inputs",
    "truth",
    "diagnostics",
)
KINDS: dict[str, type] = {"wrench": Wrench, "safety_node/barriers": ArmSafetyState, "command": Command}


class ArmGraph:
    """Simulator and safety node of an arm, active; goes on by itself while the executor spins. With a ``scene``, of
    which ``file`` tells, perception and policy of ``bundle`` too."""

    def __init__(
        self,
        executor: EventsExecutor,
        *flags: str,
        namespace: str = "",
        simulate: bool = True,
        lock_step: bool = True,
        file: Path = ARM_YAML,
        scene: str = "",
        seed: int = 0,
        bundle: Path | None = None,
    ) -> None:
        self.executor = executor
        self.user = User(executor, namespace, lock_step=lock_step)
        inside = ["-r", f"__ns:=/{namespace}", "-r", "/diagnostics:=diagnostics", "-r", "/clock:=clock"]
        words = ["--ros-args", *inside, "--params-file", str(file), "-p", f"lock_step:={str(lock_step).lower()}"]
        own = [part for flag in ("auto_reset:=true", *SHORT, *flags) for part in ("-p", flag)]
        model = ["-p", f"bundle:={bundle}"]
        self.nodes: list[Any] = [ArmSafetyNode([*words, *own])]
        if bundle is not None:
            self.nodes += [ArmPolicyNode([*words, *model]), ArmPerceptionNode([*words, *model])]
        if simulate:
            self.nodes.append(ArmSimulatorNode([*words, "-p", f"scene:='{scene}'", "-p", f"seed:={seed}"]))
        for node in self.nodes:
            executor.add_node(node)
            assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        for node in self.nodes:
            assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS

    @property
    def safety(self) -> ArmSafetyNode:
        return self.nodes[0]

    def close(self) -> None:
        """Who tells of the joints goes first, so that the safety node knows that nothing more will come."""
        self.user.close()
        for node in reversed(self.nodes):
            node.close()
            let_go(self.executor, node)
            node.destroy_node()
