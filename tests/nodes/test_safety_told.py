# SPDX-License-Identifier: Apache-2.0
"""What the safety node tells of itself: settings, rows, what is switched off, and who else commands."""

import math
from dataclasses import replace

import pytest
from plant import LOCK_STEP, Plant, let_go, told_of, until
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.experimental import EventsExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from tidegate.messages import TOPICS, decode_changed, stamp_of
from tidegate.nodes.actuator_watch import actuator_faults
from tidegate.nodes.safety_node import SafetyNode
from tidegate.nodes.topics import message_class, offered_qos
from tidegate.records import Level, Mode, SafetyState
from tidegate.settings import Settings


def test_settings_change_between_ticks_and_the_first_tick_that_has_them_tells_so(
    plant: Plant, node: SafetyNode
) -> None:
    """Through the service that ``ros2 param`` and other nodes call."""
    client = plant.node.create_client(SetParametersAtomically, "safety_node/set_parameters_atomically")
    until(plant.executor, client.service_is_ready, "parameter service")

    def set_all(**values: float) -> SetParametersResult:
        parameters = [Parameter(name.replace("__", "."), value=value) for name, value in values.items()]
        request = SetParametersAtomically.Request(parameters=[one.to_parameter_msg() for one in parameters])
        future = client.call_async(request)
        until(plant.executor, future.done, "its answer")
        return future.result().result

    def told() -> list[tuple[int, dict[str, float]]]:
        found = [(stamp_of(one), decode_changed(one)) for one in plant.diagnostics]
        return [(stamp, changed) for stamp, changed in found if changed is not None]

    def room(state: SafetyState) -> float:
        return next(barrier.h for barrier in state.barriers if barrier.name == "speed")

    plant.drive(5.0)
    before = plant.round()
    refused = set_all(vehicle__speed_max=20.0, safety__filter__gain_default=1.0)
    assert not refused.successful
    assert "at most 16.5 [m/s], as in the file" in refused.reason
    assert set_all(vehicle__speed_max=3.0, safety__filter__gain_default=1.0).successful
    at, after = plant.now, plant.round()
    until(plant.executor, lambda: told()[-1][1], "diagnostics of it")
    values = {"vehicle.speed_max": 3.0, "safety.filter.gain_default": 1.0}
    assert next(one for one in told() if one[1]) == (at, values)
    assert room(before) > 10.0
    assert abs(room(after)) < 0.1  # it begins at the present speed
    assert set_all(vehicle__speed_max=16.5, safety__filter__gain_default=2.0).successful
    assert room(plant.round()) == pytest.approx(room(before), abs=0.1)
    until(plant.executor, lambda: not told()[-1][1], "diagnostics of it")


@pytest.mark.parametrize(
    "node", [("disable:=sight, image_health", "safety.barriers.speed.enabled:=false")], indirect=True
)
def test_what_is_switched_off_is_told_as_long_as_it_is(plant: Plant, node: SafetyNode) -> None:
    plant.drive(5.0)
    until(plant.executor, lambda: plant.diagnostics and plant.said().startswith("NORMAL"), "NORMAL")
    assert plant.said().endswith("switched off: image_health, sight, speed")
    assert plant.diagnostics[-1].status[0].level == bytes([Level.WARN])
    assert plant.status()["off"] == "image_health, sight, speed"


def test_rows_that_act_ages_and_a_solver_that_fails_are_told(
    plant: Plant, node: SafetyNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant.drive(8.0)
    plant.change["nominal"] = lambda record: replace(record, curvature=0.2)
    state = plant.rounds(60)
    assert state.intervened in {row.barrier for row in state.rows}
    assert {row.unit for row in state.rows} == {"m/s²"}
    monkeypatch.setattr("tidegate.safety.planar.MANY", 0)  # every row is the solver's
    monkeypatch.setattr("tidegate.safety.qp.ITERATIONS", 1)
    node._told = math.inf  # none in between, however slow the machine is
    assert plant.rounds(3).mode == Mode.NORMAL
    monkeypatch.undo()
    node._told = 0.0
    braked, (said, values) = plant.commands[-3:], told_of(plant, lambda: plant.round(), "the backup went out")
    assert all((command.effort[2:] < 0).all() for command in braked)
    assert "NORMAL; the backup went out (out of steps, 3 ticks)" in said
    assert values["backup went out: out of steps"] == "3"
    assert int(values["programmes, most"]) > 1
    assert "solve time, longest [ms]" not in values  # there is no clock in lock-step
    assert (values["age [ms]: odometry"], values["age [ms]: manual"]) == ("0.0", "never")
    assert not plant.used.flags["out_of_time"]  # type: ignore[union-attr]


def test_a_second_master_is_refused(plant: Plant, node: SafetyNode, ros: EventsExecutor) -> None:
    second = SafetyNode([*LOCK_STEP, "-r", "__node:=second"])
    ros.add_node(second)
    until(ros, lambda: second.count_publishers("command") == 1, "discovery")
    assert second.trigger_configure() == TransitionCallbackReturn.FAILURE
    let_go(ros, second)
    second.destroy_node()


def test_a_rival_on_the_actuators_topic_is_told_of_by_name(plant: Plant, node: SafetyNode) -> None:
    plant.drive(5.0)
    kind = message_class(TOPICS["command"].type)
    plant.node.create_publisher(kind, "command", offered_qos("command", lock_step=True))
    until(plant.executor, lambda: node.count_publishers("command") == 2, "discovery")
    node._told = 0.0  # diagnostics are due
    plant.round()
    until(plant.executor, lambda: "'command' is published by /plant too" in plant.said(), "the rival's name")
    assert plant.diagnostics[-1].status[0].level == bytes([Level.ERROR])


def test_commands_that_nobody_hears_are_told_of(ros: EventsExecutor, settings: Settings, node: SafetyNode) -> None:
    assert actuator_faults(node, settings) == ()
    lonely = SafetyNode([*LOCK_STEP, "-r", "__node:=lonely", "-r", "__ns:=/elsewhere"])
    assert actuator_faults(lonely, settings) == ("nobody listens to the commands",)
    lonely.destroy_node()
