# SPDX-License-Identifier: Apache-2.0
"""The safety node over real DDS, in lock-step with a car of messages: what it must never do, whatever it hears."""

import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import daqp
import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from plant import ARGUMENTS, LOCK_STEP, Plant, let_go, until
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.experimental import EventsExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from tidegate.messages import TOPICS, decode, decode_changed, encode_clock, stamp_of
from tidegate.nodes import safety_node
from tidegate.nodes.actuator_watch import actuator_faults
from tidegate.nodes.safety_node import SafetyNode
from tidegate.nodes.topics import make, message_class, offered_qos, requested_qos, ros_name
from tidegate.records import Level, Mode, MotionRequest, SafetyState, Twist
from tidegate.settings import Settings

STANDS = 300
"""Ticks after which a plant that stood at once is believed: no stop is that its brakes cannot make."""


@pytest.fixture
def node(
    request: pytest.FixtureRequest, ros: EventsExecutor, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SafetyNode]:
    """In lock-step and active; a test may give it parameters."""
    made = SafetyNode([*LOCK_STEP, *(part for flag in getattr(request, "param", ()) for part in ("-p", flag))])
    ros.add_node(made)
    assert made.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert made.trigger_activate() == TransitionCallbackReturn.SUCCESS
    yield made
    plant.close()
    monkeypatch.setattr(safety_node, "BLIND_S", 0.0)  # nobody is left to see it brake
    made.close()
    let_go(ros, made)
    made.destroy_node()


def call(plant: Plant, name: str) -> Any:
    client = plant.node.create_client(Trigger, name)
    until(plant.executor, client.service_is_ready, f"service {name}")
    future = client.call_async(Trigger.Request())
    until(plant.executor, future.done, f"answer of {name}")
    return future.result()


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
    monkeypatch.setattr(safety_node, "BLIND_S", 0.0)
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
    monkeypatch.setattr(safety_node, "BLIND_S", 0.1)  # brakes would be on by then; a speed must come down
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
        monkeypatch.setattr(safety_node, "BLIND_S", 0.0)
        made.close()
        let_go(ros, made)
        made.destroy_node()


def test_stop_is_a_service(plant: Plant, node: SafetyNode) -> None:
    plant.drive(5.0)
    assert call(plant, "safety_node/stop").success
    assert plant.round().mode == Mode.STOPPING
    plant.speed = 0.0
    assert plant.rounds(STANDS).mode == Mode.STOPPED


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


def test_going_down_brakes_to_standstill_before_it_falls_silent(plant: Plant, node: SafetyNode) -> None:
    """The executor is busy with the transition, so the car runs in a thread of its own here."""
    import threading

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
    monkeypatch.setattr("tidegate.safety.qp.ITERATIONS", 1)
    assert plant.rounds(3).mode == Mode.NORMAL
    monkeypatch.undo()
    braked, (said, values) = plant.commands[-3:], told_of(plant, lambda: plant.round(), "the backup went out")
    assert all((command.effort[2:] < 0).all() for command in braked)
    assert "NORMAL; the backup went out (out of steps, 3 ticks)" in said
    assert values["backup went out: out of steps"] == "3"
    assert int(values["programmes, most"]) > 1
    assert "solve time, longest [ms]" not in values  # there is no clock in lock-step
    assert (values["age [ms]: odometry"], values["age [ms]: manual"]) == ("0.0", "never")
    assert not plant.used.flags["out_of_time"]  # type: ignore[union-attr]


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
    until(ros, lambda: driven() and plant.used.flags["out_of_time"], "a tick that ran out of time")  # type: ignore
    _, values = told_of(plant, driven, "(out of time, ")
    assert int(values["backup went out: out of time"]) > 0
    assert float(values["solve time, longest [ms]"]) >= 10.0  # the sleep
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


def test_a_tick_that_was_due_when_it_went_down_is_none(plant: Plant, node: SafetyNode) -> None:
    """The executor may have queued the timer's call, and then calls it after the timer is gone."""
    node.close()
    node._timer_fired()
    assert plant.commands == []


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
