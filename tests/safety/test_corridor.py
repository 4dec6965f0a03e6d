# SPDX-License-Identifier: Apache-2.0
"""What is in the way and how it moves: edges of the corridors, tracks over time, things that cross."""

from __future__ import annotations

import math

import numpy as np
import pytest
from safety_plant import car, settings

from tidegate.records import nanoseconds
from tidegate.safety.corridor import Corridor, Track, along_arc, moved
from tidegate.safety.crossing import Crossing

DISTANCE = settings().safety.distance
HALF, FRONT = car().width / 2 + DISTANCE.side_margin, car().front


def on_arc(things: np.ndarray, low: float, high: float) -> float:
    return Corridor(settings(), car()).on_arc(things, low, high)


def along_lane(things: np.ndarray, line: np.ndarray) -> float:
    return Corridor(settings(), car()).along_lane(things, line)


def at(*places: tuple[float, float]) -> np.ndarray:
    return np.array(places, float).reshape(-1, 2)


def test_the_arc_is_as_wide_as_the_car_and_its_margin() -> None:
    for side in (-1.0, 1.0):
        assert on_arc(at((20.0, side * 0.999 * HALF)), 0.0, 0.0) == pytest.approx(20.0 - FRONT)
        assert math.isinf(on_arc(at((20.0, side * 1.001 * HALF)), 0.0, 0.0))


def test_what_is_beside_or_behind_the_bumper_is_not_ahead() -> None:
    assert math.isinf(on_arc(at((FRONT, 0.0), (-5.0, 0.0)), 0.0, 0.0))
    assert on_arc(at((FRONT + 0.01, 0.0)), 0.0, 0.0) == pytest.approx(0.01)
    line = np.stack([np.arange(40.0), np.zeros(40), np.zeros(40)], axis=1)
    assert math.isinf(along_lane(at((FRONT, 0.0), (-5.0, 0.0)), line))
    assert along_lane(at((FRONT + 0.01, 0.0)), line) == pytest.approx(0.01)


def test_nothing_seen_is_a_free_road() -> None:
    assert math.isinf(on_arc(at(), 0.0, 0.0))
    assert math.isinf(along_lane(at(), np.zeros((3, 3))))


def test_between_measured_and_commanded_arc_everything_counts() -> None:
    low, high, way = -0.01, 0.02, 20.0
    left, right = (np.array([math.sin(k * way), 1 - math.cos(k * way)]) / k for k in (high, low))
    for share in np.linspace(0, 1, 7):
        place = tuple(share * left + (1 - share) * right)
        nearest = min(along_arc(*place, bend) for bend in (low, high)) - FRONT
        assert on_arc(at(place), low, high) == pytest.approx(nearest)
    for place in ((left[0], left[1] + HALF + 0.5), (right[0], right[1] - HALF - 0.5)):
        assert math.isinf(on_arc(at(place), low, high))
    assert on_arc(at((30.0, 0.0), (12.0, 0.0), (9.0, 9.0)), 0.0, 0.0) == pytest.approx(12.0 - FRONT)


def test_an_arc_of_no_curvature_is_as_long_as_it_is_far() -> None:
    for bend in (0.0, 9e-7, -9e-7, 2e-6):
        assert along_arc(20.0, 1.0, bend) == pytest.approx(20.0, abs=1e-3)


def test_the_lane_is_watched_to_either_side_and_not_beyond_its_end() -> None:
    line = np.stack([np.arange(40.0), np.zeros(40), np.zeros(40)], axis=1)
    for side in (-1.0, 1.0):
        assert along_lane(at((20.3, side * 0.999 * DISTANCE.lane_corridor)), line) == pytest.approx(20.3 - FRONT)
        assert math.isinf(along_lane(at((20.3, side * 1.001 * DISTANCE.lane_corridor)), line))
    assert along_lane(at((38.4, 0.0)), line) == pytest.approx(38.4 - FRONT)
    assert math.isinf(along_lane(at((39.2, 0.0)), line))  # nearest to the last point: it may be far past it
    assert along_lane(at((38.0, 0.5), (12.0, 9.0), (25.0, 0.0)), line) == pytest.approx(25.0 - FRONT)


def test_along_a_turned_lane_way_and_side_are_measured_in_its_frame() -> None:
    turn, spacing = 0.4, 0.5
    steps = spacing * np.arange(60)
    line = np.stack([0.5 + steps * math.cos(turn), 1.0 + steps * math.sin(turn), np.full(60, turn)], axis=1)
    along, across = np.array([math.cos(turn), math.sin(turn)]), np.array([-math.sin(turn), math.cos(turn)])
    for way in (10.0, 10.2, 17.9):
        for side, seen in ((0.999, True), (-0.999, True), (1.001, False), (-1.001, False)):
            place = np.array([0.5, 1.0]) + way * along + side * DISTANCE.lane_corridor * across
            found = along_lane(at(tuple(place)), line)
            assert found == (pytest.approx(way - FRONT) if seen else math.inf)


def test_places_are_seen_from_where_the_car_is_now() -> None:
    np.testing.assert_allclose(moved(at((10.0, 2.0)), (0.0, 0.0, 0.0), (3.0, 0.5, 0.0)), [[7.0, 1.5]])
    np.testing.assert_allclose(
        moved(at((10.0, 0.0)), (0.0, 0.0, 0.0), (0.0, 0.0, math.pi / 2)), [[0.0, -10.0]], atol=1e-9
    )


def track(*distances: float, driven: float = 0.0, every: float = 0.05) -> Track:
    """Scans of a thing, the first at one second."""
    made = Track(settings())
    for scan, distance in enumerate(distances):
        made.update(nanoseconds(1.0 + every * scan), distance, driven)
    return made


def test_a_fresh_track_is_free_and_a_first_return_is_taken_as_standing() -> None:
    fresh = Track(settings()).ahead(nanoseconds(5.0), 0.0)
    assert (fresh.distance, fresh.receding, fresh.approaching) == (math.inf, 0.0, 0.0)
    seen = track(30.0).ahead(nanoseconds(1.2), 1.5)
    assert (seen.distance, seen.receding, seen.approaching) == (28.5, 0.0, 0.0)


def told(scans: int) -> float:
    """Share of a steady speed that a track tells of: the first scan counts as one in which the thing stood."""
    left = 1.0
    for scan in range(2, scans + 1):
        left *= 1 - max(0.05 / (0.05 + DISTANCE.track_s), 1.0 / scan)
    return 1 - left


@pytest.mark.parametrize("speed", [-6.0, 5.0, -0.5, 0.5])
def test_a_steady_speed_counts_after_enough_scans_less_its_margin(speed: float) -> None:
    scans = DISTANCE.track_scans
    places = [40.0 + (speed - 10.0) * 0.05 * scan for scan in range(scans)]
    early = track(*places[:-1], driven=0.5).ahead(nanoseconds(1.0), 0.0)
    assert (early.receding, early.approaching) == (0.0, 0.0)
    now = 1.0 + 0.05 * (scans - 1)
    speed *= told(scans)
    seen = track(*places, driven=0.5).ahead(nanoseconds(now + 0.1), 0.3)
    assert seen.receding == pytest.approx(max(speed - DISTANCE.receding_margin, 0.0), abs=1e-6)
    closing = -speed if -speed > DISTANCE.approach_margin else 0.0
    assert seen.approaching == pytest.approx(closing, abs=1e-6)
    assert seen.distance == pytest.approx(places[-1] - 0.3 - 0.1 * closing)


def test_approach_is_counted_up_to_the_fastest_that_is_covered() -> None:
    places = [200.0 - 2.0 * scan for scan in range(15)]
    assert track(*places).ahead(nanoseconds(1.7), 0.0).approaching == DISTANCE.approach_max


def test_speed_is_the_mean_of_the_first_scans_then_forgets_with_its_time() -> None:
    """Scan n weighs 1/n until that is less than step/(step + track_s)."""
    rng, made, speed, place = np.random.default_rng(0), Track(settings()), 0.0, 40.0
    made.update(nanoseconds(1.0), place, 0.0)
    for scan in range(1, 25):
        before, place = place, place + rng.uniform(0.0, 0.4)
        made.update(nanoseconds(1.0 + 0.05 * scan), place, 0.1)
        share = max(0.05 / (0.05 + DISTANCE.track_s), 1.0 / (scan + 1))
        speed += share * ((place - before + 0.1) / 0.05 - speed)
        ahead = made.ahead(nanoseconds(1.0 + 0.05 * scan), 0.0)
        known = scan + 1 >= DISTANCE.track_scans
        assert ahead.receding == pytest.approx(max(speed - DISTANCE.receding_margin, 0.0) if known else 0.0)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_jump_is_another_thing_whose_speed_is_not_known(sign: float) -> None:
    places = [40.0 + 0.2 * scan for scan in range(15)]
    for share, same in ((0.99, True), (1.01, False)):
        jumped = places[-1] + 0.2 + sign * share * DISTANCE.track_gate
        ahead = track(*places, jumped).ahead(nanoseconds(1.75), 0.0)
        assert ahead.distance == jumped
        assert (ahead.receding == ahead.approaching == 0.0) != same


def test_scans_that_are_not_newer_say_nothing_of_the_speed() -> None:
    made = track(*[40.0 + 0.2 * scan for scan in range(15)])
    made.update(nanoseconds(1.7), 42.0, 0.0)
    ahead = made.ahead(nanoseconds(1.7), 0.0)
    assert (ahead.distance, ahead.receding) == (42.0, 0.0)


def test_what_vanishes_is_remembered_where_it_would_be_at_the_worst() -> None:
    away, towards = ([40.0 + v * 0.05 * scan for scan in range(15)] for v in (4.0, -4.0))
    memory = DISTANCE.memory_s
    closing = -4.0 * told(15)
    for places, speed in ((away, 0.0), (towards, closing)):
        made = track(*places)
        made.update(nanoseconds(1.7 + memory), math.inf, 0.3)
        ahead = made.ahead(nanoseconds(1.7 + memory), 0.0)
        assert ahead.distance == pytest.approx(places[-1] - 0.3 + speed * memory, abs=1e-3)
        made.update(nanoseconds(1.7 + memory + 0.01), math.inf, 0.0)
        assert math.isinf(made.ahead(nanoseconds(1.7 + memory + 0.01), 0.0).distance)
    made = track(*towards)
    made.update(nanoseconds(1.75), math.inf, 90.0)
    assert made.ahead(nanoseconds(1.75), 0.0).distance == 0.0  # never behind the bumper
    # memory counts from when it was last seen, and its own steps from scan to scan
    made = track(*towards)
    for scan in range(1, 6):
        made.update(nanoseconds(1.7 + 0.05 * scan), math.inf, 0.1)
    assert made.ahead(nanoseconds(1.95), 0.0).distance == pytest.approx(towards[-1] - 0.5 + closing * 0.25, abs=1e-3)


BEAM = math.radians(2 * settings().ranging.azimuth_deg / (settings().ranging.beams - 1))


def crossing(
    towards: float,
    forward: float = 0.0,
    *,
    own: float = 0.0,
    x: float = 25.0,
    y: float = 6.0,
    scans: int = 17,
    turn: float = 0.0,
) -> float:
    """A single return that moves towards the corridor and forward, seen from a car that stands turned by ``turn``."""
    seen, found = Crossing(settings(), car()), math.inf
    for scan in range(scans):
        t = 0.05 * scan
        place = at((x + forward * t, y - towards * t))
        found = seen.nearest(nanoseconds(1.0 + t), place, (3.0, -2.0, turn), 0.0, own)
    return found


def test_an_edge_counts_from_a_movement_that_is_more_than_beam_and_noise() -> None:
    window = DISTANCE.crossing_window_s
    moves = BEAM * math.hypot(25.0, 5.0) + DISTANCE.crossing_noise_m
    for share, crosses in ((0.998, False), (1.002, True)):
        found = crossing(share * moves / window, y=5.0 + share * moves)
        assert found == (pytest.approx(25.0 - FRONT) if crosses else math.inf)


@pytest.mark.parametrize("turn", [0.0, 0.7, -2.0])
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_what_moves_mainly_along_does_not_cross(side: float, turn: float) -> None:
    for forward, crosses in ((0.7 * 4.0 + 0.9, True), (0.7 * 4.0 + 1.1, False), (-3.7, True), (-3.9, False)):
        found = crossing(side * 4.0, forward, y=side * 6.0, turn=turn)
        assert math.isfinite(found) == crosses


def test_it_must_be_seen_for_most_of_the_window() -> None:
    enough = math.ceil(0.6 * DISTANCE.crossing_window_s / 0.05)
    assert math.isinf(crossing(4.0, scans=enough))
    assert math.isfinite(crossing(4.0, scans=enough + 2))


def test_it_is_in_the_way_where_it_enters_before_the_car_has_passed() -> None:
    """It enters the corridor in (|y| − half)/v; the car passes after distance/speed, and a margin."""
    for own in (-2.0, 0.5, 1.0, 8.0):
        limit = (25.0 - FRONT) / max(own, 1.0) + DISTANCE.crossing_margin_s
        for share, crosses in ((0.97, True), (1.03, False)):
            last = HALF + share * limit * 4.0
            found = crossing(4.0, own=own, y=last + 4.0 * 0.05 * 16)
            assert math.isfinite(found) == crosses


def test_what_is_in_the_corridor_or_beyond_reach_is_not_for_the_crossing() -> None:
    assert math.isinf(crossing(4.0, y=HALF + 4.0 * 0.8 - 0.05))  # inside by now: the arc sees it
    reach = DISTANCE.crossing_reach_m
    assert math.isinf(crossing(6.0, x=reach + 0.1, y=9.0))
    assert math.isfinite(crossing(6.0, x=reach - 0.1, y=9.0))


def test_the_nearest_of_several_counts_and_each_keeps_its_own_edge() -> None:
    seen, found = Crossing(settings(), car()), math.inf
    for scan in range(17):
        t = 0.05 * scan
        places = at((20.0, 12.0), (30.0, 8.0 - 4.0 * t), (40.0, -8.0 + 4.0 * t))
        found = seen.nearest(nanoseconds(1.0 + t), places, (0.0, 0.0, 0.0), 0.0, 5.0)
    assert found == pytest.approx(30.0 - FRONT)
    assert math.isinf(seen.nearest(nanoseconds(1.9), at(), (0.0, 0.0, 0.0), 0.0, 5.0))


def test_the_car_that_turns_moves_no_edge() -> None:
    """A post beside the road, seen from a car that drives by in a bend, stands still in odometry."""
    seen, found = Crossing(settings(), car()), []
    for scan in range(30):
        t, bend = 0.05 * scan, 0.02
        yaw = bend * 8.0 * t
        pose = (math.sin(yaw) / bend, (1 - math.cos(yaw)) / bend, yaw)
        place = moved(at((30.0, -6.0)), (0.0, 0.0, 0.0), pose)
        found.append(seen.nearest(nanoseconds(1.0 + t), place, pose, bend, 8.0))
    assert all(math.isinf(distance) for distance in found)


def test_a_thing_that_stands_while_the_car_drives_is_no_jump() -> None:
    """Two metres a scan: what is expected next is where it was less what was driven."""
    places = [60.0 - (2.0 - 0.25) * scan for scan in range(15)]
    ahead = track(*places, driven=2.0).ahead(nanoseconds(1.7), 0.0)
    assert ahead.receding == pytest.approx(5.0 * told(15) - DISTANCE.receding_margin)


def seen_over(*scans: np.ndarray, curvature: float = 0.0, speed: float = 8.0) -> float:
    """What is found after the last of some scans, from a car that stands."""
    made, found = Crossing(settings(), car()), math.inf
    for scan, things in enumerate(scans):
        found = made.nearest(nanoseconds(1.0 + 0.05 * scan), things, (0.0, 0.0, 0.0), curvature, speed)
    return found


def test_of_a_thing_the_edge_enters_and_its_nearest_part_is_the_distance() -> None:
    """Three returns, the farthest of them nearest to the corridor: it is its edge that enters in time."""

    def slanted(y: float) -> list[np.ndarray]:
        return [at((30.0, y + 4.0 - 0.2 * k), (31.0, y + 2.0 - 0.2 * k), (32.0, y - 0.2 * k)) for k in range(17)]

    limit = (30.0 - FRONT) / 8.0 + DISTANCE.crossing_margin_s
    for share, crosses in ((0.97, True), (1.03, False)):
        found = seen_over(*slanted(3.2 + HALF + share * limit * 4.0))
        assert found == (pytest.approx(30.0 - FRONT) if crosses else math.inf)


def test_a_thing_that_reaches_into_the_corridor_is_the_arcs_and_one_that_begins_within_reach_counts() -> None:
    inside = [at((25.0, 8.2 - 0.2 * k), (25.0, 5.6 - 0.2 * k), (25.0, 3.2 + HALF - 0.1 - 0.2 * k)) for k in range(17)]
    assert math.isinf(seen_over(*inside))
    beside = at((40.0, -30.0))  # another thing, which stands, takes none of its returns
    assert math.isinf(seen_over(*[np.concatenate((beside, thing)) for thing in inside]))
    reach = DISTANCE.crossing_reach_m
    long = [at((reach - 1.0, 9.0 - 0.3 * k), (reach + 1.0, 8.0 - 0.3 * k)) for k in range(17)]
    assert seen_over(*long) == pytest.approx(reach - 1.0 - FRONT)


@pytest.mark.parametrize("gap", [(0.0, 1.0), (1.0, 0.0), (0.6, 0.8)])
def test_returns_belong_together_up_to_the_gate(gap: tuple[float, float]) -> None:
    """Together they reach into the corridor, so the arc sees them; apart, the outer one crosses."""
    for share, apart in ((0.99, False), (1.01, True)):
        dx, dy = (share * DISTANCE.track_gate * part for part in gap)
        y = HALF + (0.2 if dy < 0.1 else -0.2)
        scans = [at((25.0, y + 3.2 - 0.2 * k), (25.0 + dx, y + 3.2 - 0.2 * k + dy)) for k in range(17)]
        found = seen_over(*scans)
        if dy < 0.1:  # both beside: the nearest of them, together or not
            assert found == pytest.approx(25.0 - FRONT)
        else:
            assert found == (pytest.approx(25.0 + dx - FRONT) if apart else math.inf)


def test_what_crosses_beside_the_bumper_is_at_no_distance() -> None:
    scans = [at((FRONT - 0.5, HALF + 3.4 - 0.2 * k)) for k in range(17)]
    assert seen_over(*scans) == 0.0


@pytest.mark.parametrize("bend", [0.02, -0.02])
def test_oncoming_traffic_in_a_bend_moves_along_and_not_across(bend: float) -> None:
    beside, scans = 3.5, []
    for k in range(17):
        turn = bend * (35.0 - 0.4 * k)
        radius = 1 / bend - beside
        scans.append(at((radius * math.sin(turn), 1 / bend - radius * math.cos(turn))))
    assert math.isinf(seen_over(*scans, curvature=bend))


@pytest.mark.parametrize("turn", [0.0, math.pi / 2, -2.0])
def test_what_crosses_is_seen_from_a_car_that_drives_in_any_direction(turn: float) -> None:
    made, found, ahead = Crossing(settings(), car()), math.inf, np.array([math.cos(turn), math.sin(turn)])
    for scan in range(17):
        t = 0.05 * scan
        pose = (3.0 + 8.0 * t * ahead[0], -2.0 + 8.0 * t * ahead[1], turn)
        found = made.nearest(nanoseconds(1.0 + t), at((30.0 - 8.0 * t, 6.0 - 4.0 * t)), pose, 0.0, 8.0)
    assert found == pytest.approx(30.0 - 6.4 - FRONT)


def test_an_edge_belongs_to_one_thing() -> None:
    """What appears near it for a moment, behind something else by azimuth, does not take its past away."""
    scans = [at((30.0, 8.0 - 0.2 * k)) for k in range(18)]
    scans[16] = np.concatenate((scans[16], at((45.0, -15.0)), scans[16] + [[0.0, 2.9]]))
    assert seen_over(*scans) == pytest.approx(30.0 - FRONT)


@pytest.mark.parametrize("bend", [0.03, -0.03])
def test_across_is_across_the_arc_where_the_thing_is(bend: float) -> None:
    """Far round a bend the arc points elsewhere: what moves at a right angle to it there crosses."""
    turn, side, scans = bend * 35.0, math.copysign(1.0, bend), []
    for k in range(17):
        radius = 1 / bend - side * (7.0 - 0.2 * k)
        scans.append(at((radius * math.sin(turn), 1 / bend - radius * math.cos(turn))))
    assert seen_over(*scans, curvature=bend) == pytest.approx(35.0 - FRONT)
