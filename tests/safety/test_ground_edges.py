# SPDX-License-Identifier: Apache-2.0
"""Road or thing, return by return: every threshold of the ground filter from both sides."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safety_plant import car, settings
from scipy.spatial.transform import Rotation

from tidegate.records import Points
from tidegate.safety.ground import GroundFilter

DISTANCE, RANGING = settings().safety.distance, settings().ranging
(MOUNT, _, _), _ = car().description.origin("range_link")
STEEP, RISE, TOP = DISTANCE.steepness, DISTANCE.rise_max, DISTANCE.height_max
RINGS = len(RANGING.elevation_deg)

Return = tuple[int, float, float]
"""Ring, distance from the sensor [m], height [m]."""


def things(*returns: Return, azimuth: float = 0.0) -> np.ndarray:
    """What counts as a thing among returns in one direction."""
    xyz = [(MOUNT + far * math.cos(azimuth), far * math.sin(azimuth), height) for _, far, height in returns]
    points = Points(0, np.array(xyz, np.float64), np.array([ring for ring, _, _ in returns], np.int32))
    return GroundFilter(settings(), car()).things(points)


def test_a_scan_in_the_frame_of_its_sensor_is_the_same_scan() -> None:
    turned = dataclasses.replace(car().description.joint("camera_joint"), rpy=(0.2, 0.3, 0.5))
    joints = {**car().description.joints, "camera_joint": turned}
    tilted = dataclasses.replace(car(), description=dataclasses.replace(car().description, joints=joints))
    mount = Rotation.from_euler("xyz", turned.rpy)
    base = np.array([(MOUNT + 20.0, 1.0, 0.4), (MOUNT + 20.0, 1.0, 0.9)])
    seen = mount.inv().apply(base - np.array(turned.xyz))
    ground, rings = GroundFilter(settings(), tilted), np.array([3, 4], np.int32)
    wanted = ground.things(Points(0, base, rings))
    assert len(wanted) == 1
    np.testing.assert_allclose(ground.things(Points(0, seen, rings, "camera_link")), wanted, atol=1e-9)


def test_the_rings_of_the_robot_are_in_order_from_low_to_high() -> None:
    assert list(RANGING.elevation_deg) == sorted(RANGING.elevation_deg)


@pytest.mark.parametrize("gap", [1, 2])
def test_a_pair_is_a_thing_where_its_line_is_steep(gap: int) -> None:
    low, rise = (1, 20.0, 0.0), 0.5
    for share, seen in ((0.999, True), (1.001, False)):
        found = things(low, (1 + gap, 20.0 + share * rise / STEEP, rise))
        assert len(found) == seen
        if seen:
            assert found[0] == pytest.approx((MOUNT + 20.0, 0.0))  # the lower one is the nearer


def test_rings_three_apart_are_no_pair() -> None:
    assert len(things((1, 20.0, 0.0), (4, 20.0, 0.5))) == 0


def test_the_ring_between_is_passed_over_only_where_it_has_no_return() -> None:
    between = (2, 22.0, 0.1)
    assert len(things((1, 20.0, 0.0), (3, 20.5, 0.6))) == 1
    # 1–2 and 2–3 are pairs of their own; 2–3 overhangs, and what counts there is the upper one alone
    found = things((1, 20.0, 0.0), between, (3, 20.5, 0.6))
    assert found[0, 0] == pytest.approx(MOUNT + 20.5)


@pytest.mark.parametrize("gap", [1, 2])
def test_under_an_overhang_the_road_behind_is_not_the_thing(gap: int) -> None:
    """A trailer's floor before the road that the ring below it reaches: the lower counts up to a metre behind."""
    for behind, counted in ((0.999, 2), (1.001, 1)):
        lower, upper = (1, 20.0 + behind, -5.0), (1 + gap, 20.0, 1.2)
        found = GroundFilter(settings(), car()).things(
            Points(0, np.array([(MOUNT + far, 0.0, z) for _, far, z in (lower, upper)]), np.array([1, 1 + gap]))
        )
        assert found[0] == pytest.approx((MOUNT + 20.0, 0.0))
        # what is told of the lower one is seen where the upper one is too high to be hit
        high = things((1, 20.0 + behind, -5.0), (1 + gap, 20.0, TOP))
        assert len(high) == counted - 1
        if len(high):
            assert high[0, 0] == pytest.approx(MOUNT + 20.0 + behind)


def test_a_single_return_counts_where_no_road_is_so_high() -> None:
    for far in (3.0, 12.0):
        assert len(things((3, far, 1.001 * RISE * far))) == 1
        assert len(things((3, far, 0.999 * RISE * far))) == 0


def test_what_is_higher_than_the_car_passes_over_it() -> None:
    assert len(things((3, 5.0, 0.999 * TOP))) == 1
    assert len(things((3, 5.0, TOP))) == 0


def test_the_nearest_of_a_direction_is_told_each_direction_once() -> None:
    assert things((3, 12.0, 2.9), (5, 8.0, 2.9), (6, 10.0, 2.9))[:, 0] == pytest.approx([MOUNT + 8.0])
    beam = math.radians(2 * RANGING.azimuth_deg / (RANGING.beams - 1))
    for turn in (-30.0, -7.0, 0.0, 12.0, 30.0):
        azimuth = math.radians(turn)
        found = things((3, 8.0, 2.9), azimuth=azimuth + 0.4 * beam * (-1 if turn > 0 else 1))
        assert found[0] == pytest.approx((MOUNT + 8.0 * math.cos(azimuth), 8.0 * math.sin(azimuth)))


def test_what_is_outside_the_fan_is_left_out() -> None:
    half = math.radians(RANGING.azimuth_deg)
    beam = 2 * half / (RANGING.beams - 1)
    for side in (-1.0, 1.0):
        assert len(things((3, 8.0, 2.9), azimuth=side * (half + 0.49 * beam))) == 1
        assert len(things((3, 8.0, 2.9), azimuth=side * (half + 0.51 * beam))) == 0


@pytest.mark.parametrize("part", range(3))
def test_broken_returns_and_unknown_rings_are_no_returns(part: int) -> None:
    good = (3, 8.0, 2.9)
    for ring, seen in ((-1, 0), (0, 1), (RINGS - 1, 1), (RINGS, 0)):
        assert len(things((ring, 8.0, 2.9))) == seen
    for value in (math.nan, math.inf):
        xyz = np.array([[MOUNT + 8.0, 0.0, 2.9], [MOUNT + 5.0, 0.0, 2.9]])
        xyz[1, part] = value
        found = GroundFilter(settings(), car()).things(Points(0, xyz, np.array([3, 4], np.int32)))
        assert found[:, 0] == pytest.approx([MOUNT + good[1]])


@pytest.mark.parametrize("height", [math.nan, math.inf, -math.inf])
def test_a_broken_return_hides_no_thing_and_makes_none(height: float) -> None:
    thing, road = ((1, 20.0, 0.0), (2, 20.1, 0.5)), (1, 20.0, 0.0)
    assert len(things(*thing)) == 1
    np.testing.assert_array_equal(things(*thing, (2, 19.9, height)), things(*thing))
    assert len(things(road, (2, 20.1, height))) == 0


@st.composite
def crowded(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Several returns in most cells of a few neighbouring sectors: places (n, 3) [m] and rings (n,)."""
    beam = math.radians(2 * RANGING.azimuth_deg / (RANGING.beams - 1))
    one = st.tuples(
        st.integers(0, RINGS - 1), st.integers(-1, 1), st.floats(-0.4, 0.4), st.floats(2.0, 90.0), st.floats(-2.0, 4.0)
    )
    returns = draw(st.lists(one, min_size=1, max_size=40))
    turns = [beam * (sector + part) for _, sector, part, _, _ in returns]
    places = [
        (MOUNT + far * math.cos(turn), far * math.sin(turn), height)
        for turn, (_, _, _, far, height) in zip(turns, returns, strict=True)
    ]
    return np.array(places), np.array([ring for ring, *_ in returns], np.int32)


@given(scan=crowded(), seed=st.integers(0, 2**32 - 1))
def test_the_nearest_return_of_a_ring_in_a_sector_counts_in_whatever_order_they_come(
    scan: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    """More beams than the settings say, or several echoes: as a scan that holds the nearest of each cell alone."""
    xyz, ring = scan
    ground = GroundFilter(settings(), car())
    order = np.random.default_rng(seed).permutation(len(ring))
    found = ground.things(Points(0, xyz, ring))
    np.testing.assert_array_equal(ground.things(Points(0, xyz[order], ring[order])), found)
    beam = math.radians(2 * RANGING.azimuth_deg / (RANGING.beams - 1))
    nearest: dict[tuple[int, int], tuple[float, float, int]] = {}
    for index, ((x, y, z), plane) in enumerate(zip(xyz, ring, strict=True)):
        cell = int(plane), round(math.atan2(y, x - MOUNT) / beam)
        key = float(np.hypot(x - MOUNT, y)), -z, index
        nearest[cell] = min(nearest.get(cell, key), key)
    alone = sorted(index for _, _, index in nearest.values())
    np.testing.assert_array_equal(ground.things(Points(0, xyz[alone], ring[alone])), found)


def test_what_lies_behind_in_the_same_cell_takes_no_thing_away() -> None:
    thing = [(3, 12.0, 0.5), (4, 12.1, 1.0)]
    for behind in ([(3, 60.0, 0.0)], [(4, 60.0, 2.0)], [(3, 60.0, 0.0), (4, 60.0, 2.0)]):
        assert things(*thing, *behind) == pytest.approx(np.array([[MOUNT + 12.0, 0.0]]))


def test_rings_that_are_given_in_any_order_are_sorted() -> None:
    """Elevations turned round: ring 0 is then the highest."""
    import dataclasses

    turned = dataclasses.replace(RANGING, elevation_deg=RANGING.elevation_deg[::-1])
    made = GroundFilter(dataclasses.replace(settings(), ranging=turned), car())
    xyz = np.array([(MOUNT + 20.0, 0.0, 0.0), (MOUNT + 20.1, 0.0, 0.5)])
    assert len(made.things(Points(0, xyz, np.array([RINGS - 2, RINGS - 3], np.int32)))) == 1
    assert len(made.things(Points(0, xyz, np.array([RINGS - 3, RINGS - 2], np.int32)))) == 0
