# SPDX-License-Identifier: Apache-2.0
"""Speed, pose over time, curvature and unexplained acceleration, from odometry and wheels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from safety_plant import car, settings

from tidegate.records import JointStates, Odometry, nanoseconds
from tidegate.robot import GRAVITY
from tidegate.safety.motion import HISTORY, Motion

CURVATURE_SPEED, CURVATURE_TIME = 2.0, 0.05

MASS = car().effective_mass


def sample(time: float, speed: float = 10.0, yaw_rate: float = 0.0, x: float = 0.0, y: float = 0.0, yaw: float = 0.0):  # type: ignore[no-untyped-def]
    return Odometry(nanoseconds(time), x, y, yaw, speed, yaw_rate)


def motion() -> Motion:
    return Motion(settings(), car())


def test_at_first_nothing_moves() -> None:
    fresh = motion()
    assert (fresh.speed, fresh.curvature, fresh.disturbance, fresh.driven) == (0.0, 0.0, 0.0, 0.0)
    assert fresh.pose == (0.0, 0.0, 0.0)
    assert fresh.at(5) == ((0.0, 0.0, 0.0), 0.0)


def test_the_way_driven_is_speed_times_time_and_old_samples_are_ignored() -> None:
    moving = motion()
    moving.update(sample(1.0, 4.0, x=1.0, y=2.0, yaw=0.3), 0.0, 0.0)
    assert moving.driven == 0.0  # nothing is known of the time before
    moving.update(sample(1.5, 6.0, x=3.0, y=2.5, yaw=0.4), 0.0, 0.0)
    assert moving.driven == pytest.approx(3.0)
    for late in (1.5, 1.2):
        moving.update(sample(late, 99.0, x=9.0), 0.0, 0.0)
    assert (moving.speed, moving.pose) == (6.0, (3.0, 2.5, 0.4))
    moving.update(sample(1.75, -2.0, x=2.5), 0.0, 0.0)
    assert moving.driven == pytest.approx(2.5)
    assert moving.pose == (2.5, 0.0, 0.0)


def wheels(speed: float, names: tuple[str, ...] = car().joint_names) -> JointStates:
    """Wheels that roll at ``speed`` [m/s]."""
    spins = np.where(np.isin(names, car().wheel_joints), speed / car().wheel_radius, 0.0)
    return JointStates(0, names, np.zeros(len(names)), spins, np.zeros(len(names)))


LIMITS, GAP = settings().safety.plausibility, settings().safety.trusted_timeout_s
SLOWER = GRAVITY * settings().vehicle.slope_max + 0.5
"""What is taken off a speed without brakes, at most [m/s²]."""


@pytest.mark.parametrize("rolled", [10.0, -10.0, 0.0])
def test_a_jump_that_the_wheels_contradict_lasts_no_longer_than_odometry_says_it(rolled: float) -> None:
    moving = motion()
    moving.update(sample(0.0, 10.0), 0.0, 0.0, wheels(10.0))
    moving.update(sample(0.01, 40.0), 0.0, 0.0, wheels(rolled))
    assert moving.speed == 40.0
    moving.update(sample(0.02, 1.0), 0.0, 0.0, wheels(rolled))
    borne = rolled + LIMITS.speed_difference + LIMITS.speed_share * abs(rolled)
    assert moving.speed == pytest.approx(max(borne - 0.01 * SLOWER, 1.0))


@pytest.mark.parametrize(("share", "believed"), [(0.99, True), (1.01, False)])
def test_what_is_no_jump_is_believed_whatever_the_wheels_say(share: float, believed: bool) -> None:
    """Locked wheels tell nothing."""
    moving = motion()
    moving.update(sample(0.0, 10.0), 0.0, 0.0)
    faster = 10.0 - 0.01 * SLOWER + share * LIMITS.speed_difference
    moving.update(sample(0.01, faster), 0.0, 0.0, wheels(0.0))
    moving.update(sample(0.02, 0.0), 0.0, 0.0, wheels(0.0))
    assert moving.speed == pytest.approx((faster if believed else LIMITS.speed_difference) - 0.01 * SLOWER)


@pytest.mark.parametrize(("step", "held"), [(GAP, True), (1.001 * GAP, False)])
def test_a_gap_up_to_the_time_out_is_bridged(step: float, held: bool) -> None:
    moving = motion()
    moving.update(sample(0.0, 10.0), 0.0, 0.0)
    moving.update(sample(step, 2.0), 0.0, 0.0)
    assert moving.speed == pytest.approx(10.0 - step * SLOWER if held else 2.0)


def test_rolling_back_adds_up_and_driving_on_takes_off() -> None:
    moving, tick = motion(), 0.01
    assert moving.rolled_back == 0.0
    for step, speed in enumerate([1.0] * 10 + [-0.5] * 191):
        moving.update(sample(step * tick, speed), 0.0, 0.0)
    assert (
        0.3 < moving.rolled_back < 0.5 * 101 * tick
    )  # what was driven before does not count; and no wheel stops at once: the first of these were not believed
    before = moving.rolled_back
    moving.update(sample(2.01, -0.5), 0.0, 0.0)
    assert moving.rolled_back - before == pytest.approx(0.49 * tick)  # slower than CREEP is noise
    moving.update(sample(2.02, 0.3), 0.0, 0.0)
    assert moving.rolled_back - before == pytest.approx((0.49 - 0.31) * tick)


def test_a_car_that_is_first_seen_rolling_back_does() -> None:
    moving = motion()
    moving.update(sample(0.0, -1.0), 0.0, 0.0)
    assert moving.speed == -1.0


def test_the_noise_of_a_standing_car_does_not_add_up() -> None:
    moving, noise = motion(), np.random.default_rng(3)
    most = 0.0
    for step, speed in enumerate(0.05 * noise.standard_normal(360_000)):
        moving.update(sample(step * 0.01, speed), 0.0, 0.0)
        most = max(most, moving.rolled_back)
    assert most < 0.1 * settings().safety.ladder.roll_back_m


@pytest.mark.parametrize("force", [-5.0 * MASS, 0.0, 3.0 * MASS])
def test_speed_falls_no_faster_than_brakes_and_slope_explain(force: float) -> None:
    """Wheels that slip tell 6 of 10 m/s at once; what drives the car is not counted on to hold it."""
    moving, tick = motion(), 0.01
    moving.update(sample(0.0, 10.0, 0.5), force, 0.0)
    most = -min(force, 0.0) / MASS + GRAVITY * settings().vehicle.slope_max + 0.5
    for step in range(1, 11):
        moving.update(sample(step * tick, 6.0, 0.5), force, 0.0)
        assert moving.speed == pytest.approx(10.0 - step * tick * most)
    assert moving.driven == pytest.approx(sum(tick * (10.0 - step * tick * most) for step in range(1, 11)))
    assert moving.curvature < 0.5 / moving.speed
    moving.update(sample(0.11, 9.9), force, 0.0)
    assert moving.speed == 9.9  # what is told counts as soon as it is more


def test_after_a_gap_what_is_told_counts() -> None:
    gap = settings().safety.trusted_timeout_s
    for step, speed in (
        (gap - 0.001, 10.0 - (gap - 0.001) * (GRAVITY * settings().vehicle.slope_max + 0.5)),
        (gap + 0.001, 1.0),
    ):
        moving = motion()
        moving.update(sample(0.0, 10.0), 0.0, 0.0)
        moving.update(sample(step, 1.0), 0.0, 0.0)
        assert moving.speed == pytest.approx(speed)


def test_the_pose_at_a_time_is_the_newest_not_after_it_else_the_oldest() -> None:
    moving = motion()
    for step in range(4):
        moving.update(sample(1.0 + step, 2.0, x=float(step), y=-float(step), yaw=0.5 - 0.1 * step), 0.0, 0.0)
    assert moving.at(nanoseconds(2.0)) == ((1.0, -1.0, 0.4), 2.0)
    assert moving.at(nanoseconds(3.0) - 1) == ((1.0, -1.0, 0.4), 2.0)
    assert moving.at(nanoseconds(9.0)) == ((3.0, -3.0, pytest.approx(0.2)), 6.0)
    assert moving.at(nanoseconds(0.5)) == ((0.0, 0.0, 0.5), 0.0)


def test_the_past_is_kept_for_a_second_and_more() -> None:
    moving = motion()
    for tick in range(400):
        moving.update(sample(0.005 * tick, 10.0, x=float(tick)), 0.0, 0.0)
    assert moving.at(0)[0][0] == 400 - HISTORY
    assert HISTORY == 256


def test_a_car_that_is_first_seen_moving_is_not_thought_to_be_pushed() -> None:
    moving = motion()
    for tick in range(50):
        moving.update(sample(0.005 * tick, 12.0), 0.0, 0.0)
        assert moving.disturbance == 0.0


def test_curvature_follows_yaw_rate_over_speed_within_its_time() -> None:
    moving = motion()
    moving.update(sample(0.0, 10.0, 0.2), 0.0, 0.5)
    assert moving.curvature == 0.0  # no time has passed yet
    moving.update(sample(0.01, 10.0, 0.2), 0.0, 0.5)
    assert moving.curvature == pytest.approx(0.01 / CURVATURE_TIME * 0.02)
    moving.update(sample(0.02, 10.0, 0.1), 0.0, 0.5)
    assert moving.curvature == pytest.approx(0.004 + 0.2 * (0.01 - 0.004))
    moving.update(sample(1.0, 10.0, -0.3), 0.0, 0.5)
    assert moving.curvature == pytest.approx(-0.03)  # after a gap the newest counts alone
    for time, sign in ((2.0, 1.0), (3.0, -1.0)):
        moving.update(sample(time, 10.0, sign * 9e9), 0.0, 0.5)
        assert moving.curvature == pytest.approx(sign * car().curvature_max)


def test_at_walking_pace_curvature_is_what_was_commanded() -> None:
    for speed, kept in ((CURVATURE_SPEED, 0.07), (-9.0, 0.07), (CURVATURE_SPEED + 1e-6, 0.0)):
        moving = motion()
        moving.update(sample(0.0, speed, 0.0), 0.0, 0.07)
        assert moving.curvature == kept


def test_speed_from_the_wheels_is_the_mean_of_all_four() -> None:
    moving = motion()
    names = car().joint_names
    moving.from_wheels(JointStates(0, names, np.zeros(6), np.array([9.0, 9.0, 10.0, 20.0, 30.0, 44.0]), np.zeros(6)))
    assert moving.speed == pytest.approx(26.0 * car().wheel_radius)


@pytest.mark.parametrize("slope", [-0.07, 0.05])
def test_what_the_force_does_not_explain_is_found_within_a_second(slope: float) -> None:
    moving, speed, force = motion(), 10.0, 1200.0
    pull = -GRAVITY * slope
    errors = []
    for tick in range(300):
        moving.update(sample(0.005 * tick, speed), force, 0.0)
        speed += 0.005 * (force / MASS + pull)
        errors.append(abs(moving.disturbance - pull))
    assert errors[-1] < 0.01
    # critically damped in 0.15 s: most of it is found after 0.6 s, hardly any in the first 50 ms
    after = [abs(moving_error) / abs(pull) for moving_error in errors]
    assert after[10] > 0.5


def test_the_observer_is_critically_damped() -> None:
    """From a step of the true acceleration: w's error is (1 + t/τ) e^(−t/τ) of it, τ = 0.15 s."""
    moving, speed = motion(), 10.0
    for tick in range(2000):  # settle without any
        moving.update(sample(0.001 * tick, speed), 0.0, 0.0)
    for tick in range(600):
        speed += 0.001 * 0.5
        moving.update(sample(2.0 + 0.001 * tick, speed), 0.0, 0.0)
        t = 0.001 * (tick + 1) / 0.15
        assert moving.disturbance == pytest.approx(0.5 * (1 - (1 + t) * math.exp(-t)), abs=5e-3)


def test_the_unexplained_is_bounded_and_forgotten_at_standstill() -> None:
    most = GRAVITY * settings().vehicle.slope_max + 0.5
    for push, sign in ((1e5, -1.0), (-1e5, 1.0)):
        moving = motion()
        for tick in range(100):
            moving.update(sample(0.01 * tick, 10.0), push, 0.0)
        assert moving.disturbance == pytest.approx(sign * most)
        for time, speed, forgotten in ((1.1, 0.5, False), (1.2, -0.5, False), (1.3, 0.499, True), (1.4, -0.499, True)):
            moving.update(sample(time, speed), push, 0.0)
            assert (moving.disturbance == 0.0) == forgotten


def test_at_standstill_the_observer_begins_anew_at_the_speed_that_is() -> None:
    moving = motion()
    for tick in range(50):
        moving.update(sample(0.01 * tick, 10.0), 5000.0, 0.0)
    moving.update(sample(0.6, 0.45), 0.0, 0.0)
    assert moving.disturbance == 0.0
    moving.update(sample(0.61, 0.5), 0.0, 0.0)
    # the error is 0.05 m/s, not ten
    assert moving.disturbance == pytest.approx(0.01 / 0.15 / 0.15 * 0.05)
    moving = motion()
    moving.update(sample(0.0, -0.45), 0.0, 0.0)
    moving.update(sample(0.01, -0.5), 0.0, 0.0)
    assert moving.disturbance < 0.0  # half a metre a second backwards is driving


def test_a_gap_in_the_odometry_counts_as_a_tenth_of_a_second_at_most() -> None:
    found = []
    for gap in (0.05, 0.1, 3.0):
        moving = motion()
        for tick in range(600):  # settle
            moving.update(sample(0.01 * tick, 10.0), 0.0, 0.0)
        moving.update(sample(5.99 + gap, 10.02), 0.0, 0.0)
        found.append(moving.disturbance)
        if gap >= 0.1:  # so long a step brings the expected speed to the measured one, not past it
            moving.update(sample(6.0 + gap, 10.02), 0.0, 0.0)
            assert moving.disturbance == pytest.approx(found[-1])
    assert found == pytest.approx([0.05 / 0.15**2 * 0.02, 0.1 / 0.15**2 * 0.02, 0.1 / 0.15**2 * 0.02], rel=1e-3)
