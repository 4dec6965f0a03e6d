# SPDX-License-Identifier: Apache-2.0
"""The limiter with anything as its input, and the joint box."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from safety_plant import PERIOD, car

from tidegate.robot import Actuation
from tidegate.safety.joints import Box, _intersect, joint_box
from tidegate.safety.limiter import Limiter

SAFE = np.array([0.0, 0.0, -400.0, -400.0, -400.0, -400.0])


def limiter() -> tuple[Limiter, Actuation]:
    actuation = Actuation(car(), PERIOD)
    return Limiter(actuation.low, actuation.high, actuation.step, SAFE), actuation


VALUES = [0.0, 1e300, -1e300, np.nan, np.inf, -np.inf, 599.0, -1499.0, 5e-324]


@pytest.mark.parametrize("joint", range(6))
def test_sweep_of_every_value_after_every_value(joint: int) -> None:
    """Exhaustive: each joint, every pair of successive commands, garbage included."""
    for first, second in itertools.product(VALUES, VALUES):
        held, actuation = limiter()
        before = held.last
        for value in (first, second):
            wanted = np.zeros(6)
            wanted[joint] = value
            sent = held(wanted)
            assert np.isfinite(sent).all()
            assert (sent >= actuation.low).all()
            assert (sent <= actuation.high).all()
            assert (np.abs(sent - before) <= actuation.step * (1 + 1e-12)).all()
            before = sent


@pytest.mark.parametrize("garbage", [None, "brake", [], [1.0], np.zeros(7), np.zeros((6, 1)), object(), [None] * 6])
def test_garbage_heads_for_the_safe_effort(garbage: object) -> None:
    held, _ = limiter()
    for _ in range(200):
        sent = held(garbage)
    np.testing.assert_allclose(sent, SAFE)


def test_only_the_broken_joint_goes_safe() -> None:
    held, _ = limiter()
    for _ in range(200):
        sent = held([100.0, np.nan, 0.0, 0.0, 50.0, np.inf])
    np.testing.assert_allclose(sent, [100.0, 0.0, 0.0, 0.0, 50.0, -400.0])


def test_what_is_allowed_passes_unchanged() -> None:
    held, actuation = limiter()
    wanted = np.minimum(actuation.step, actuation.high) * 0.9
    np.testing.assert_array_equal(held(wanted), wanted)


@given(st.lists(st.floats(-2000, 2000), min_size=6, max_size=6), st.integers(1, 200))
def test_resting_is_heading_for_the_safe_efforts_period_by_period(before: list[float], periods: int) -> None:
    rested, called = limiter()[0], limiter()[0]
    for held in (rested, called):
        for _ in range(100):
            held(before)
    for _ in range(periods):
        asked = called(np.full(6, np.nan))
    np.testing.assert_allclose(rested.rest(periods), asked, atol=1e-9)
    np.testing.assert_allclose(rested.last, asked, atol=1e-9)
    rested.rest(0.5)[:] = np.nan
    assert np.isfinite(rested.last).all()


@given(force=st.floats(-19000, 3800), curvature=st.floats(-0.2, 0.2))
@profile(max_examples=200, deadline=None)
def test_the_box_of_commands_is_what_actuation_can_follow(force: float, curvature: float) -> None:
    """Any corner of the box, asked for after (force, curvature), changes each wheel by no more than its rate."""
    box = joint_box(car(), force, curvature, PERIOD)
    before = car().wheel_efforts(force)
    for corner in (box.force_low, box.force_high):
        change = np.abs(car().wheel_efforts(corner) - before)
        assert change.max() <= car().vehicle.wheel_effort_rate * PERIOD * (1 + 1e-9) + 1e-9
    assert -car().curvature_max <= box.curvature_low <= box.curvature_high <= car().curvature_max
    assert box.clip(1e9, -1.0) == (box.force_high, box.curvature_low)


def test_where_box_and_slew_contradict_the_slew_heads_for_the_box() -> None:
    assert _intersect(5.0, 7.0, -1.0, 1.0) == (5.0, 5.0)
    assert _intersect(-7.0, -5.0, -1.0, 1.0) == (-5.0, -5.0)
    assert _intersect(0.0, 7.0, -1.0, 1.0) == (0.0, 1.0)


def test_the_box_is_one_period_of_slew_inside_what_the_joints_can_do() -> None:
    turn = car().curvature_rate * PERIOD
    box = joint_box(car(), 500.0, 0.05, PERIOD)
    assert (box.force_low, box.force_high) == car().force_window(500.0, PERIOD)
    assert (box.curvature_low, box.curvature_high) == (0.05 - turn, 0.05 + turn)
    assert box.clip(600.0, 0.05) == (min(600.0, box.force_high), 0.05)
    assert box.clip(box.force_low - 1, box.curvature_high + 1) == (box.force_low, box.curvature_high)


def test_a_box_holds_its_edges_and_what_is_between_them() -> None:
    box = Box(-2.0, 3.0, -0.1, 0.2)
    for force, curvature in itertools.product((-2.0, 0.0, 3.0), (-0.1, 0.0, 0.2)):
        assert box.holds(force, curvature)
    for force, curvature in ((-2.1, 0.0), (3.1, 0.0), (0.0, -0.11), (0.0, 0.21), (math.nan, 0.0), (0.0, math.nan)):
        assert not box.holds(force, curvature)
    assert not Box(1.0, -1.0, -0.1, 0.2).holds(0.0, 0.0)


def test_of_the_drive_no_more_is_used_than_is_set() -> None:
    most = 0.5 * car().force_max
    assert joint_box(car(), 0.0, 0.0, 100.0, most=most).force_high == most
    assert joint_box(car(), 0.0, 0.0, 100.0, most=9e9).force_high == car().force_max


@pytest.mark.parametrize("share", [1.0, 0.97, 0.5])
def test_only_a_share_of_the_steering_is_used(share: float) -> None:
    most = car().curvature_max
    asked = {} if share == 1.0 else {"share": share}
    for side in (-1.0, 1.0):
        box = joint_box(car(), 0.0, side * share * most, PERIOD, **asked)
        assert max(box.curvature_low * side, box.curvature_high * side) == pytest.approx(share * most)
        assert min(abs(box.curvature_low), abs(box.curvature_high)) < share * most
    wide = joint_box(car(), 0.0, 0.0, 100.0, **asked)
    assert (wide.force_low, wide.force_high) == (car().force_min, car().force_max)
    assert (wide.curvature_low, wide.curvature_high) == pytest.approx((-share * most, share * most))
    # the share was taken back while the wheels were beyond it: they head for it at their rate
    beyond = joint_box(car(), 0.0, most, PERIOD, 0.5)
    assert beyond.curvature_low == beyond.curvature_high == pytest.approx(most - car().curvature_rate * PERIOD)
