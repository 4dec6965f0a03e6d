# SPDX-License-Identifier: Apache-2.0
"""Values that lie on a limit to the last bit: what the limit says of itself. All numbers here are exact in binary."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from safety_plant import car, settings

from tidegate.errors import SettingsError
from tidegate.records import Imu, JointStates, LaneEstimate, Odometry, Points, Received, SafetyInputs, nanoseconds
from tidegate.robot import GRAVITY
from tidegate.safety.braking import Braking
from tidegate.safety.corridor import Corridor, Track
from tidegate.safety.crossing import Crossing
from tidegate.safety.ground import GroundFilter
from tidegate.safety.lane_tracker import LaneTracker
from tidegate.safety.motion import Motion
from tidegate.safety.plausibility import Plausibility
from tidegate.safety.speed import Speed
from tidegate.safety.watchdog import Watchdog
from tidegate.settings import Settings

SAFETY = settings().safety
FRONT, HALF = car().front, car().width / 2 + SAFETY.distance.side_margin
SECOND = nanoseconds(1.0)
EXACT = {
    "jump_m": 0.5, "jump_rad": 0.5, "speed_difference": 0.75, "speed_share": 0.25, "turn_difference": 0.25,
    "frozen_m": 2.0, "persist_s": 0.0,
}  # fmt: skip
"""Limits of the plausibility."""


def given(part: str, **changes: Any) -> Settings:
    """Settings with some of one part of ``safety`` changed; '' = of ``safety`` itself."""
    if part:
        changes = {part: dataclasses.replace(getattr(SAFETY, part), **changes)}
    return dataclasses.replace(settings(), safety=dataclasses.replace(SAFETY, **changes))


def at(*places: tuple[float, float]) -> np.ndarray:
    return np.array(places, float).reshape(-1, 2)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_the_edge_of_a_corridor_belongs_to_it(side: float) -> None:
    made = Corridor(settings(), car())
    assert made.on_arc(at((20.0, side * HALF)), 0.0, 0.0) == 20.0 - FRONT
    assert math.isinf(made.on_arc(at((20.0, side * math.nextafter(HALF, 9.0))), 0.0, 0.0))
    line, wide = np.stack([np.arange(40.0), np.zeros(40), np.zeros(40)], axis=1), SAFETY.distance.lane_corridor
    assert made.along_lane(at((20.0, side * wide)), line) == 20.0 - FRONT
    assert math.isinf(made.along_lane(at((20.0, side * math.nextafter(wide, 9.0))), line))


def followed(distances: tuple[float, ...], **changes: float) -> Track:
    """One scan a quarter of a second; a speed counts from the second on, and half of what is new at each."""
    made = Track(given("distance", track_scans=2, track_s=0.25, **changes))
    for scan, distance in enumerate(distances):
        made.update(SECOND + scan * SECOND // 4, distance, 0.0)
    return made


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_thing_that_jumps_as_far_as_the_gate_is_still_the_same(sign: float) -> None:
    """Two metres in a quarter of a second are a speed; one that is another has none."""
    end = 32.0 + sign * 2.0
    for place, same in ((end, True), (math.nextafter(end, sign * 99.0), False)):
        seen = followed((32.0, place), track_gate=2.0, receding_margin=0.0, approach_margin=0.0)
        ahead = seen.ahead(SECOND + SECOND // 4, 0.0)
        assert (ahead.receding + ahead.approaching > 0) == same


def test_what_comes_no_faster_than_the_margin_is_taken_as_standing() -> None:
    for margin, counts in ((2.0, False), (math.nextafter(2.0, 0.0), True)):
        seen = followed((32.0, 31.0), approach_margin=margin)
        assert (seen.ahead(SECOND + SECOND // 4, 0.0).approaching == 2.0) == counts


def crossing(*places: tuple[float, float], speed: float = 1.0, every: int = SECOND // 4, **changes: float) -> float:
    """What is found after the last of some scans, a quarter of a second apart, of one return."""
    made, found = Crossing(given("distance", **changes), car()), math.inf
    for scan, place in enumerate(places):
        found = made.nearest(SECOND + scan * every, at(place), (0.0, 0.0, 0.0), 0.0, speed)
    return found


def test_what_has_come_to_the_edge_of_the_corridor_is_the_arcs() -> None:
    near = (HALF + 2.0, HALF + 1.0, HALF)
    assert math.isinf(crossing(*[(24.0, y) for y in near]))
    assert math.isfinite(crossing(*[(24.0, math.nextafter(y, 9.0)) for y in near]))


def test_as_far_as_is_watched_for_crossing_it_counts() -> None:
    reach = SAFETY.distance.crossing_reach_m
    for far, seen in ((reach, True), (math.nextafter(reach, 99.0), False)):
        assert math.isfinite(crossing(*[(far, y) for y in (8.0, 7.0, 6.0)])) == seen


def test_of_two_directions_the_limit_between_them_crosses() -> None:
    """4 m/s towards the arc; along it up to 0.7 of that and 1 m/s."""
    most = 0.7 * 4.0 + 1.0
    for along, crosses in ((most, True), (math.nextafter(most, 9.0), False)):
        places = [(along * time, 6.0 - 4.0 * time) for time in (0.0, 0.25, 0.5)]
        assert math.isfinite(crossing(*places)) == crosses


def test_what_enters_just_as_the_car_has_passed_is_in_the_way() -> None:
    """Beside the bumper the car passes at once: the margin alone is left."""
    enters = (4.0 - HALF) / 4.0
    for margin, counts in ((enters, True), (math.nextafter(enters, 0.0), False)):
        found = crossing((0.0, 6.0), (0.0, 5.0), (0.0, 4.0), crossing_margin_s=margin)
        assert found == (0.0 if counts else math.inf)


def test_the_least_time_that_an_edge_must_be_seen_is_enough() -> None:
    """0.6 of the window, between two scans."""
    for every, enough in ((600_000_000, True), (599_999_999, False)):
        found = crossing((24.0, 6.0), (24.0, 5.0), every=every, crossing_window_s=1.0)
        assert math.isfinite(found) == enough


def test_returns_that_lie_as_far_apart_as_the_gate_are_one_thing() -> None:
    """The inner one is in the corridor: a thing that reaches into it is the arc's."""
    assert 0.5 < HALF < 2.5
    for further, one in ((False, True), (True, False)):
        made, found = Crossing(given("distance", track_gate=2.0), car()), math.inf
        for scan in range(3):
            inner = 2.5 - scan
            outer = inner + 2.0
            places = at((24.0, math.nextafter(outer, 9.0) if further else outer), (24.0, inner))
            found = made.nearest(SECOND + scan * SECOND // 4, places, (0.0, 0.0, 0.0), 0.0, 1.0)
        assert math.isinf(found) == one


class Pair:
    """Two rounds of records, a quarter of a second apart, of a car that stands; judged by limits that are exact."""

    def __init__(self) -> None:
        safety = dataclasses.replace(SAFETY, plausibility=dataclasses.replace(SAFETY.plausibility, **EXACT))
        slow = dataclasses.replace(safety, trusted_timeout_s=0.5, range_timeout_s=0.5)
        made = dataclasses.replace(settings(), safety=slow)
        self.watchdog, self.plausibility = Watchdog(made, car()), Plausibility(made, car())
        self.now = 0

    def see(self, step: int = SECOND // 4, **changes: dict[str, Any]) -> tuple[str, ...]:
        """Faults after a round ``step`` [ns] later, with some fields of its records changed."""
        self.now += step
        now, fresh = self.now, self.now / SECOND
        records = {
            "joints": JointStates(now, car().joint_names, np.array([0.0, 0.0, *[fresh] * 4]), np.zeros(6), np.zeros(6)),
            "odometry": Odometry(now, 0.0, 0.0, 0.0, 0.0, 0.0),
            "imu": Imu(now, np.array([fresh, 0.0, 0.0]), np.zeros(3)),
            "points": Points(now, np.empty((0, 3), np.float32), np.empty(0, np.int32)),
        }
        told = {name: dataclasses.replace(record, **changes.get(name, {})) for name, record in records.items()}  # type: ignore[type-var]
        received = {name: Received(record, 0) for name, record in told.items()}
        self.watchdog.check(SafetyInputs(now=now, **received))  # type: ignore[arg-type]
        self.plausibility.check(self.watchdog, now)
        return self.plausibility.faults


@pytest.mark.parametrize(
    ("name", "field", "limit", "fault"),
    [
        ("odometry", "x", 0.5, "odometry jumped"),
        ("odometry", "y", -0.5, "odometry jumped"),
        ("odometry", "yaw", 0.5, "odometry turned"),
        ("odometry", "speed", 1.0, "odometry says"),  # 0.75 and a quarter of the faster one
        ("odometry", "yaw_rate", -0.25, "odometry turns"),
    ],
)
def test_sensors_may_contradict_each_other_by_as_much_as_the_limit(
    name: str, field: str, limit: float, fault: str
) -> None:
    for value, wrong in ((limit, False), (math.nextafter(limit, math.copysign(9.0, limit)), True)):
        pair = Pair()
        assert pair.see() == ()
        told = pair.see(**{name: {field: value}})
        assert [one.startswith(fault) for one in told] == [True] * wrong


@pytest.mark.parametrize("side", [0, 1])
def test_a_steering_joint_may_turn_by_as_much_as_the_limit(side: int) -> None:
    for value, wrong in ((0.5, False), (math.nextafter(0.5, 9.0), True)):
        pair = Pair()
        pair.see()
        place = np.array([0.0, 0.0, 9.0, 9.0, 9.0, 9.0])
        place[side] = value
        assert bool(pair.see(joints={"position": place})) == wrong


def test_a_sensor_may_repeat_itself_over_as_long_a_way_as_the_limit() -> None:
    """Two metres at 4 m/s, which odometry alone says; wheels that contradict it are another fault."""
    pair = Pair()
    still = {"angular_velocity": np.zeros(3)}
    pair.see()
    for metres in (0.0, 1.0, 2.0, 3.0):
        told = pair.see(odometry={"x": metres, "speed": 4.0}, imu=still)
        assert any(one.startswith("imu is frozen") for one in told) == (metres > 2.0)


def test_as_long_as_an_input_may_be_silent_a_tick_may_be_late() -> None:
    for step, late in ((SECOND // 2, False), (SECOND // 2 + 1, True)):
        pair = Pair()
        pair.see()
        assert ("no tick for 0.50 s" in pair.see(step)) == late


def test_over_a_gap_as_long_as_odometry_may_be_silent_the_speed_is_still_known() -> None:
    """No faster than the brakes can, it goes down: wheels that lock say nothing."""
    gap = nanoseconds(SAFETY.trusted_timeout_s)
    for step, known in ((gap, True), (gap + 1, False)):
        motion = Motion(settings(), car())
        motion.update(Odometry(0, 0.0, 0.0, 0.0, 10.0, 0.0), 0.0, 0.0)
        motion.update(Odometry(step, 0.0, 0.0, 0.0, 0.0, 0.0), 0.0, 0.0)
        assert (motion.speed > 9.0) == known


@pytest.mark.parametrize("field", ["offset", "heading", "curvature"])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_lane_as_far_from_the_remembered_one_as_its_gate_is_taken(field: str, sign: float) -> None:
    """The car stands: nothing widens the gate."""
    gate, knots = getattr(SAFETY.lane, f"gate_{field}"), len(settings().perception.preview_m)

    def lane(stamp: int, value: float) -> LaneEstimate:
        made = LaneEstimate(stamp, 0.0, 0.0, np.zeros(knots), np.full(2 + knots, 0.1))
        return dataclasses.replace(made, **{field: np.full(knots, value) if field == "curvature" else value})

    for share, taken in ((1.0, True), (1.0 + 1e-15, False)):
        tracker = LaneTracker(settings())
        tracker.odometry(0, 0.0, 0.0)
        assert tracker.offer(lane(0, 0.0), gated=True)
        assert tracker.offer(lane(1, sign * share * gate), gated=True) == taken


def test_a_return_as_high_as_a_road_may_climb_is_road() -> None:
    (mount, _, _), _ = car().description.origin("range_link")
    made = GroundFilter(given("distance", rise_max=0.25, height_max=8.0), car())

    def things(height: float) -> int:
        return len(made.things(Points(0, np.array([[mount + 8.0, 0.0, height]]), np.array([3], np.int32))))

    assert (things(2.0), things(math.nextafter(2.0, 9.0))) == (0, 1)


@pytest.mark.parametrize("gap", [1, 2])
def test_a_pair_as_steep_as_the_limit_is_a_thing(gap: int) -> None:
    """A quarter of a metre up over half a metre."""
    (mount, _, _), _ = car().description.origin("range_link")
    made = GroundFilter(given("distance", steepness=0.5), car())
    for behind, seen in ((0.5, 1), (math.nextafter(0.5, 0.0), 1), (0.5 + 1e-9, 0)):
        xyz = np.array([[mount + 8.0, 0.0, 0.0], [mount + 8.0 + behind, 0.0, 0.25]])
        assert len(made.things(Points(0, xyz, np.array([1, 1 + gap], np.int32)))) == seen


def test_the_largest_gain_for_which_the_drive_is_taken_off_in_time_is_allowed() -> None:
    hardest = car().force_max / car().effective_mass + GRAVITY * settings().vehicle.slope_max
    most = 2 * car().force_rate(1) / car().effective_mass / hardest
    for gain in (most, math.nextafter(most, 99.0)):
        made = dataclasses.replace(settings(), policy=dataclasses.replace(settings().policy, gain_high=gain))
        if gain == most:
            Speed(made, car())
        else:
            with pytest.raises(SettingsError, match="gain_high"):
                Speed(made, car())


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_from_the_first_newton_on_the_drive_moves_the_empty_car_and_the_brakes_hold_the_loaded_one(side: float) -> None:
    """So the way grows by the same per newton at once as a little later."""
    none, least, more, most = (
        Braking(settings(), car()).stop(8.0, side * force).way for force in (0.0, 0.25, 2.0, 4.0)
    )
    assert (least - none) / 0.25 == pytest.approx((most - more) / 2.0, rel=5e-3)
