# SPDX-License-Identifier: Apache-2.0
"""The closed form of few rows in two variables against DAQP, and by the conditions of optimality."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tidegate.safety.filter import BOX
from tidegate.safety.joints import Box
from tidegate.safety.planar import CLOSE, FLAT, MANY, nearest, nearest_on_row
from tidegate.safety.qp import QPResult, solve_qp

NUMBER = st.floats(-3, 3)
UNIT = Box(-1.0, 1.0, -0.5, 0.5)


@hypothesis_settings(max_examples=500)
@given(wish=st.tuples(NUMBER, NUMBER), angle=st.floats(-math.pi, math.pi), share=st.floats(0, 1), corner=NUMBER)
@example(wish=(0.2, 0.1), angle=0.0, share=0.9, corner=0.0)
@example(wish=(0.2, 0.1), angle=math.pi / 2, share=0.9, corner=0.0)
@example(wish=(-3.0, 3.0), angle=0.7, share=1.0, corner=0.0)
@example(wish=(0.0, 2.0), angle=0.984375, share=0.9999999999999999, corner=0.5)
@example(wish=(0.0, -1.3317157894903846), angle=0.984375, share=0.9999999999999999, corner=0.5)
def test_the_answer_is_the_solvers(wish: tuple[float, float], angle: float, share: float, corner: float) -> None:
    """``share``: where between the box's worst and best corner the row cuts."""
    a, b = math.cos(angle), math.sin(angle)
    a, b = (a if abs(a) > 1e-3 else 0.0), (b if abs(b) > 1e-3 else 0.0)
    a, b = a / math.hypot(a, b), b / math.hypot(a, b)
    box = Box(-1.0 + 0.1 * corner, 1.0, -0.5, 0.5 + 0.1 * corner)
    reach = [a * x + b * y for x in box[:2] for y in box[2:]]
    bound = min(reach) + share * (max(reach) - min(reach)) - 1e-6 * (share == 1)
    found = nearest_on_row(wish, a, b, bound, box)
    if found is None:  # to rounding the row leaves but a corner
        assert share > 1 - 1e-9
        return
    limits = np.array([box.force_low, -box.force_high, box.curvature_low, -box.curvature_high, bound])
    solved = solve_qp(np.eye(2), -np.array(wish), np.concatenate((BOX, [[a, b]])), limits, 1e-9)
    assume(solved.status == "solved")
    np.testing.assert_allclose(found[:2], solved.solution, atol=1e-9)
    # both variables at their ends: the multiplier of the row is not the only one that does
    at_ends = sum(
        min(abs(value - low), abs(high - value)) < 1e-9
        for value, low, high in zip(found[:2], box[::2], box[1::2], strict=True)
    )
    if at_ends < 2:
        assert found.push == pytest.approx(solved.multipliers[4], abs=1e-7)
    assert found.push >= 0


@pytest.mark.parametrize(
    ("angle", "wish"),
    [
        (0.984375, (0.0, 2.0)),
        (1.3463840928067092, (-0.31852721939986084, 0.8695614340581272)),
        (0.7011189706126675, (-0.5896981455468608, 0.9910512179869315)),
    ],
)
def test_where_a_row_leaves_but_a_corner_no_multiplier_is_negative(angle: float, wish: tuple[float, float]) -> None:
    """To rounding one point is left, and which of the two variables the row holds there is anybody's guess."""
    a, b = math.cos(angle), math.sin(angle)
    box = Box(-0.95, 1.0, -0.5, 0.55)
    best, worst = a * 1.0 + b * 0.55, a * -0.95 + b * -0.5
    bound = worst + 0.9999999999999999 * (best - worst)
    assert nearest_on_row(wish, a, b, bound, box) is None


def test_a_row_that_the_nearest_point_of_the_box_keeps_does_not_push() -> None:
    assert nearest_on_row((2.0, 0.3), 0.6, 0.8, 0.5, UNIT) == (1.0, 0.3, 0.0)


@pytest.mark.parametrize(
    ("wish", "row", "found"),
    [
        ((0.3, 2.0), (-1.0, 0.0, 0.2), (-0.2, 0.5, 0.5)),
        ((5.0, 0.0), (1.0, 0.0, 1.0 + CLOSE / 2), (1.0, 0.0, 0.0)),  # the box holds it, to rounding
        ((0.0, 5.0), (0.0, 1.0, 0.5 + CLOSE / 2), (0.0, 0.5, 0.0)),
        ((2.0, 0.3), (0.0, -1.0, 0.2), (1.0, -0.2, 0.5)),
        ((-0.4, -0.8), (0.6, 0.8, 0.0), (0.128, -0.096, 0.88)),
        ((-2.0, -0.8), (0.6, 0.8, 0.0), (-2 / 3, 0.5, 20 / 9)),
    ],
)
def test_points_on_the_row_by_hand(
    wish: tuple[float, float], row: tuple[float, float, float], found: tuple[float, float, float]
) -> None:
    told = nearest_on_row(wish, *row, UNIT)
    assert told is not None
    assert row[0] * told.x + row[1] * told.y == pytest.approx(row[2])
    assert told == pytest.approx(found)


@pytest.mark.parametrize(
    ("wish", "row", "box"),
    [
        ((0.0, 0.0), (1.0, 0.0, 1.1), UNIT),
        ((0.0, 0.0), (0.0, -1.0, 0.6), UNIT),
        ((0.0, 0.0), (0.6, 0.8, 1.1), UNIT),
        ((0.0, 0.0), (0.0, 0.0, 0.1), UNIT),
        ((0.0, 0.0), (1.0, FLAT / 2, 0.5), UNIT),
        ((0.0, 0.0), (-FLAT / 2, 1.0, 0.3), UNIT),
        ((0.0, 0.0), (0.6, 0.8, math.nan), UNIT),
        ((0.0, 0.0), (1.0, 0.0, math.nan), UNIT),
        ((0.0, 0.0), (math.nan, 0.8, 0.1), UNIT),
        ((0.0, 0.0), (0.6, 0.8, math.inf), UNIT),
    ],
)
def test_what_it_does_not_know_is_left_to_the_solver(
    wish: tuple[float, float], row: tuple[float, float, float], box: Box
) -> None:
    assert nearest_on_row(wish, *row, box) is None


ANGLES = st.lists(st.floats(-math.pi, math.pi), min_size=1, max_size=MANY)


def programme(wish: tuple[float, float], rows: list[tuple[float, float, float]], box: Box) -> QPResult:
    limits = [box.force_low, -box.force_high, box.curvature_low, -box.curvature_high, *(row[2] for row in rows)]
    matrix = np.concatenate((BOX, np.array([row[:2] for row in rows])))
    return solve_qp(np.eye(2), -np.array(wish), matrix, np.array(limits), 1e-6)


@hypothesis_settings(max_examples=1000)
@given(wish=st.tuples(NUMBER, NUMBER), angles=ANGLES, inside=st.tuples(st.floats(-1, 1), st.floats(-0.5, 0.5)))
@example(wish=(2.0, 2.0), angles=[math.pi + 0.6, math.pi + 1.0], inside=(0.1, 0.1))
@example(wish=(2.0, 2.0), angles=[math.pi + 0.6, math.pi + 0.6, math.pi + 1.0], inside=(0.1, 0.1))
@example(wish=(2.0, 2.0), angles=[math.pi, -math.pi / 2, 0.3], inside=(0.1, 0.1))
def test_rows_through_a_point_of_the_box_have_the_solvers_answer(
    wish: tuple[float, float], angles: list[float], inside: tuple[float, float]
) -> None:
    """Every row goes through one point, so that none is missed, two are active often, and all can be kept."""
    rows = []
    for angle in angles:
        a, b = round(math.cos(angle), 3), round(math.sin(angle), 3)
        size = math.hypot(a, b)
        rows.append((a / size, b / size, (a * inside[0] + b * inside[1]) / size - 1e-3))
    found, solved = nearest(wish, rows, UNIT), programme(wish, rows, UNIT)
    if found is None:  # three that meet where the box ends
        return
    if solved.status == "solved":  # it has a tolerance, which all but parallel rows make larger
        own, theirs = (math.hypot(x - wish[0], y - wish[1]) for x, y in (found[:2], solved.solution))
        assert own == pytest.approx(theirs, abs=1e-4)
    assert all(a * found.x + b * found.y >= bound - 1e-8 for a, b, bound in rows)
    assert UNIT.holds(*(np.clip(found[:2], (-1, -0.5), (1, 0.5))))
    assert min(found.pushes) >= 0
    # Karush, Kuhn and Tucker: what the rows do not push the box does, and only where it ends
    left = np.array(found[:2]) - wish - np.array([row[:2] for row in rows]).T @ found.pushes
    for value, rest, low, high in zip(found[:2], left, UNIT[::2], UNIT[1::2], strict=True):
        assert value > high - 1e-9 or rest >= -1e-6
        assert value < low + 1e-9 or rest <= 1e-6


AXES = [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)]


def drawn(rng: np.random.Generator, spare: float) -> tuple[tuple[float, float], list[tuple[float, float, float]], Box]:
    """A wish, a box, and rows that a point of it keeps by at least ``spare``; each fourth is parallel to an axis."""
    low, right = rng.uniform(-2, 1, 2).tolist()
    wide, long = rng.uniform(0.2, 2, 2).tolist()
    box, rows = Box(low, low + wide, right, right + long), []
    x, y = low + wide * rng.random(), right + long * rng.random()
    for _ in range(rng.integers(1, MANY + 1)):
        angle = rng.uniform(-math.pi, math.pi)
        a, b = (math.cos(angle), math.sin(angle)) if rng.random() < 0.75 else AXES[rng.integers(4)]
        rows.append((a, b, float(a * x + b * y - spare - rng.uniform(0, 0.3))))
    return (rng.uniform(-4, 4), rng.uniform(-4, 4)), rows, box


@pytest.mark.parametrize("seed", range(3))
def test_of_rows_that_can_be_kept_all_are_known_with_the_solvers_answer_and_multipliers(seed: int) -> None:
    rng, pushing = np.random.default_rng(seed), Counter[int]()
    for _ in range(200):
        wish, rows, box = drawn(rng, 1e-3)
        found, solved = nearest(wish, rows, box), programme(wish, rows, box)
        assert found is not None
        assert [found.x, found.y, *found.pushes] == pytest.approx([*solved.solution, *solved.multipliers[4:]], abs=1e-6)
        pushing[sum(push > 0 for push in found.pushes)] += 1
    assert min(pushing[count] for count in (0, 1, 2)) > 15


def test_where_rows_contradict_each_other_or_the_box_there_is_no_answer() -> None:
    rng, none = np.random.default_rng(3), 0
    for _ in range(300):
        wish, rows, box = drawn(rng, -0.3)
        found = nearest(wish, rows, box)
        assert (found is None) == (programme(wish, rows, box).status == "infeasible")
        none += found is None
    assert 50 < none < 250


def test_rows_that_contradict_and_too_many_rows_are_left_to_the_solver() -> None:
    assert nearest((0.0, 0.0), [(1.0, 0.0, 0.5), (-1.0, 0.0, -0.4)], UNIT) is None
    assert nearest((0.0, 0.0), [(0.6, 0.8, 0.5), (-0.6, -0.8, -0.4)], UNIT) is None
    assert nearest((0.0, 0.0), [(1.0, 0.0, 0.1)] * 6, UNIT) is None
    assert nearest((0.0, 0.0), [(1.0, 0.0, 0.1)] * 5, UNIT) == (0.1, 0.0, [0.1, 0.0, 0.0, 0.0, 0.0])
    assert nearest((0.0, 0.0), [(1.0, 0.0, 0.1), (0.6, 0.8, math.nan)], UNIT) is None


@pytest.mark.parametrize("wish", [(1e6, 0.0), (0.0, -1e6), (-6e5, 6e5), (9e5, 2e5), (2e5, 9e5), (math.nan, 0.0)])
def test_a_wish_from_a_million_units_on_is_left_to_the_solver(wish: tuple[float, float]) -> None:
    row = (-0.6, -0.8, 0.2)
    assert nearest(wish, [row], UNIT) is None
    assert nearest((9e5, 5e4), [row], UNIT) is not None


def test_of_one_rows_answer_the_others_may_miss_a_billionth() -> None:
    """The corner of both is at y = 1e-9."""
    rows = [(1.0, 0.0, 0.5), (0.0, 1.0, 1e-9)]
    assert nearest((0.0, 0.0), rows, UNIT) == (0.5, 0.0, [0.5, 0.0])
    assert nearest((0.0, 0.0), [rows[0], (0.0, 1.0, 1.5e-9)], UNIT) == (0.5, 1.5e-9, [0.5, 1.5e-9])


def test_where_two_rows_meet_a_third_may_miss_a_billionth() -> None:
    corner = [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0)]
    assert nearest((-1.0, -0.5), [*corner, (-0.6, -0.8, 1e-9)], UNIT) == (0.0, 0.0, [1.0, 0.5, 0.0])
    assert nearest((-1.0, -0.5), [*corner, (-0.6, -0.8, 1.5e-9)], UNIT) is None


BESIDE = 1.0 + 1e-9, 0.5 + 1e-9
"""As far beyond the ends of ``UNIT`` as may be."""


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_row_may_ask_for_a_billionth_beyond_the_box(sign: float) -> None:
    force, curvature = (sign, 0.0, BESIDE[0]), (0.0, sign, BESIDE[1])
    assert nearest_on_row((0.0, 0.25), *force, UNIT) == (sign * BESIDE[0], 0.25, BESIDE[0])
    assert nearest_on_row((0.25, 0.0), *curvature, UNIT) == (0.25, sign * BESIDE[1], BESIDE[1])
    assert nearest((0.0, 0.0), [force, curvature], UNIT) == (sign * BESIDE[0], sign * BESIDE[1], [*BESIDE])
    assert nearest_on_row((0.0, 0.25), sign, 0.0, 1.0 + 1.5e-9, UNIT) is None
    assert nearest_on_row((0.25, 0.0), 0.0, sign, 0.5 + 1.5e-9, UNIT) is None


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_row_that_leans_by_a_billionth_is_the_solvers_and_one_that_leans_by_more_is_known(sign: float) -> None:
    for small, known in ((1e-9, False), (1.5e-9, True)):
        assert (nearest_on_row((0.0, 0.0), 1.0, sign * small, 0.5, UNIT) is not None) == known
        assert (nearest_on_row((0.0, 0.0), sign * small, 1.0, 0.3, UNIT) is not None) == known


def test_two_rows_at_an_angle_of_a_billionth_meet_and_at_less_they_do_not() -> None:
    long = Box(-1.0, 1.0, -1e9, 1e9)
    found = nearest((0.2, 0.0), [(1.0, 0.0, 0.5), (-1.0, 1e-9, -0.4)], long)
    assert found is not None
    assert found[:2] == pytest.approx((0.5, 1e8))
    assert nearest((0.2, 0.0), [(1.0, 0.0, 0.5), (-1.0, 0.9e-9, -0.4)], long) is None


def test_rows_that_stand_twice_push_once() -> None:
    found = nearest((-0.5, -0.25), [(0.6, 0.8, 0.0), (0.6, 0.8, 0.0), (1.0, 0.0, 0.2)], UNIT)
    assert found is not None
    assert found == (pytest.approx(0.2), pytest.approx(-0.15), pytest.approx([0.125, 0.0, 0.625]))


def test_in_a_box_of_no_width_the_row_moves_what_is_left() -> None:
    assert nearest_on_row((0.1, 0.0), 0.6, 0.8, 0.22, Box(0.1, 0.1, -0.5, 0.5)) == pytest.approx((0.1, 0.2, 0.25))
    assert nearest_on_row((0.0, 0.1), 0.6, 0.8, 0.2, Box(-1.0, 1.0, 0.1, 0.1)) == pytest.approx((0.2, 0.1, 1 / 3))


def test_a_row_that_the_nearest_point_of_the_box_just_keeps_does_not_push() -> None:
    assert nearest_on_row((2.0, 0.25), 1.0, 0.0, 1.0, UNIT) == (1.0, 0.25, 0.0)


ANY = st.floats(allow_nan=True, allow_infinity=True)
TILTED = st.tuples(st.floats(-math.pi, math.pi), ANY | NUMBER)


@hypothesis_settings(max_examples=1000)
@given(wish=st.tuples(ANY | NUMBER, ANY | NUMBER), rows=st.lists(TILTED, min_size=1, max_size=MANY))
@example(wish=(1e12, -3e12), rows=[(0.7, 0.1), (2.0, 0.2)])
@example(wish=(1e300, 1e300), rows=[(0.7, 0.1)])
def test_whatever_is_given_no_answer_breaks_a_row_or_leaves_the_box(
    wish: tuple[float, float], rows: list[tuple[float, float]]
) -> None:
    made = [(math.cos(angle), math.sin(angle), bound) for angle, bound in rows]
    found = nearest(wish, made, UNIT)
    if found is None:
        return
    x, y = UNIT.clip(found.x, found.y)
    assert math.hypot(x - found.x, y - found.y) < 1e-6
    assert all(a * x + b * y >= bound - 1e-6 for a, b, bound in made)
    assert not any(math.isnan(push) for push in found.pushes)
