# SPDX-License-Identifier: Apache-2.0
"""The bounds of one coordinate against a simulation of what they promise, in small steps."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from tidegate.safety.arm.viability import SpeedBounds, StopBounds, speed_bound, stop_bound, stop_delay

PERIOD, JERK, BRAKING, MOST = 0.002, 400.0, 5.0, 15.0


def backup(acceleration: float, speed: float, *, fineness: int = 20) -> tuple[float, float]:
    """Largest way and largest speed when ``acceleration`` is held for a period and then taken to −BRAKING by ticks."""
    way = farthest = 0.0
    fastest = speed
    for _ in range(2000):
        for _ in range(fineness):
            step = PERIOD / fineness
            way += step * (speed + step * acceleration / 2)
            speed += step * acceleration
            farthest, fastest = max(farthest, way), max(fastest, speed)
        if acceleration <= -BRAKING and speed <= 0:
            break
        acceleration = max(acceleration - JERK * PERIOD, -BRAKING)
    return farthest, fastest


def most(gap: float, speed: float) -> float:
    delay = stop_delay(PERIOD, MOST + BRAKING, JERK)
    return stop_bound(gap, speed, delay, BRAKING)


@given(st.floats(0.0, 3.0), st.floats(-3.0, 3.0), st.floats(0.0, 1.0))
def test_whoever_keeps_the_bound_stops_before_the_limit(gap: float, speed: float, share: float) -> None:
    bound = min(most(gap, speed), MOST)
    if bound >= -BRAKING:  # else the braking itself is not enough, and nothing is promised
        acceleration = bound - share * (bound + BRAKING)
        assert backup(acceleration, speed)[0] <= gap + 1e-9


@given(st.floats(0.0, 3.0), st.floats(-3.0, 3.0), st.floats(0.0, 1.0))
def test_whoever_keeps_the_bound_stays_below_the_speed_limit(limit: float, speed: float, share: float) -> None:
    bound = min(speed_bound(limit - speed, PERIOD, JERK), MOST)
    if speed <= limit:
        acceleration = bound - share * (bound + BRAKING)
        assert backup(acceleration, speed)[1] <= limit + 1e-9


def test_the_bounds_are_not_needlessly_low() -> None:
    """A little more acceleration than the bound goes too far, but for what the delay is too long."""
    for speed in (1.5, 1.0, 0.2):
        gap = speed**2 / (2 * BRAKING) + 0.03 * speed
        acceleration = most(gap, speed) + 1.0
        assert -BRAKING < acceleration < MOST
        assert backup(acceleration, speed)[0] > gap - 0.03 * speed
    for room in (0.02, 0.1):
        acceleration = speed_bound(room, PERIOD, JERK) + 1.0
        assert backup(acceleration, 1.0)[1] > 1.0 + room


def test_a_standing_coordinate_at_its_limit_may_not_be_accelerated() -> None:
    """Rows in the square of the speed say nothing at rest."""
    assert most(0.0, 0.0) == 0.0
    assert most(-0.01, 0.0) < -10
    assert 0 < most(0.001, 0.0) < 3
    assert speed_bound(0.0, PERIOD, JERK) == 0.0
    assert speed_bound(-0.1, PERIOD, JERK) == -50.0


@given(st.floats(-0.1, 2.0), st.floats(-2.0, 2.0), st.floats(0.0, 0.1))
def test_more_room_never_allows_less(gap: float, speed: float, more: float) -> None:
    assert most(gap + more, speed) >= most(gap, speed) - 1e-9
    assert not math.isnan(most(gap, speed))


NEAR = st.lists(st.tuples(st.floats(-0.1, 2.0), st.floats(-2.0, 2.0)), min_size=3, max_size=3)


@given(NEAR)
@example([(0.5, 0.1), (0.0, 0.0), (1.0, -1.0)])  # none has too little room
@example([(-0.05, 0.5), (-0.05, 0.0), (-0.05, -0.5)])
def test_the_joints_bounds_are_those_of_each_coordinate(near: list[tuple[float, float]]) -> None:
    braking, jerk = np.array([5.0, 2.0, 10.0]), np.array([400.0, 100.0, 1000.0])
    delay = stop_delay(PERIOD, MOST + braking, jerk)
    gap, speed = np.array(near).T
    stops = [stop_bound(*one) for one in zip(*np.array((gap, speed, delay, braking)).tolist(), strict=True)]
    np.testing.assert_allclose(StopBounds(delay, braking)(gap, speed), stops, rtol=1e-9, atol=1e-9)
    speeds = [speed_bound(room, PERIOD, most) for room, most in zip(gap.tolist(), jerk.tolist(), strict=True)]
    np.testing.assert_allclose(SpeedBounds(PERIOD, jerk)(gap), speeds, rtol=1e-9, atol=1e-9)
