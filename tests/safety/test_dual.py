# SPDX-License-Identifier: Apache-2.0
"""Dual numbers: values to the bit those of floats, slopes those of finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from tidegate.safety.dual import Dual, cos, hypot, sin, split, sqrt, value

numbers = st.floats(-50.0, 50.0, allow_subnormal=False).filter(lambda x: abs(x) > 0.01)
FORMULAS: list[Callable[[Any, Any], Any]] = [
    lambda x, y: x + y,
    lambda x, y: 2.5 + x - (y - 1.5) - x * 3,
    lambda x, y: 4.0 - x,
    lambda x, y: x * y + 3 * x,
    lambda x, y: x / y,
    lambda x, y: 2.0 / x + y / 4,
    lambda x, y: x**3 + y**2 - x**0 + y**-1,
    lambda x, y: -x + abs(y) + abs(-y),
    lambda x, y: sqrt(x * x + 1) + sqrt(abs(y)),
    lambda x, y: sin(x) * cos(y),
    lambda x, y: hypot(x, y) + hypot(x, 3.0) + hypot(-4.0, y),
    lambda x, y: max(x, y) + 2 * min(x, y, 7.0) + max(x, 0.0),
    lambda x, y: np.float64(3.0) * x - np.float64(2.0) / y + y * np.float64(0.5),
]


@pytest.mark.parametrize("formula", FORMULAS)
@given(x=numbers, y=numbers)
@example(x=3.0, y=-4.0)
@profile(max_examples=30, deadline=None)
def test_values_are_those_of_floats_and_slopes_those_of_differences(formula: Any, x: float, y: float) -> None:
    told = formula(Dual(x, np.array([1.0, 0.0])), Dual(y, np.array([0.0, 1.0])))
    assert told.value == formula(x, y)
    if min(abs(x - y), abs(x - 7.0), abs(y - 7.0)) < 1e-3:
        return  # too near to where min and max have a kink
    for slope, (dx, dy) in zip(told.slope, ((1e-6, 0.0), (0.0, 1e-6)), strict=True):
        assert slope == pytest.approx((formula(x + dx, y + dy) - formula(x - dx, y - dy)) / 2e-6, rel=1e-4, abs=1e-5)


def test_comparisons_are_those_of_the_values() -> None:
    for x in (-1.0, 0.0, 2.0):
        for y in (-1.0, 0.0, 2.0):
            for one, other in (
                (Dual(x, np.ones(1)), y),
                (x, Dual(y, np.ones(1))),
                (Dual(x, np.ones(1)), Dual(y, np.zeros(1))),
            ):
                told = [one < other, one <= other, one > other, one >= other, one == other, one != other]
                assert told == [x < y, x <= y, x > y, x >= y, x == y, x != y]
        assert bool(Dual(x, np.ones(1))) == bool(x)


def test_where_there_is_no_derivative_the_slope_is_finite() -> None:
    nothing = Dual(0.0, np.array([1.0]))
    assert [sqrt(nothing).slope, hypot(nothing, nothing).slope] == [0.0, 0.0]
    assert abs(nothing).slope == 1.0  # the branch that was taken


def test_no_derivative_gets_lost_in_silence() -> None:
    x = Dual(0.5, np.ones(1))
    for function in (math.sqrt, math.sin, math.isinf, float, np.sqrt):
        with pytest.raises(TypeError):
            function(x)
    with pytest.raises(TypeError):
        hash(x)
    with pytest.raises(ValueError, match="math domain error"):
        sqrt(-x)


def test_an_array_of_floats_and_duals_is_split() -> None:
    table = np.array([[1.0, Dual(2.0, np.array([3.0, 4.0]))], [Dual(5.0, np.array([6.0, 7.0])), -math.inf]])
    values, slopes = split(table, 2)
    np.testing.assert_array_equal(values, [[1.0, 2.0], [5.0, -math.inf]])
    np.testing.assert_array_equal(slopes, [[[0, 0], [3, 4]], [[6, 7], [0, 0]]])
    assert value(table[0, 1]) == 2.0
    assert repr(table[0, 1]) == "Dual(2.0, array([3., 4.]))"
