# SPDX-License-Identifier: Apache-2.0
"""The limiter, exhaustively: every last command × every wanted one on a grid of its slew, edges and garbage too."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from safety_plant import PERIOD, car

from tidegate.robot import Actuation
from tidegate.safety.limiter import Limiter

SAFE = np.array([0.0, 0.0, -400.0, -400.0, -400.0, -400.0])
GARBAGE = [np.nan, np.inf, -np.inf]
ACTUATION = Actuation(car(), PERIOD)
LOW, HIGH, STEP = ACTUATION.low, ACTUATION.high, ACTUATION.step


def lasts(joint: int, parts: int) -> np.ndarray:
    """Commands inside the box: its edges, their neighbours in floating point, and every ``parts``-th of a step."""
    low, high = LOW[joint], HIGH[joint]
    edges = [low, np.nextafter(low, high), 0.0, np.nextafter(high, low), high]
    return np.concatenate((edges, np.arange(low, high, STEP[joint] / parts)))


def wishes(joint: int, parts: int) -> np.ndarray:
    """The same, and what lies outside: by one floating-point number, by a step, by far, and no number at all."""
    low, high, step = LOW[joint], HIGH[joint], STEP[joint]
    outside = [np.nextafter(low, -np.inf), np.nextafter(high, np.inf), low - step, high + step, -1e308, 1e308, 5e-324]
    return np.concatenate((lasts(joint, parts), outside, GARBAGE))


@pytest.mark.parametrize("parts", [1, pytest.param(6, marks=pytest.mark.slow)])
def test_every_wish_after_every_command(parts: int) -> None:
    """All joints at once, each through its own full product: over a million calls where ``parts`` is 6."""
    limiter, joints = Limiter(LOW, HIGH, STEP, SAFE), range(6)
    before, wish = [lasts(joint, parts) for joint in joints], [wishes(joint, parts) for joint in joints]
    count, many = max(map(len, before)), max(map(len, wish))
    wanted = np.stack([np.resize(part, many) for part in wish], axis=1)
    # what is no number stands for the safe effort; what is outside for the edge
    meant = np.clip(np.where(np.isfinite(wanted), wanted, SAFE), LOW, HIGH)
    calls = 0
    for last in np.stack([np.resize(part, count) for part in before], axis=1):
        sent = np.empty_like(wanted)
        for row, wants in enumerate(wanted):
            limiter.last = last
            sent[row] = limiter(wants)
        calls += len(sent)
        assert np.isfinite(sent).all()
        assert ((sent >= LOW) & (sent <= HIGH)).all()
        assert ((sent >= last - STEP) & (sent <= last + STEP)).all()
        near = (meant >= last - STEP) & (meant <= last + STEP)
        np.testing.assert_array_equal(sent[near], meant[near])  # unchanged where it can be reached
        full = np.where(meant > last, last + STEP, last - STEP)
        np.testing.assert_array_equal(sent[~near], full[~near])  # else as far as the slew allows
    assert calls >= (1_000_000 if parts == 6 else 20_000)


def test_whatever_has_no_shape_heads_for_the_safe_effort_from_anywhere() -> None:
    shapeless = [None, "brake", {}, [], 0.0, np.zeros(5), np.zeros(7), np.zeros((6, 1)), np.zeros((1, 6)), [[1.0]] * 6]
    limiter = Limiter(LOW, HIGH, STEP, SAFE)
    places = [lasts(joint, 1) for joint in range(6)]
    for index, garbage in itertools.product(range(max(map(len, places))), shapeless):
        last = np.array([place[index % len(place)] for place in places])
        limiter.last = last
        np.testing.assert_array_equal(limiter(garbage), np.clip(SAFE, last - STEP, last + STEP))


def test_what_was_handed_out_is_not_what_is_remembered() -> None:
    """A caller that writes into its command changes nothing; nor does one that writes into the limits it gave."""
    low, high, step, safe = LOW.copy(), HIGH.copy(), STEP.copy(), SAFE.copy()
    limiter = Limiter(low, high, step, safe)
    for part in (low, high, step, safe):
        part[:] = 1e9
    limiter(np.zeros(6))[:] = 1e9
    np.testing.assert_array_equal(limiter.last, np.zeros(6))
    np.testing.assert_array_equal(limiter(HIGH), np.minimum(HIGH, STEP))


def test_the_upper_edge_and_the_safe_effort_may_change_on_the_way() -> None:
    limiter = Limiter(np.array([-9.0, -9.0]), np.array([9.0, 9.0]), np.ones(2), np.zeros(2))
    for _ in range(9):
        limiter(np.array([9.0, 9.0]))
    limiter.tighten(np.array([7.0, 9.0]))
    assert limiter(np.array([9.0, 9.0])).tolist() == [8.0, 9.0]
    assert limiter(np.array([9.0, 9.0])).tolist() == [7.0, 9.0]
    limiter.hold(np.array([5.0, -20.0]))
    for _ in range(30):
        sent = limiter(None)
    assert sent.tolist() == [5.0, -9.0]


def test_a_box_without_zero_and_a_safe_effort_outside_are_pulled_in() -> None:
    limiter = Limiter(np.array([2.0, -9.0]), np.array([5.0, -3.0]), np.ones(2), np.array([0.0, 9.0]))
    np.testing.assert_array_equal(limiter.last, [2.0, -3.0])
    for _ in range(9):
        sent = limiter(None)
    np.testing.assert_array_equal(sent, [2.0, -3.0])
