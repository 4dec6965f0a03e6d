# SPDX-License-Identifier: Apache-2.0
"""The whole tick in closed loop with a small plant, and with every kind of broken input."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from broken import rolled_back
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from safety_drive import FORCE, Drive, check_limits, copied
from safety_plant import PERIOD, Plant, car, settings

from tidegate.errors import SettingsError
from tidegate.records import (
    Gains,
    ImageHealth,
    Imu,
    JointStates,
    LaneEstimate,
    Level,
    Manual,
    Mode,
    Nominal,
    Odometry,
    Points,
    Received,
    SafetyInputs,
)
from tidegate.robot import GRAVITY, Actuation
from tidegate.safety import Supervisor
from tidegate.safety.ladder import LET_GO
from tidegate.safety.lane_tracker import LaneTracker
from tidegate.safety.supervisor import PARTS, check_disabled


def test_starts_stopped_and_needs_a_reset_with_everything_there() -> None:
    drive = Drive()
    assert drive.run(0.5).mode == Mode.STOPPED
    assert drive.plant.speed == 0.0
    assert drive.run(
        0.3, reset_requested=True, change=lambda inputs: dataclasses.replace(inputs, points=None)
    ).mode == (Mode.STOPPED)
    drive = Drive()
    drive.run(0.5, reset_requested=True)
    assert drive.tick is not None
    assert drive.tick.mode == Mode.NORMAL


def test_a_healthy_nominal_passes_unchanged() -> None:
    drive = Drive().started()
    assert drive.tick is not None
    assert drive.tick.allowed == pytest.approx((FORCE, 0.0))
    assert drive.tick.intervened == ""


@pytest.mark.parametrize("input_name", ["nominal", "lane", "health"])
def test_a_lost_camera_holds_then_stops_in_the_lane(input_name: str) -> None:
    drive = Drive(Plant(road_curvature=0.01)).started(7.0)
    speed = drive.plant.speed
    assert speed > 8
    frozen = getattr(drive.sensors.inputs, input_name).record
    lost = drive.sensors.inputs.now  # type: ignore[union-attr]

    def drop(inputs: SafetyInputs) -> SafetyInputs:
        return dataclasses.replace(inputs, **{input_name: Received(frozen, inputs.now - lost)})

    drive.modes.clear()
    drive.run(14.0, change=drop)
    assert drive.plant.speed == 0.0
    assert drive.modes[-1] == Mode.STOPPED
    assert 0.28 <= drive.modes.count(Mode.HOLD) * PERIOD <= 0.32
    assert abs(drive.plant.offset) < 0.4
    assert list(dict.fromkeys(drive.modes)) == [Mode.NORMAL, Mode.HOLD, Mode.STOPPING, Mode.STOPPED]


def test_an_untrustworthy_image_is_a_missing_camera_unless_switched_off() -> None:
    drive = Drive().started()
    drive.run(3.0, health=Level.ERROR)
    assert drive.modes[-1] in (Mode.STOPPING, Mode.STOPPED)
    drive = Drive(disable=frozenset({"image_health"})).started()
    assert drive.run(3.0, health=Level.ERROR).mode == Mode.NORMAL


def lose(every: int) -> Callable[[SafetyInputs], SafetyInputs]:
    """Every so-many-th frame does not come."""
    kept: list[SafetyInputs] = []

    def change(inputs: SafetyInputs) -> SafetyInputs:
        assert inputs.lane is not None
        if not kept or round(inputs.lane.record.stamp / 5e7) % every:
            kept[:] = [inputs]
        held = {
            name: Received(getattr(kept[0], name).record, inputs.now - getattr(kept[0], name).record.stamp)
            for name in ("nominal", "gains", "lane", "health")
        }
        return dataclasses.replace(inputs, **held)  # type: ignore[arg-type]

    return change


def test_a_frame_that_is_lost_now_and_then_is_borne() -> None:
    """Each loss is a HOLD of a few ticks, as ever; they do not add up."""
    drive = Drive().started()
    drive.modes.clear()
    drive.run(10.0, change=lose(20))
    assert set(drive.modes) == {Mode.NORMAL, Mode.HOLD}
    assert 0 < drive.modes.count(Mode.HOLD) * PERIOD < 10 * 0.03


def test_a_camera_that_flaps_stops_the_car() -> None:
    """Every other lane estimate too uncertain: no switching between HOLD and NORMAL for good."""

    def flapping(inputs: SafetyInputs) -> SafetyInputs:
        assert inputs.lane is not None
        lane = inputs.lane.record
        if round(lane.stamp / 5e7) % 2:
            lane = dataclasses.replace(lane, bound=np.full_like(lane.bound, 2 * settings().safety.lane.bound_trusted))
        return dataclasses.replace(inputs, lane=Received(lane, inputs.lane.age))

    drive = Drive().started()
    drive.modes.clear()
    drive.run(1.5, change=flapping)
    assert drive.modes[-1] == Mode.STOPPING
    changes = sum(one != other for one, other in itertools.pairwise(drive.modes))
    assert 10 < changes < 16  # 45 ms of the 300 are used up every 100 ms


def test_an_unsure_lane_is_driven_slowly_but_not_by_a_driver() -> None:
    unsure = settings().safety.lane.unsure_speed
    drive = Drive().started()
    assert drive.plant.speed > unsure + 1.0
    tick = drive.run(6.0, bound=0.9)
    assert tick.intervened == "sight"
    assert drive.plant.speed < unsure + 0.1
    manual = Manual(0, True, FORCE, 0.0)
    assert drive.run(1.0, bound=0.9, manual=manual).intervened == ""
    unknown = Drive().started()
    assert unknown.run(1.0, bound=math.inf).intervened == ""


def test_a_memory_that_has_drifted_away_neither_steers_nor_refuses_the_lane_that_is_seen_again() -> None:
    def turning(inputs: SafetyInputs) -> SafetyInputs:
        assert inputs.odometry is not None
        record = dataclasses.replace(inputs.odometry.record, yaw_rate=inputs.odometry.record.yaw_rate + 0.1)
        return dataclasses.replace(inputs, odometry=Received(record, inputs.odometry.age))

    drive = Drive(disable=frozenset({"image_health", "sight"})).started()  # sight would slow the car down first
    tick = drive.run(0.8, change=turning, bound=2.0)
    assert tick.intervened == "lane"  # what is remembered says that the car leaves its lane
    tick = drive.run(4.0, change=turning, bound=2.0)  # 5 m off: from 10 m on no lane is followed
    assert tick.mode == Mode.NORMAL
    assert tick.allowed[1] == pytest.approx(0.0, abs=1e-6)
    modes = len(drive.modes)
    drive.run(1.0, bound=0.1)
    assert set(drive.modes[modes:]) == {Mode.NORMAL}


@pytest.mark.parametrize("input_name", ["joints", "odometry", "imu", "points"])
def test_a_lost_trusted_input_stops_the_car(input_name: str) -> None:
    drive = Drive().started()
    tick = drive.run(8.0, change=lambda inputs: dataclasses.replace(inputs, **{input_name: None}))
    assert drive.plant.speed == 0.0
    assert tick.mode == Mode.STOPPED
    assert Mode.HOLD not in drive.modes
    assert any(input_name in reason for reason in tick.reasons)


def test_blind_and_deaf_it_brakes_anyway() -> None:
    drive = Drive().started()
    tick = drive.run(8.0, change=lambda inputs: SafetyInputs(now=inputs.now))
    assert drive.plant.speed == 0.0
    assert tick.mode == Mode.STOPPED


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
@pytest.mark.parametrize("start", [0.0, 3.0])
def test_a_wish_too_weak_for_the_steepest_slope_rolls_back_no_farther_than_a_foot(start: float, share: float) -> None:
    slope = settings().vehicle.slope_max
    back, drive = rolled_back(slope, share * car().effective_mass * GRAVITY * slope, start)
    tick = drive.tick
    assert tick is not None
    assert back < 0.3
    assert (tick.mode, tick.reasons) == (Mode.STOPPED, ("the car rolls backwards",))
    assert drive.plant.speed == 0.0


def test_a_driver_whose_car_rolled_back_drives_on_once_it_stands() -> None:
    slope = settings().vehicle.slope_max
    drive = Drive(Plant(slope=slope), manual=Manual(0, True, 0.0, 0.0)).started(0.0)
    drive.run(1.0)
    assert Mode.STOPPING in drive.modes
    tick = drive.run(3.0, manual=Manual(0, True, FORCE, 0.0))
    assert tick.mode == Mode.NORMAL
    assert drive.plant.speed > 1.0


def test_emergency_stop_is_latched_until_a_reset() -> None:
    drive = Drive().started()
    drive.run(0.02, emergency_stop=True)
    assert drive.run(6.0).mode == Mode.STOPPED
    assert drive.run(0.1, emergency_stop=True, reset_requested=True).mode == Mode.STOPPED
    assert drive.run(0.5, (0.0, 0.0), reset_requested=True).mode == Mode.NORMAL


def test_stops_before_a_wall_under_full_throttle_and_after_a_lost_camera() -> None:
    for camera_until in (math.inf, 7.0):
        drive = Drive(Plant(speed=0.0), walls=np.array([[55.0, -1.0, 55.0, 1.0]])).started()
        drive.run(1.0, (9000.0, 0.0))
        drive.run(9.0, (9000.0, 0.0), camera=camera_until > 7.0)
        assert drive.plant.speed < 0.3
        gap = 55.0 - drive.plant.x - car().front
        kept = settings().safety.distance.standstill_gap
        assert gap > kept - 0.5
        assert gap < kept + 1.5 or camera_until == 7.0


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_stops_before_a_thing_at_the_edge_of_its_own_lane_however_it_is_steered_at(side: float) -> None:
    """Too near to stop is the thing only where the car has been let pass so far."""
    edge = settings().safety.lane.half_width - 0.25
    drive = Drive(walls=np.array([[55.0, side * edge, 55.0, side * (edge + 0.5)]])).started()
    while drive.plant.speed > 0.05:
        left = 55.0 - drive.plant.x - car().front
        drive.run(0.05, (FORCE, side * 0.1 if left < 12.0 else 0.0))
        assert left > settings().safety.distance.standstill_gap - 0.5


def test_without_the_distance_barrier_it_hits_the_wall() -> None:
    drive = Drive(disable=frozenset({"distance"}), walls=np.array([[70.0, -1.0, 70.0, 1.0]])).started()
    drive.run(8.0, (9000.0, 0.0))
    assert drive.plant.x + car().front > 70.0


def test_without_the_filter_only_the_joints_are_limited() -> None:
    drive = Drive(disable=frozenset({"filter"}), walls=np.array([[70.0, -1.0, 70.0, 1.0]])).started()
    tick = drive.run(8.0, (9000.0, 0.0))
    assert tick.barriers == ()
    assert drive.plant.x + car().front > 70.0


def test_a_driver_takes_over_and_hands_back_only_while_all_is_well() -> None:
    def manual(engaged: bool, force: float = 1000.0) -> Manual:
        return Manual(0, engaged, force, 0.002, hand_back=not engaged)

    drive = Drive().started()
    tick = drive.run(0.5, manual=manual(True))
    assert tick.mode == Mode.NORMAL
    assert tick.wanted == (1000.0, 0.002)
    assert drive.run(0.3, manual=manual(False)).wanted == (FORCE, 0.0)
    drive.run(0.5, manual=manual(True), camera=False)
    assert drive.tick is not None
    assert drive.tick.mode == Mode.NORMAL
    assert drive.run(0.05, manual=manual(False), camera=False).mode == Mode.STOPPING
    assert drive.run(0.05, manual=manual(True), camera=False).mode == Mode.NORMAL
    walled = Drive(walls=np.array([[70.0, -1.0, 70.0, 1.0]])).started()
    walled.run(7.0, manual=manual(True, 9000.0))
    assert walled.plant.x + car().front < 70.0


@pytest.mark.parametrize("last", [Manual(0, False, 0.0, 0.0), None], ids=["lets go", "falls silent"])
def test_a_driver_who_does_not_hand_back_leaves_a_car_that_stops(last: Manual | None) -> None:
    drive = Drive().started()
    drive.run(0.5, manual=Manual(0, True, 1000.0, 0.0))
    stopping = drive.run(0.25, manual=last)
    assert (stopping.mode, stopping.reasons) == (Mode.STOPPING, (LET_GO,))
    stopped = drive.run(8.0, manual=Manual(0, False, 0.0, 0.0, hand_back=True))
    assert stopped.mode == Mode.STOPPED
    assert drive.run(0.1, reset_requested=True).mode == Mode.NORMAL


def test_a_switch_that_is_held_is_no_act_of_handing_back() -> None:
    """Only once it is let go may ``hand_back`` count."""
    drive = Drive().started()
    tick = drive.run(0.5, manual=Manual(0, True, 1000.0, 0.002, hand_back=True))
    assert (tick.wanted, tick.reasons) == ((1000.0, 0.002), ("a driver drives",))


def test_same_inputs_same_commands() -> None:
    runs = []
    for _ in range(2):
        drive = Drive(walls=np.array([[60.0, -1.0, 60.0, 1.0]])).started()
        drive.run(3.0, (9000.0, 0.01))
        runs.append(drive.tick)
    assert runs[0] is not None
    assert runs[1] is not None
    np.testing.assert_array_equal(runs[0].command.effort, runs[1].command.effort)
    assert runs[0].allowed == runs[1].allowed
    assert runs[0].barriers == runs[1].barriers


INPUTS = ["nominal", "gains", "lane", "health", "joints", "odometry", "imu", "points", "manual"]
BROKEN = [math.nan, math.inf, -math.inf, 1e300, -1e308]


def spoil(record: object, value: float) -> object:
    """The record with every number replaced."""
    changes: dict[str, object] = {}
    for item in dataclasses.fields(record):  # type: ignore[arg-type]
        content = getattr(record, item.name)
        if isinstance(content, float):
            changes[item.name] = value
        elif isinstance(content, np.ndarray) and content.dtype.kind == "f":
            with np.errstate(over="ignore"):
                changes[item.name] = np.full_like(content, value)
        elif isinstance(content, dict):
            changes[item.name] = dict.fromkeys(("lane", "distance", "speed"), value)
    return dataclasses.replace(record, **changes)  # type: ignore[type-var]


@cache
def with_a_driver() -> Drive:
    """Under way, a driver there who does not drive."""
    return Drive(manual=Manual(0, False, 0.0, 0.0)).started(1.0)


@pytest.mark.parametrize("value", BROKEN)
@pytest.mark.parametrize("name", INPUTS)
def test_nan_anywhere_never_raises_and_never_leaves_the_limits(name: str, value: float) -> None:
    drive = copied(with_a_driver())

    def broken(inputs: SafetyInputs) -> SafetyInputs:
        received = getattr(inputs, name)
        return dataclasses.replace(inputs, **{name: Received(spoil(received.record, value), received.age)})

    tick = drive.run(0.6, change=broken)
    assert not any("fault" in reason for reason in tick.reasons)
    assert all(math.isfinite(part) for part in (*tick.wanted, *tick.allowed))
    if name in ("joints", "odometry", "imu"):
        assert tick.mode in (Mode.STOPPING, Mode.STOPPED)
    if name == "lane" or (name == "nominal" and not math.isfinite(value)):
        assert tick.mode in (Mode.STOPPING, Mode.STOPPED)


anything = st.floats(allow_nan=True, allow_infinity=True)
number = st.floats(-30, 30)
wild = st.one_of(number, anything)
ages = st.integers(-(10**7), 3 * 10**8)


def arrays(size: int) -> st.SearchStrategy[np.ndarray]:
    return st.lists(wild, min_size=0 if size < 0 else size, max_size=8 if size < 0 else size).map(np.array)


@st.composite
def random_inputs(draw: st.DrawFn, now: int) -> SafetyInputs:
    def maybe(record: st.SearchStrategy[object]) -> Received | None:
        return draw(st.one_of(st.none(), st.builds(Received, record, ages)))

    size = draw(st.sampled_from([6, 6, 6, -1]))
    ring = st.integers(-1, 9)
    points = st.integers(0, 6).flatmap(
        lambda count: st.builds(
            lambda xyz, rings: Points(now, xyz.reshape(-1, 3).astype(np.float32), np.array(rings, np.int32)),
            arrays(3 * count),
            st.lists(ring, min_size=count, max_size=count),
        )
    )
    stamp = st.just(now)
    return SafetyInputs(
        now=now,
        nominal=maybe(st.builds(Nominal, stamp, wild, wild)),
        gains=maybe(st.builds(Gains, stamp, st.dictionaries(st.sampled_from(["lane", "speed", "x"]), wild))),
        lane=maybe(st.builds(LaneEstimate, stamp, wild, wild, arrays(draw(st.sampled_from([4, 4, 3]))), arrays(6))),
        health=maybe(st.builds(ImageHealth, stamp, st.sampled_from(Level))),
        joints=maybe(st.builds(JointStates, stamp, st.just(car().joint_names), arrays(size), arrays(6), arrays(6))),
        odometry=maybe(st.builds(Odometry, stamp, wild, wild, wild, wild, wild)),
        imu=maybe(st.builds(Imu, stamp, arrays(3), arrays(3))),
        points=maybe(points),
        manual=maybe(st.builds(Manual, stamp, st.booleans(), wild, wild, st.booleans())),
        emergency_stop=draw(st.booleans()),
        emergency_silent=draw(st.booleans()),
        stop_requested=draw(st.booleans()),
        reset_requested=draw(st.booleans()),
    )


@given(data=st.data())
@profile(max_examples=12, deadline=None)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_fuzzed_inputs_never_raise(data: st.DataObject) -> None:
    supervisor, actuation = Supervisor(settings(), car()), Actuation(car(), PERIOD)
    last, now, since = np.zeros(6), 0, 0
    for _ in range(8):
        now += since
        tick = supervisor.tick(data.draw(random_inputs(now)))
        check_limits(tick, last, actuation, since / 1e9)
        since = data.draw(st.integers(-(10**7), 10**8))
        last = tick.command.effort
        assert not any("fault" in reason for reason in tick.reasons)


def test_a_fault_inside_brakes_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    drive = Drive().started()

    def fails(*_: object) -> None:
        raise ZeroDivisionError("broken part")

    with monkeypatch.context() as patch:
        patch.setattr(drive.supervisor._surroundings, "look", fails)
        tick = drive.run(0.5)
        assert tick.mode == Mode.STOPPING
        assert "ZeroDivisionError" in tick.reasons[0]
        assert (tick.solve.status, tick.solve.solved, tick.rows) == ("fault", False, ())
        assert (tick.command.effort[2:] < 0).all()
    assert drive.run(8.0).mode == Mode.STOPPED
    assert drive.plant.speed == 0.0


def test_time_that_runs_backwards_stops_the_car() -> None:
    drive = Drive().started()
    drive.run(0.005, change=lambda inputs: dataclasses.replace(inputs, now=inputs.now - 10**9))
    assert drive.modes[-1] == Mode.STOPPING


@pytest.mark.parametrize("back_s", [0.01, 0.3])
def test_a_clock_that_was_set_back_and_is_set_right_is_no_pause_of_the_actuators(back_s: float) -> None:
    """Every command is checked against the limits of one period; a reset believes the clock again."""
    drive = Drive().started()
    drive.run(back_s, change=lambda inputs: dataclasses.replace(inputs, now=inputs.now - 10**9))
    assert drive.run(5.0).mode == Mode.STOPPED
    assert drive.run(2.0, reset_requested=True).mode == Mode.NORMAL
    assert drive.plant.speed > 0.5


def test_nor_is_it_where_every_record_is_new_and_no_age_tells_of_the_time_that_passed() -> None:
    drive = Drive().started()
    while drive.sensors.tick % 10:
        drive.run(PERIOD)
    drive.run(0.05, change=lambda inputs: dataclasses.replace(inputs, now=inputs.now - 10**9))
    assert drive.sensors.tick % 10 == 0
    assert drive.run(0.1).mode == Mode.STOPPING


@pytest.mark.parametrize("forward_s", [0.06, 0.15, 0.3, 10.0])
def test_a_clock_that_is_set_forward_is_no_pause_of_the_actuators(forward_s: float) -> None:
    """Every command is checked against the limits of one period. What is still there of the last tick tells the pauses
    from the clocks: its age is of one that is never set."""
    drive = Drive().started()
    drive.run(0.02)  # midway between two frames
    driving = drive.last[2:].max()
    drive.run(0.005, change=lambda inputs: dataclasses.replace(inputs, now=inputs.now + round(forward_s * 1e9)))
    assert drive.last[2:].max() > 0.9 * driving > 0  # a stop lets go of the drive at its rate
    drive.run(1.0, change=lambda inputs: dataclasses.replace(inputs, now=inputs.now + round(forward_s * 1e9)))


@given(curvature=st.floats(-0.03, 0.03), seed=st.integers(0, 1000))
@profile(max_examples=8, deadline=None)
def test_dead_reckoning_follows_the_road(curvature: float, seed: int) -> None:
    rng, plant, tracker = (
        np.random.default_rng(seed),
        Plant(speed=10.0, road_curvature=curvature),
        LaneTracker(settings()),
    )
    plant.offset, plant.heading = rng.uniform(-0.5, 0.5), rng.uniform(-0.1, 0.1)
    lanes: list[LaneEstimate] = []
    steer = car().steering(curvature + rng.uniform(-0.01, 0.01))
    now = 0
    for tick in range(200):
        now = tick * 5_000_000
        tracker.odometry(now, plant.speed, plant.odometry(now).yaw_rate)
        lanes.append(plant.lane(now))
        if tick == 10:
            assert tracker.offer(lanes[4], gated=True)  # arrives 30 ms after its exposure
        plant.steer = np.array(steer)
        plant.step_coasting()
    tracker.odometry(now + 5_000_000, plant.speed, plant.odometry(now).yaw_rate)
    lane = tracker.lane()
    assert lane is not None
    assert lane.offset == pytest.approx(plant.offset, abs=0.03)
    assert lane.heading == pytest.approx(plant.heading, abs=0.01)
    assert lane.offset_bound > 0.1 + 0.1


def test_an_estimate_that_contradicts_dead_reckoning_is_refused() -> None:
    plant, tracker = Plant(speed=10.0), LaneTracker(settings())
    tracker.odometry(0, plant.speed, 0.0)
    assert tracker.offer(plant.lane(0), gated=True)
    jumped = dataclasses.replace(plant.lane(1), offset=1.5)
    assert not tracker.offer(jumped, gated=True)
    turned = dataclasses.replace(plant.lane(1), heading=0.4)
    assert not tracker.offer(turned, gated=True)
    bent = dataclasses.replace(plant.lane(1), curvature=np.full(4, 0.1))
    assert not tracker.offer(bent, gated=True)
    assert tracker.lane() is not None
    assert tracker.lane().offset == 0.0  # type: ignore[union-attr]
    assert tracker.offer(jumped, gated=False)


def test_a_name_that_is_no_part_is_not_taken_for_one_that_is_off() -> None:
    check_disabled([*PARTS, *settings().safety.barriers], settings())
    with pytest.raises(SettingsError, match=r"cannot disable 'lanes'; parts are filter, image_health, .*lane"):
        check_disabled(["distance", "lanes"], settings())
