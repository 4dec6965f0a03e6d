# SPDX-License-Identifier: Apache-2.0
"""What the supervisor makes of scans, lanes and sensors over a few ticks: distances, memory, crossing, faults."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from safety_drive import Drive
from safety_plant import PERIOD, Plant, car, empty_points, settings

from tidegate.records import Mode, Odometry, Points, Received, SafetyInputs, Tick, nanoseconds
from tidegate.safety.barrier import Ahead
from tidegate.safety.braking import Braking
from tidegate.safety.ladder import Rung
from tidegate.safety.lane_tracker import TrackedLane
from tidegate.safety.motion import Motion
from tidegate.safety.surroundings import Surroundings

DISTANCE, FRONT = settings().safety.distance, car().front
RESERVE = DISTANCE.standstill_gap + DISTANCE.noise_m


def posts(now: int, *places: tuple[float, float]) -> Points:
    """Upright things, each hit by two rings, at places (x, y) in the base frame."""
    xyz = [(x, y, z) for x, y in places for z in (0.2, 1.0)]
    return Points(now, np.array(xyz, np.float64).reshape(-1, 3), np.array([2, 3] * len(places), np.int32))


class Scene:
    """A moving car in NORMAL that sees ``things`` (x, y) in the world at every scan."""

    def __init__(self, *things: tuple[float, float], speed: float = 8.0, **plant: float) -> None:
        self.drive = Drive(Plant(speed=speed, **plant))  # type: ignore[arg-type]
        self.drive.supervisor.rung = Rung(Mode.NORMAL, 0, ())
        self.drive.supervisor._motion._expected = speed
        self.things = list(things)

    def tick(self, count: int = 1, lost: tuple[str, ...] = (), **look: object) -> Tick:
        for _ in range(count):
            made = self.drive.run(PERIOD, (0.0, 0.0), lambda inputs: self._scan(inputs, lost), **look)
            assert not any("fault" in reason for reason in made.reasons)
        assert self.drive.tick is not None
        return self.drive.tick

    def _scan(self, inputs: SafetyInputs, lost: tuple[str, ...]) -> SafetyInputs:
        points = inputs.points
        if points is not None and points.record.stamp == inputs.now:
            plant = self.drive.plant
            cos, sin = math.cos(plant.yaw), math.sin(plant.yaw)
            near = [(x - plant.x, y - plant.y) for x, y in self.things]
            seen = posts(inputs.now, *[(cos * x + sin * y, -sin * x + cos * y) for x, y in near])
            points = self.kept = Received(seen if near else empty_points(inputs.now), 0)
        elif points is not None:
            points = Received(self.kept.record, points.age)
        self.drive.sensors.inputs = dataclasses.replace(inputs, points=points)
        return dataclasses.replace(inputs, points=points, **dict.fromkeys(lost))


def h(tick: Tick, name: str = "distance") -> float:
    return next(state.h for state in tick.barriers if state.name == name)


def expected(free: float, speed: float = 8.0, force: float = 0.0) -> float:
    """h of something that stands ``free`` metres before the bumper."""
    return free - Braking(settings(), car()).stop(speed, force).way - RESERVE


@pytest.mark.parametrize("yaw", [0.0, 0.9])
def test_a_thing_ahead_comes_nearer_by_what_is_driven_between_two_scans(yaw: float) -> None:
    scene = Scene((40.0 * math.cos(yaw), 40.0 * math.sin(yaw)), yaw=yaw)
    for tick in range(9):
        driven = math.hypot(scene.drive.plant.x, scene.drive.plant.y)
        speed, force = scene.drive.plant.speed, scene.drive.tick.allowed[0] if scene.drive.tick else 0.0
        assert h(scene.tick()) == pytest.approx(expected(40.0 - driven - FRONT, speed, force), abs=0.02), tick


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_beside_the_arc_the_road_is_free(side: float) -> None:
    assert math.isinf(h(Scene((40.0, side * 4.0)).tick(12)))
    assert math.isinf(h(Scene().tick(12)))


def test_what_vanishes_is_remembered_and_then_forgotten() -> None:
    scene = Scene((40.0, 0.0))
    scene.tick(10)
    scene.things.clear()
    before = h(scene.tick(1))
    assert before == pytest.approx(expected(40.0 - scene.drive.plant.x - FRONT), abs=0.5)
    within = h(scene.tick(8))
    assert before - within == pytest.approx(8 * PERIOD * 8.0, abs=0.1)
    assert math.isinf(h(scene.tick(round(DISTANCE.memory_s / PERIOD) + 10)))


def test_what_drives_ahead_is_counted_on_to_recede_a_little_slower() -> None:
    scene = Scene((30.0, 0.0))
    for _ in range(14):
        scene.tick(10)
        scene.things[0] = (scene.things[0][0] + 0.05 * 8.0, 0.0)
    for ahead in (scene.drive.supervisor._state.arc, scene.drive.supervisor._state.along_lane):
        assert 5.0 < ahead.receding <= 8.0 - DISTANCE.receding_margin + 1e-6
        assert ahead.distance == pytest.approx(30.0 - FRONT, abs=0.5)


def test_along_a_bent_lane_things_are_seen_that_the_arc_misses() -> None:
    bend = 0.02

    def on_lane(way: float) -> tuple[float, float]:
        return math.sin(bend * way) / bend, (1 - math.cos(bend * way)) / bend

    def state(way: float, lost: tuple[str, ...] = ()) -> tuple[float, float]:
        scene = Scene(on_lane(way), road_curvature=bend)
        scene.tick(1, lost)
        kept = scene.drive.supervisor._state
        return kept.arc.distance, kept.along_lane.distance

    for way in (20.0, 28.0):
        arc, along = state(way)
        assert math.isinf(arc)
        assert along == pytest.approx(way - FRONT, abs=0.3)
        assert state(way, ("lane",)) == (math.inf, math.inf)
    scene = Scene(on_lane(28.0), road_curvature=bend)
    scene.tick(6)
    kept = scene.drive.supervisor._state.along_lane.distance
    assert kept == pytest.approx(28.0 - FRONT - scene.drive.plant.x, abs=0.3)


def test_the_lane_is_looked_along_as_far_as_it_is_trusted() -> None:
    """Preview and reach: 36 and 20 m; a thing beside the arc but in the lane, which bends far ahead."""
    end = settings().perception.preview_m[-1] + settings().safety.lane.reach_m
    for way, seen in ((end - 3.0, True), (end + 3.0, False)):
        scene = Scene((way, 0.0))
        scene.tick()
        assert math.isfinite(scene.drive.supervisor._state.along_lane.distance) == seen
        assert math.isfinite(scene.drive.supervisor._state.arc.distance)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_what_crosses_is_in_the_way_before_it_is_there(side: float) -> None:
    scene = Scene((40.0, side * 9.0))
    for _ in range(17):
        scene.tick(10)
        scene.things[0] = (40.0, scene.things[0][1] - side * 0.2)
    assert abs(scene.things[0][1]) > 5.0
    free = scene.drive.supervisor._state.arc.distance
    assert free == pytest.approx(40.0 - FRONT - scene.drive.plant.x, abs=0.5)
    scene.tick(5)
    assert free - scene.drive.supervisor._state.arc.distance == pytest.approx(5 * PERIOD * 8.0, abs=0.1)
    waiting = Scene((40.0, side * 6.0))
    assert math.isinf(h(waiting.tick(170)))


def test_the_slew_window_is_that_of_the_force_commanded_last() -> None:
    scene = Scene()
    before = scene.tick(3).allowed[0]
    scene.drive.run(PERIOD, (3000.0, 0.0))
    state = scene.drive.supervisor._state
    assert (state.force_low, state.force_high) == car().force_window(before, PERIOD)


def test_without_any_lane_the_camera_is_out_at_every_tick() -> None:
    scene = Scene()
    for _ in range(4):
        tick = scene.tick(1, ("lane",))
        assert tick.mode == Mode.HOLD
        assert tick.reasons == ("lane never arrived",)


def test_only_the_offset_s_bound_decides_whether_a_lane_is_trusted() -> None:
    scene = Scene()
    bound = np.array([0.2, 9.0, 9.0, 9.0, 9.0, 9.0])

    def unsure(inputs: SafetyInputs) -> SafetyInputs:
        assert inputs.lane is not None
        return dataclasses.replace(inputs, lane=Received(dataclasses.replace(inputs.lane.record, bound=bound), 0))

    assert scene.drive.run(PERIOD, (0.0, 0.0), unsure).mode == Mode.NORMAL


def test_the_remembered_lane_is_carried_on_by_odometry() -> None:
    scene = Scene(heading=0.1)
    scene.drive.plant.yaw = 0.1
    first = h(scene.tick(2), "lane")
    later = h(scene.tick(8), "lane")
    assert first - later == pytest.approx(8 * PERIOD * 8.0 * math.sin(0.1), abs=0.02)


def test_sensors_that_contradict_each_other_stop_the_car() -> None:
    scene = Scene()
    scene.tick(5)

    def jumped(inputs: SafetyInputs) -> SafetyInputs:
        assert inputs.odometry is not None
        record = dataclasses.replace(inputs.odometry.record, x=inputs.odometry.record.x + 2.0)
        return dataclasses.replace(inputs, odometry=Received(record, 0))

    tick = scene.drive.run(PERIOD, (0.0, 0.0), jumped)
    assert tick.mode == Mode.STOPPING
    assert "odometry jumped" in tick.reasons[0]


def test_without_the_filter_nothing_is_said_to_be_without_a_solution() -> None:
    drive = Drive(Plant(speed=8.0), disable=frozenset({"filter"}))
    drive.supervisor.rung = Rung(Mode.NORMAL, 0, ())
    assert drive.run(3 * PERIOD, (9e9, 0.0)).reasons == ()


def test_an_arc_that_swings_onto_a_thing_between_two_scans_sees_it_at_once() -> None:
    """Slow enough that the arc is the commanded one; what the scan before saw was beside it."""
    bend = 0.05
    scene = Scene((math.sin(bend * 15.0) / bend, (1 - math.cos(bend * 15.0)) / bend), speed=1.0)
    scene.tick(3, ("lane",))
    state = scene.drive.supervisor._state
    assert math.isinf(state.arc.distance)
    state.curvature = bend
    scene.tick(1, ("lane",))
    assert state.arc.distance == pytest.approx(15.0 - FRONT - 0.02, abs=0.05)
    straight = Scene((15.0, 0.0), speed=1.0)  # and one that swings away keeps what the scan saw
    straight.tick(3, ("lane",))
    straight.drive.supervisor._state.curvature = 0.15
    straight.tick(1, ("lane",))
    assert straight.drive.supervisor._state.arc.distance == pytest.approx(15.0 - FRONT, abs=0.05)


def test_a_new_supervisor_is_stopped_and_waits() -> None:
    assert Drive().supervisor.rung == Rung()


def driven(time: float) -> Motion:
    """Of a car that went straight at 8 m/s for so long."""
    motion = Motion(settings(), car())
    for tick in range(round(time / PERIOD) + 1):
        motion.update(Odometry(tick * nanoseconds(PERIOD), 8.0 * PERIOD * tick, 0.0, 0.0, 8.0, 0.0), 0.0, 0.0)
    return motion


def test_a_scan_that_comes_late_is_carried_on_to_where_the_car_is_by_then() -> None:
    lane = TrackedLane(0.0, 0.0, 0.1, 0.01, (0.0, 36.0), (0.0, 0.0), 36.0)
    seen = Surroundings(settings(), car()).look(nanoseconds(0.1), posts(0, (30.0, 0.0)), driven(0.1), 0.0, lane)
    assert [one.distance for one in seen] == pytest.approx([30.0 - FRONT - 0.8] * 2, abs=0.02)


def crossed(
    made: Surroundings, way: float = 20.0, bend: float = 0.0, commanded: float = 0.0, late: float = 0.0
) -> float:
    """How far ahead a thing is seen that has come within 4 m of the arc in 0.8 s; the car stands, or is at 8 m/s where
    scans are late."""
    for scan in range(17):
        stamp = nanoseconds(0.05 * scan)
        motion = driven(0.05 * scan + late) if late else Motion(settings(), car())
        if not late:
            motion.update(Odometry(stamp, 0.0, 0.0, 0.0, 0.0, 0.0), 0.0, 2 * bend - commanded)
        aside, moved = 4.0 + 4.0 * 0.05 * (16 - scan), 0.4 * scan * bool(late)
        place = (way - moved, aside)
        if bend:  # from its outer side
            place = (1 / bend + aside) * math.sin(bend * way), 1 / bend - (1 / bend + aside) * math.cos(bend * way)
        arc, _ = made.look(stamp + nanoseconds(late), posts(stamp, place), motion, commanded, None)
    return arc.distance


def test_what_crosses_is_carried_on_from_a_late_scan_too() -> None:
    assert crossed(Surroundings(settings(), car()), 40.0, late=0.1) == pytest.approx(
        40.0 - FRONT - 16 * 0.4 - 0.8, abs=0.05
    )


@pytest.mark.parametrize("more", [-0.01, 0.0, 0.01])
def test_what_crosses_is_looked_for_midway_between_the_arcs_measured_and_commanded(more: float) -> None:
    bend = 0.03
    assert crossed(Surroundings(settings(), car()), 20.0, bend, bend + more) == pytest.approx(20.0 - FRONT, abs=0.1)


@pytest.mark.parametrize(("margin", "seen"), [(-30.0, False), (2.0, True)])
def test_a_margin_for_what_crosses_may_change_while_the_car_drives(margin: float, seen: bool) -> None:
    made = Surroundings(settings(), car())
    distance = dataclasses.replace(DISTANCE, crossing_margin_s=margin)
    made.adjust(dataclasses.replace(settings(), safety=dataclasses.replace(settings().safety, distance=distance)))
    assert math.isfinite(crossed(made)) == seen


@pytest.mark.parametrize(("way", "seen"), [(4.2, True), (7.0, False)])
def test_a_lane_that_has_nearly_ended_is_looked_along_for_a_few_metres(way: float, seen: bool) -> None:
    left = 1.0 - settings().safety.lane.reach_m
    lane = TrackedLane(0.0, 0.0, 0.1, 0.01, (0.0,), (0.0,), left)
    _, along = Surroundings(settings(), car()).look(0, posts(0, (way, 0.0)), driven(0.0), 0.0, lane)
    assert along.distance == (pytest.approx(way - FRONT, abs=0.02) if seen else math.inf)


def test_without_a_scan_nothing_is_known_to_be_ahead() -> None:
    assert Surroundings(settings(), car()).look(0, None, driven(0.0), 0.0, None) == (Ahead(), Ahead())
