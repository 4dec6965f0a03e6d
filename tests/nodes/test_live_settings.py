# SPDX-License-Identifier: Apache-2.0
"""Settings that change on a running safety node over DDS: taken or refused, in force at the next tick, and replayed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from plant import CAR_YAML, LOCK_STEP, Plant, let_go, until
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters
from rclpy.experimental import EventsExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from tidegate.bag import BagReader
from tidegate.bundle import Bundle
from tidegate.evaluation.replay import replay
from tidegate.messages import TOPICS, decode, decode_changed
from tidegate.nodes import filter_node
from tidegate.nodes.recorder_node import RecorderNode
from tidegate.nodes.safety_node import SafetyNode
from tidegate.nodes.topics import message_class, requested_qos, ros_name
from tidegate.records import Mode, MotionRequest, Points, SafetyState
from tidegate.registry import barriers
from tidegate.safety import Barrier, Priority, Rows, State
from tidegate.settings import BarrierParameters, Settings, setting
from tidegate.share import share_path


@contextmanager
def up(plant: Plant, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Iterator[SafetyNode]:
    """A safety node of its own, active."""
    node = SafetyNode(list(arguments) or LOCK_STEP)
    plant.executor.add_node(node)
    assert node.trigger_configure() == node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    try:
        yield node
    finally:
        plant.close()
        monkeypatch.setattr(filter_node, "BLIND_S", 0.0)  # nobody is left to see it brake
        node.close()
        let_go(plant.executor, node)
        node.destroy_node()


@pytest.fixture
def node(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> Iterator[SafetyNode]:
    with up(plant, monkeypatch) as made:
        yield made


class Tool:
    """What ``ros2 param set`` does."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._client = plant.node.create_client(SetParameters, "safety_node/set_parameters")
        until(plant.executor, self._client.service_is_ready, "the parameter service")

    def set(self, key: str, value: Any) -> SetParametersResult:
        request = SetParameters.Request(parameters=[Parameter(key, value=value).to_parameter_msg()])
        future = self._client.call_async(request)
        until(self._plant.executor, future.done, "its answer")
        return future.result().results[0]

    def accepted(self, key: str, value: Any) -> None:
        result = self.set(key, value)
        assert result.successful, result.reason

    def refused(self, key: str, value: Any) -> str:
        result = self.set(key, value)
        assert not result.successful
        return str(result.reason)


def room(state: SafetyState, name: str) -> float:
    return next(barrier.h for barrier in state.barriers if barrier.name == name)


def told(plant: Plant) -> dict[str, float]:
    """What the safety node said last of its changed settings."""
    return next(found for one in reversed(plant.diagnostics) if (found := decode_changed(one)) is not None)


def wall_at(distance: float) -> Any:
    """An upright plate across the road, ``distance`` [m] ahead of the bumper of wherever the car is."""

    def see(points: Points) -> Points:
        y, ring = np.meshgrid(np.linspace(-1.0, 1.0, 9), np.arange(7))
        # from a mast at 1.6 m each ring meets it at a height of its own
        noise = 1e-4 * (points.stamp // 10**6 % 97)  # no real scan repeats itself
        xyz = np.stack([np.full(y.size, distance + noise), y.ravel(), 0.4 + 0.15 * ring.ravel()], axis=1)
        return Points(points.stamp, xyz.astype(np.float32), ring.ravel().astype(np.int32), "base_link")

    return see


def test_a_tightened_setting_is_in_force_at_the_next_tick_and_goes_back_as_far_as_the_file(
    plant: Plant, node: SafetyNode
) -> None:
    tool, front = Tool(plant), plant.car.front
    plant.drive(5.0)
    plant.change["points"] = wall_at(60.0 + front)
    plant.rounds(40)
    before = plant.round()
    gap = "safety.distance.standstill_gap"
    assert tool.refused(gap, 3.0) == f"at run time: '{gap}' is 3.0; it must be at least 4 [m], as in the file"
    assert tool.refused(gap, 21.0) == f"Parameter {gap} out of range Min: 0.5, Max: 20.0, value: 21.0"  # rclpy's
    assert room(plant.round(), "distance") == pytest.approx(room(before, "distance"), abs=0.3)
    tool.accepted(gap, 9.0)
    tool.accepted("safety.barriers.distance.extra_gap", 2.0)
    after = plant.round()
    assert room(after, "distance") == pytest.approx(room(before, "distance") - 7.0, abs=0.3)
    assert tool.refused(gap, 3.9).endswith("at least 4 [m], as in the file")  # the file's, not what it is now
    tool.accepted(gap, 4.0)
    assert room(plant.round(), "distance") == pytest.approx(room(before, "distance") - 2.0, abs=0.3)
    until(plant.executor, lambda: told(plant) == {"safety.barriers.distance.extra_gap": 2.0}, "diagnostics")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("vehicle.brake_effort_max", 1000.0),
        ("vehicle.wheel_effort_rate", 2000.0),
        ("vehicle.steer_velocity_max", 0.5),
        ("safety.rate_hz", 100.0),
        ("safety.lane.inner_gain", 2.0),
        ("safety.barriers.lane.enabled", False),
    ],
)
def test_what_a_way_out_counts_on_is_fixed(ros: EventsExecutor, plant: Plant, key: str, value: Any) -> None:
    node = SafetyNode(LOCK_STEP)
    ros.add_node(node)
    assert Tool(plant).refused(key, value) == f"Trying to set a read-only parameter: {key}."
    assert node.describe_parameter(key).additional_constraints.endswith("at run time fixed")
    let_go(ros, node)
    node.destroy_node()


def test_a_run_with_changes_in_it_is_replayed_to_the_bit(
    ros: EventsExecutor, settings: Settings, plant: Plant, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recorder = RecorderNode(["--ros-args", "-p", f"path:={tmp_path / 'bag'}"])
    ros.add_node(recorder)
    heard = plant.publishers.values()
    until(ros, lambda: all(one.get_subscription_count() for one in heard), "the recorder subscribes")
    with up(plant, monkeypatch):
        until(
            ros, lambda: len(recorder.get_subscriptions_info_by_topic("safety_node/inputs")) == 2, "and to its topics"
        )
        tool = Tool(plant)
        plant.change |= {
            "nominal": lambda record: replace(record, force=4000.0, curvature=0.02),
            "lane": lambda record: replace(record, curvature=np.full(4, 0.02)),
            "points": wall_at(30.0 + plant.car.front),
        }
        plant.drive(9.0)
        changes = (
            ("vehicle.lateral_acceleration_max", 1.5),
            ("safety.distance.standstill_gap", 6.0),
            ("vehicle.speed_max", 8.0),
            ("vehicle.drive_effort_max", 150.0),
            ("safety.filter.gain_default", 0.7),
            ("vehicle.speed_max", 16.5),
        )
        for key, value in changes:
            tool.accepted(key, value)
            plant.rounds(30)
        plant.rounds(150)
        expected = {key: value for key, value in changes if key != "vehicle.speed_max"}
        until(ros, lambda: told(plant) == expected, "diagnostics")
        assert plant.command is not None
        last = plant.command.stamp
    ros.remove_node(recorder)
    recorder.close()
    recorder.destroy_node()
    bundle = Bundle.load(share_path("models/car-ltc19"), settings.vehicle.name)
    made = replay(BagReader(tmp_path / "bag"), bundle, settings)
    assert sum(note.text.startswith("settings changed at ") for note in made.notes) == len(changes)
    recorded, anew = made.recorded["command"], made.made["command"]
    assert last in anew
    assert anew.keys() == recorded.keys() & made.recorded["safety_node/inputs"].keys()
    for stamp, command in anew.items():
        assert command.effort.tolist() == recorded[stamp].effort.tolist(), stamp
    states = made.made["safety_node/barriers"]
    for stamp, state in states.items():
        assert state == made.recorded["safety_node/barriers"][stamp]


def test_a_drive_by_wire_car_is_asked_for_no_more_than_the_lowered_limits_and_brought_there_gently(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[MotionRequest] = []
    plant.node.create_subscription(
        message_class(TOPICS["motion_request"].type),
        ros_name("motion_request"),
        lambda message: asked.append(decode("motion_request", message)),
        requested_qos("motion_request", lock_step=True),
    )
    vehicle, step = plant.settings.vehicle, plant.period / 1e9

    def rounds(count: int, force: float) -> None:
        """The car's speed loop does what it is asked for, with a time constant of 0.5 s."""
        plant.change["nominal"] = lambda record: replace(record, force=force)
        for _ in range(count):
            stamp = plant.now
            plant.round()
            until(plant.executor, lambda at=stamp: asked and asked[-1].stamp == at, "the request of the tick")
            plant.speed = max(plant.speed + (asked[-1].speed - plant.speed) / vehicle.speed_horizon_s * step, 0.0)

    with up(plant, monkeypatch, *LOCK_STEP, "-p", "vehicle.output:=twist"):
        tool = Tool(plant)
        plant.drive(0.0)
        rounds(340, 4000.0)
        assert plant.speed > 4.5
        tool.accepted("vehicle.speed_max", 3.0)
        begun, before = len(asked), asked[-1].speed
        rounds(340, 4000.0)
        assert plant.speed < 3.0
        least = -plant.settings.safety.curve_deceleration - 1.0
        assert min(one.acceleration for one in asked[begun:]) > least
        falls = -np.diff([before, *(one.speed for one in asked[begun:])])
        assert falls.max() < 0.1  # as brakes come on; at once it would be 1.5
        assert max(one.speed for one in asked[-20:]) <= 3.0


@dataclass(frozen=True, slots=True)
class _StrictParameters(BarrierParameters):
    """Of a barrier that likes no 3."""

    most: float = setting(5.0, "m/s", "never exceeded", low=1, high=50, live="lower")


class _Strict(Barrier):
    """A speed limit that is never made with 3 m/s."""

    priority = Priority.SPEED
    rows = 1
    Parameters = _StrictParameters

    def __init__(self, settings: Settings, car: Any, parameters: Any = None) -> None:
        super().__init__(settings, car, parameters)
        if self.parameters.most == 3.0:
            raise ValueError("3 is no speed")

    def fill(self, state: State, rows: Rows) -> float:
        """See ``Barrier.fill``."""
        h = self.parameters.most - state.speed
        rows.set(0, -1.0 / self.car.effective_mass, 0.0, 0.0, h, -state.force_low / self.car.effective_mass)
        return h


class _Compiled(_Strict):
    """The same, as if it took long to make."""

    compiled = True


@pytest.mark.parametrize("kind", [_Strict, _Compiled])
def test_a_barrier_of_ones_own_changes_too_or_says_why_not(
    plant: Plant, kind: type[_Strict], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(barriers._parts, "strict", kind)
    document = yaml.safe_load(CAR_YAML.read_text())
    given = document["/**"]["ros__parameters"]
    given.setdefault("safety", {})["barriers"] = {"mine": {"type": "strict"}}
    given["vehicle"]["urdf"] = str(share_path("urdf/car.urdf.xacro"))
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(document))
    arguments = ["--ros-args", "--params-file", str(tmp_path / "mine.yaml"), *LOCK_STEP[3:]]
    key = "safety.barriers.mine.most"
    with up(plant, monkeypatch, *arguments):
        tool = Tool(plant)
        assert plant.round().mode == Mode.STOPPED
        tool.accepted(key, 4.5)
        assert tool.refused(key, 3.0) == f"at run time: {key}: a barrier refuses it (3 is no speed)"
        assert room(plant.round(), "mine") == 4.5
        plant.drive(2.0)
        if kind.compiled:
            assert "only while the car stands (STOPPED), because mine is compiled anew" in tool.refused(key, 4.0)
            assert room(plant.round(), "mine") == 2.5
        else:
            tool.accepted(key, 4.0)
            assert room(plant.round(), "mine") == 2.0
        assert "at most 5 [m/s], as in the file" in tool.refused(key, 5.5)
