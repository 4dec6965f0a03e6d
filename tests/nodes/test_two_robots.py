# SPDX-License-Identifier: Apache-2.0
"""A car and an arm in one domain: each in its namespace, neither hears of the other."""

from __future__ import annotations

import pytest

pytest.importorskip("pinocchio")
pytest.importorskip("mujoco")

from arm_graph import ARM_YAML, ArmGraph, User, arm, gravity, patient
from plant import CAR_YAML, LOCK_STEP, Plant, let_go
from rclpy.experimental import EventsExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from std_msgs.msg import Bool

from tidegate.nodes import filter_node
from tidegate.nodes.bringup import Graph
from tidegate.nodes.graph_options import GraphOptions
from tidegate.nodes.run_graph import Watch
from tidegate.nodes.safety_node import SafetyNode
from tidegate.nodes.topics import INSIDE, remap_flags
from tidegate.records import Mode
from tidegate.settings import Settings
from tidegate.share import share_path


def test_a_car_and_an_arm_drive_side_by_side_and_one_is_stopped_without_the_other(
    ros: EventsExecutor, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = Plant(ros, settings, namespace="car")
    car = SafetyNode([*LOCK_STEP, *remap_flags(("__ns", "/car"), INSIDE)])
    ros.add_node(car)
    assert car.trigger_configure() == car.trigger_activate() == TransitionCallbackReturn.SUCCESS
    side = ArmGraph(ros, namespace="arm")
    side.user.wish = gravity
    side.user.until(Mode.NORMAL)
    plant.drive(3.0)
    patient(ros, lambda: side.user.stops.get_subscription_count() > 0, "the arm's node listens")
    side.user.stops.publish(Bool(data=True))
    side.user.until(Mode.STOPPED)
    assert plant.rounds(20).mode == Mode.NORMAL
    assert {command.names for command in plant.commands} == {plant.car.joint_names}
    assert {command.names for command in side.user.heard["command"]} == {arm().joint_names}
    told = {status.hardware_id for array in side.user.heard["diagnostics"] for status in array.status}
    assert told == {"arm"}
    monkeypatch.setattr(filter_node, "BLIND_S", 0.0)  # nobody is left to see them brake
    side.close()
    plant.close()
    car.close()
    let_go(ros, car)
    car.destroy_node()


@pytest.mark.slow
@pytest.mark.real_time
def test_two_whole_graphs_run_in_one_domain(ros: EventsExecutor) -> None:
    bundle = share_path("models/car-ltc19")
    said: list[str] = []
    note = lambda node, level, text: said.append(text) if level in ("ERROR", "FATAL") else None  # noqa: E731
    made = [
        GraphOptions(bundle, CAR_YAML, seed=1003, lock_step=True, namespace="car"),
        GraphOptions(bundle, ARM_YAML, seed=1003, lock_step=True, namespace="arm"),
    ]
    with Graph(made[0], note) as car, Graph(made[1], note) as other:
        user, watch = User(ros, "arm"), Watch()
        watch.begin(car, lock_step=True)
        user.wish = gravity
        user.until(Mode.NORMAL)
        patient(ros, lambda: car.spin(0.1) or watch.status().mode == Mode.NORMAL, "the car drives")
        other.spin(0.1)
        user.ticks(20)
        assert user.mode == Mode.NORMAL
        assert set(car.children) == {"simulator_node", "perception_node", "policy_node", "safety_node"}
        assert set(other.children) == {"simulator_node", "safety_node"}
        user.close()
    assert said == []
