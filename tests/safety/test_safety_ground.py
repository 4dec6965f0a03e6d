# SPDX-License-Identifier: Apache-2.0
"""Road or thing: crests, sags, a trailer that low planes pass under, a low car near and far; then the corridor."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from safety_plant import car, settings

from tidegate.records import Points, nanoseconds
from tidegate.safety.corridor import Corridor, Track, along_arc, beside_arc, moved
from tidegate.safety.crossing import Crossing
from tidegate.safety.ground import GroundFilter
from tidegate.safety.lane_tracker import TrackedLane, centre_line

MOUNT, MAST = 2.0, 1.5


def profile_height(x: np.ndarray, change: float, over: float) -> np.ndarray:
    """Road that is flat here and whose grade changes by ``change`` over ``over`` metres ahead, then stays."""
    bent = np.clip(x, 0, over)
    return change / over * bent**2 / 2 + change * np.maximum(x - over, 0)


def look(
    change: float = 0.0,
    over: float = 50.0,
    pitch: float = 0.0,
    thing: tuple[float, float, float, float] | None = None,
    seed: int = 0,
) -> Points:
    """Scan of a profile with an upright plate ``thing`` = (distance from the sensor, half width, floor, top)."""
    ranging, rng = settings().ranging, np.random.default_rng(seed)
    along = np.arange(0.0, ranging.range_max, 0.02)
    xyz, rings = [], []
    for ring, elevation in enumerate(np.radians(ranging.elevation_deg) + pitch):
        below = MAST + along * math.tan(elevation) < profile_height(along + MOUNT, change, over)
        ground = along[below.argmax()] if below.any() else np.inf
        for azimuth in np.radians(np.linspace(-ranging.azimuth_deg, ranging.azimuth_deg, ranging.beams)):
            r = ground / math.cos(azimuth) if np.isfinite(ground) else np.inf
            if thing is not None:
                distance, half, floor, top = thing
                hit, road = (
                    distance / math.cos(azimuth),
                    float(profile_height(np.array(distance + MOUNT), change, over)),
                )
                z = MAST + hit * math.tan(elevation)
                if abs(distance * math.tan(azimuth)) <= half and floor <= z - road <= top and hit < r:
                    r = hit
            r += rng.normal(0, ranging.noise_std)
            if r <= ranging.range_max:
                own = elevation - pitch
                xyz.append((MOUNT + r * math.cos(azimuth), r * math.sin(azimuth), MAST + r * math.tan(own)))
                rings.append(ring)
    return Points(0, np.array(xyz, np.float32).reshape(-1, 3), np.array(rings, np.int32))


def ground() -> GroundFilter:
    return GroundFilter(settings(), car())


@given(change=st.floats(-0.12, 0.12), over=st.floats(40.0, 60.0), pitch=st.floats(-0.035, 0.035))
@profile(max_examples=10, deadline=None)
def test_no_road_is_a_thing(change: float, over: float, pitch: float) -> None:
    assert len(ground().things(look(change, over, pitch))) == 0


@pytest.mark.parametrize("change", [-0.12, -0.06, 0.0, 0.06, 0.12])
@pytest.mark.parametrize("distance", [1.6, 3.0, 6.0, 12.0, 20.0, 28.0, 33.0])
def test_a_low_car_is_seen_over_crest_and_sag_near_and_far(change: float, distance: float) -> None:
    things = ground().things(look(change, thing=(distance, 0.85, 0.25, 1.46)))
    assert len(things) > 0
    # up to a metre too near where a plane meets the road just before it, never too far
    assert distance + MOUNT - 1.0 < things[:, 0].min() < distance + MOUNT + 0.3


@pytest.mark.parametrize("distance", [4.0, 10.0, 20.0, 40.0, 60.0])
def test_a_trailer_is_seen_above_the_planes_that_pass_under_it(distance: float) -> None:
    things = ground().things(look(thing=(distance, 6.0, 1.2, 3.9)))
    assert len(things) > 3
    assert abs(things[:, 0].min() - (distance + MOUNT)) < 0.3


def test_broken_returns_are_left_out() -> None:
    points = look(thing=(15.0, 0.85, 0.25, 1.46))
    xyz, ring = points.xyz.copy(), points.ring.copy()
    xyz[::7] = np.nan
    ring[3] = 99
    assert abs(ground().things(Points(0, xyz, ring))[:, 0].min() - 17.0) < 0.3
    assert len(ground().things(Points(0, np.empty((0, 3), np.float32), np.empty(0, np.int32)))) == 0


@pytest.mark.parametrize("curvature", [-1 / 30, -0.01, 0.0, 0.01, 1 / 30])
def test_in_a_steady_bend_own_lane_is_watched_and_the_other_is_not(curvature: float) -> None:
    corridor = Corridor(settings(), car())
    for way in (8.0, 15.0, 25.0):
        for beside, seen in ((0.0, True), (3.35 - 0.88, False), (-3.35 + 0.88, False), (0.9, True)):
            heading = curvature * way
            if curvature:
                foot = np.array([math.sin(heading), 1 - math.cos(heading)]) / curvature
            else:
                foot = np.array([way, 0.0])
            place = foot + beside * np.array([-math.sin(heading), math.cos(heading)])
            found = corridor.on_arc(place[None], curvature, curvature)
            assert math.isfinite(found) == seen
            assert beside_arc(*place, curvature) == pytest.approx(beside, abs=1e-9)
            if seen:
                assert found == pytest.approx(way - car().front, abs=1e-6)
                assert along_arc(*place, curvature) == pytest.approx(way, abs=1e-6)


def test_the_lane_corridor_sees_round_the_bend_that_the_arc_misses() -> None:
    corridor = Corridor(settings(), car())
    lane = TrackedLane(0.2, 0.03, 0.1, 0.02, (0.0, 12.0, 24.0, 36.0), (0.0, 0.01, 0.03, 0.03), 36.0)
    line = centre_line(lane, 40.0)
    target = line[28, :2]
    assert math.isinf(corridor.on_arc(target[None], 0.0, 0.0))
    assert corridor.along_lane(target[None], line) == pytest.approx(28.0 - car().front, abs=0.6)
    oncoming = target + (3.35 - 0.88) * np.array([-math.sin(line[28, 2]), math.cos(line[28, 2])])
    assert math.isinf(corridor.along_lane(oncoming[None], line))


def test_points_move_with_the_car() -> None:
    then, now = (1.0, 2.0, 0.3), (4.0, -1.0, -0.5)
    points = np.random.default_rng(0).normal(size=(5, 2))
    turn = complex(math.cos(then[2]), math.sin(then[2]))
    world = [complex(then[0], then[1]) + turn * complex(*point) for point in points]
    back = [(place - complex(now[0], now[1])) / complex(math.cos(now[2]), math.sin(now[2])) for place in world]
    np.testing.assert_allclose(moved(points, then, now), [(place.real, place.imag) for place in back], atol=1e-12)


def test_a_track_never_counts_on_more_than_was_measured() -> None:
    rng, track, distance, speed = np.random.default_rng(0), Track(settings()), 40.0, 12.0
    for scan in range(60):
        true_speed = 7.0
        distance += (true_speed - speed) * 0.05
        track.update(nanoseconds(0.05 * scan), distance + rng.normal(0, 0.03), speed * 0.05)
        ahead = track.ahead(nanoseconds(0.05 * scan), 0.0)
        assert ahead.receding <= true_speed
        assert ahead.approaching == 0.0
    assert ahead.receding > 4.0


def test_a_track_notices_what_comes_towards_us_and_remembers_what_vanished() -> None:
    track = Track(settings())
    for scan in range(30):
        track.update(nanoseconds(0.05 * scan), 60.0 - 0.05 * scan * (10.0 + 8.0), 0.5)
    assert track.ahead(nanoseconds(1.45), 0.0).approaching == pytest.approx(8.0, abs=0.5)
    last = 60.0 - 1.45 * 18.0
    track.update(nanoseconds(1.5), math.inf, 0.5)
    assert track.ahead(nanoseconds(1.5), 0.0).distance <= last
    for scan in range(31, 40):
        track.update(nanoseconds(0.05 * scan), math.inf, 0.5)
    assert math.isinf(track.ahead(nanoseconds(2.0), 0.0).distance)


def crossing_at(speed: float, side: float, along_speed: float) -> float:
    """Distance that ``Crossing`` reports last while a 2 m wide thing moves beside the road ahead; we drive 12 m/s."""
    crossing, found = Crossing(settings(), car()), math.inf
    beam = math.radians(1.0)
    for scan in range(40):
        t = 0.05 * scan
        x, edge = 60.0 - 12.0 * t + along_speed * t, 10.0 - speed * t
        azimuth = np.arange(math.ceil(math.atan2(edge, x) / beam), math.floor(math.atan2(edge + 2.0, x) / beam) + 1)
        things = np.stack([np.full(len(azimuth), x), side * x * np.tan(azimuth * beam)], axis=1)
        found = crossing.nearest(nanoseconds(t), things, (12.0 * t, 0.0, 0.0), 0.0, 12.0)
    return found


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_what_moves_towards_the_corridor_is_in_the_way_before_it_is_there(side: float) -> None:
    assert crossing_at(3.2, side, 0.0) == pytest.approx(60.0 - 12.0 * 1.95 - car().front, abs=0.5)
    assert math.isinf(crossing_at(0.0, side, 0.0))  # waits beside the road
    assert math.isinf(crossing_at(-2.0, side, 0.0))  # moves away
    assert math.isinf(crossing_at(1.5, side, -8.0))  # oncoming, drifting a little
