# SPDX-License-Identifier: Apache-2.0
"""Where an arm that is stopped is to stand: where braking ends, on a short leash."""

from __future__ import annotations

import numpy as np
import pytest
from arm_plant import PERIOD, arm, drawn, dynamics, settings
from hypothesis import given
from hypothesis import strategies as st

from tidegate.records import Floats
from tidegate.safety.arm.backup import BACK, ArmBackup, Stand
from tidegate.safety.arm.barrier import ArmState

DAMPING = settings().safety.filter.stop_damping
MOST = np.array(settings().safety.motion.acceleration)
FAST = MOST / DAMPING
LEASH = FAST / (BACK * DAMPING)
JOINTS = st.lists(st.floats(-1, 1), min_size=7, max_size=7).map(np.array)


def at(position: Floats, velocity: Floats) -> ArmState:
    here = dynamics()(position, velocity)
    return ArmState.of(position, velocity, here.bias, arm().torque_window(here.bias, PERIOD), here)


@pytest.mark.parametrize("seed", range(20))
def test_towards_where_braking_ends_it_brakes_as_without_a_place_to_stand(seed: int) -> None:
    state, backup = drawn(np.random.default_rng(seed)), ArmBackup(arm())
    np.testing.assert_allclose(backup(state, Stand(arm())(state)), backup(state), atol=1e-9)


@given(away=JOINTS)
def test_off_that_place_it_is_pulled_back_by_no_more_than_is_promised(away: Floats) -> None:
    state = at(0.5 * (arm().lower + arm().upper), np.zeros(7))
    torque = ArmBackup(arm())(state, state.position + 2 * LEASH * away)
    gained = state.motion.inverse @ (torque - state.motion.bias)
    step = np.array(settings().safety.motion.jerk) * PERIOD
    wanted = (2 * MOST * away).clip(-MOST, MOST).clip(-step, step)
    np.testing.assert_allclose(gained, wanted, atol=1e-6)


@given(push=JOINTS, speed=JOINTS)
def test_who_pulls_the_arm_away_drags_the_place_along(push: Floats, speed: Floats) -> None:
    """No spring is wound up; and what was not pulled farther than the leash is where it was."""
    stand, middle = Stand(arm()), 0.5 * (arm().lower + arm().upper)
    first = stand(at(middle, np.zeros(7)))
    np.testing.assert_array_equal(first, middle)
    moved, slow = middle + 3 * LEASH * push, FAST * speed
    end = moved + slow / DAMPING
    second = stand(at(moved, slow))
    assert (np.abs(second - end) <= LEASH * (1 + 1e-9)).all()
    near = np.abs(end - middle) <= LEASH
    np.testing.assert_array_equal(second[near], middle[near])


def test_a_joint_that_brakes_with_all_it_has_stands_nowhere_yet() -> None:
    stand, middle = Stand(arm()), 0.5 * (arm().lower + arm().upper)
    stand(at(middle, np.zeros(7)))
    speed = np.where(np.arange(7) < 3, 1.01 * FAST, 0.0)
    place = stand(at(middle, speed))
    np.testing.assert_allclose(place, middle + speed / DAMPING)


def test_once_it_was_moved_again_it_stands_elsewhere() -> None:
    stand, middle = Stand(arm()), 0.5 * (arm().lower + arm().upper)
    stand(at(middle, np.zeros(7)))
    stand.leave()
    other = middle + 0.5 * LEASH
    np.testing.assert_array_equal(stand(at(other, np.zeros(7))), other)
