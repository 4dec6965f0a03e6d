# SPDX-License-Identifier: Apache-2.0
"""Trusted sensors against each other, record by record: every limit from both sides."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import pytest
from safety_plant import car, settings

from tidegate.records import Imu, JointStates, Odometry, Points, Received, SafetyInputs, nanoseconds
from tidegate.safety.plausibility import Held, Plausibility
from tidegate.safety.watchdog import Watchdog

LIMITS, SAFETY = settings().safety.plausibility, settings().safety
STEP = 0.01
INPUTS = ("joints", "odometry", "imu", "points")


class Watched:
    """A steadily driving car: ``see`` gives the faults after one more round of records, each of them new."""

    def __init__(self, speed: float = 10.0, turn: float = 0.0) -> None:
        self.watchdog, self.plausibility = Watchdog(settings(), car()), Plausibility(settings(), car())
        self.speed, self.turn, self.time, self.x = speed, turn, 1.0, 3.0
        self.records: dict[str, object] = {}

    def see(self, step: float = STEP, **instead: object) -> tuple[str, ...]:
        """``instead``: a record by name; None = nothing new, the last one grows older."""
        self.time += step
        self.x += self.speed * step
        now = nanoseconds(self.time)
        spins = np.concatenate((np.zeros(2), np.full(4, self.speed / car().wheel_radius)))
        fresh: dict[str, object] = {
            "joints": JointStates(
                now, car().joint_names, np.concatenate((np.zeros(2), np.full(4, self.x))), spins, np.zeros(6)
            ),
            "odometry": Odometry(now, self.x, -2.0, 0.1 + self.turn * self.time, self.speed, self.turn),
            "imu": Imu(now, np.array([0.7, -0.7, self.turn]), np.full(3, self.time)),
            "points": Points(now, np.full((2, 3), self.x, np.float32), np.zeros(2, np.int32)),
        }
        fresh |= instead
        self.records |= {name: record for name, record in fresh.items() if record is not None}
        received = {name: None if fresh[name] is None else Received(fresh[name], 0) for name in INPUTS}
        self.watchdog.check(SafetyInputs(now=now, **received))  # type: ignore[arg-type]
        self.plausibility.check(self.watchdog, now)
        return self.plausibility.faults

    def last(self, name: str, **changes: object) -> object:
        """The newest record of an input with some fields changed, as a new one at the next round."""
        return dataclasses.replace(self.records[name], stamp=nanoseconds(self.time + STEP), **changes)  # type: ignore[type-var]


def rounds(watched: Watched, count: int, step: float = STEP, **instead: object) -> Iterator[tuple[str, ...]]:
    for _ in range(count):
        yield watched.see(step, **instead)


@pytest.mark.parametrize(("speed", "turn"), [(10.0, 0.3), (-3.0, -0.2), (0.0, 0.0)])
def test_sensors_that_agree_are_believed(speed: float, turn: float) -> None:
    watched = Watched(speed, turn)
    assert watched.plausibility.faults == ()
    assert set(rounds(watched, 100)) == {()}


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("speed", [10.0, -4.0])
def test_wheels_and_odometry_may_differ_by_a_share_and_no_longer_than_a_moment(speed: float, sign: float) -> None:
    """The share is of the faster of the two: |a − b| ≤ difference + share · max(|a|, |b|)."""
    difference, share = LIMITS.speed_difference, LIMITS.speed_share
    grows = sign * speed > 0
    most = (difference + share * abs(speed)) / (1 - share) if grows else difference + share * abs(speed)
    persist = round(LIMITS.persist_s / STEP)
    for part, wrong in ((0.999, False), (1.001, True)):
        watched = Watched(speed)
        watched.see()
        told = []
        for _ in range(persist + 1):
            rim = watched.speed + sign * part * most
            spins = np.concatenate((np.zeros(2), np.full(4, rim / car().wheel_radius)))
            position = np.array([0.0, 0.0, *[watched.x + 0.5] * 4])
            told.append(watched.see(joints=watched.last("joints", velocity=spins, position=position)))
        assert set(told[:persist]) == {()}
        assert told[persist] == ((f"odometry says {speed:.1f} m/s, the wheels {rim:.1f} m/s",) if wrong else ())
        assert watched.see() == ()  # agreeing again
        again = watched.last("joints", velocity=spins, position=position + 9.0 * (np.arange(6) > 1))
        assert watched.see(joints=again) == ()  # and the moment begins anew


def test_one_wheel_that_slips_or_two_that_lock_do_not_count() -> None:
    persist = round(LIMITS.persist_s / STEP) + 3
    rolling = 10.0 / car().wheel_radius
    for spins, believed in (
        ([rolling, rolling, rolling, 99.0], True),
        ([0.0, rolling, rolling, rolling], True),
        ([0.0, 0.0, rolling, rolling], False),  # the median of two and two is their middle
    ):
        watched = Watched()
        watched.see()
        for _ in range(persist):
            velocity = np.array([0.0, 0.0, *spins])
            position = np.array([0.0, 0.0, *[watched.x] * 4])
            told = watched.see(joints=watched.last("joints", velocity=velocity, position=position))
        assert (told == ()) == believed


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_yaw_rates_may_differ_by_so_much(sign: float) -> None:
    persist = round(LIMITS.persist_s / STEP)
    for share, wrong in ((0.999, False), (1.001, True)):
        watched = Watched(turn=0.4)
        turn = 0.4 + sign * share * LIMITS.turn_difference
        told = [
            watched.see(imu=Imu(tick, np.array([9.0, 9.0, turn]), np.full(3, float(tick))))
            for tick in range(persist + 1)
        ]
        assert set(told[:persist]) == {()}
        assert told[persist] == ((f"odometry turns by 0.40 rad/s, the IMU by {turn:.2f} rad/s",) if wrong else ())


@pytest.mark.parametrize("name", ["joints", "odometry", "imu", "points"])
def test_what_repeats_itself_while_the_car_moves_is_frozen(name: str) -> None:
    limit = LIMITS.frozen_scan_m if name == "points" else LIMITS.frozen_m
    watched = Watched(9.7)
    for _ in range(3):
        watched.see()
    driven = 0.0
    while driven + STEP * 9.7 <= limit + 1e-9:
        driven += STEP * 9.7
        told = watched.see(**{name: watched.last(name)})
        assert not any("frozen" in fault for fault in told)
    told = watched.see(**{name: watched.last(name)})
    assert f"{name} is frozen: the same to the last digit over {driven + STEP * 9.7:.1f} m" in told
    assert watched.see(**{name: None}) == told  # not new: what is wrong with the newest stands
    assert not any("frozen" in fault for fault in watched.see())


def test_what_rests_while_the_car_stands_or_says_nothing_is_not_frozen() -> None:
    standing = Watched(0.0)
    assert set(rounds(standing, 60)) == {()}
    moving = Watched()
    empty = Points(0, np.empty((0, 3), np.float32), np.empty(0, np.int32))
    for _ in range(60):
        free = dataclasses.replace(empty, stamp=nanoseconds(moving.time + STEP))
        assert moving.see(points=free) == ()


def test_nothing_is_frozen_where_that_is_not_watched() -> None:
    limits = dataclasses.replace(LIMITS, frozen_m=0.0, frozen_scan_m=0.0)
    given = dataclasses.replace(settings(), safety=dataclasses.replace(SAFETY, plausibility=limits))
    watched = Watched()
    watched.plausibility = Plausibility(given, car())
    watched.see()
    for _ in range(60):
        assert not any("frozen" in fault for fault in watched.see(points=watched.last("points")))


def test_the_way_is_the_faster_sensors_and_time_that_runs_backwards_adds_none() -> None:
    """Odometry says 0, the wheels 10 m/s: what repeats itself is frozen after the wheels' way."""
    watched = Watched()
    watched.see()
    still = Odometry(0, 0.0, 0.0, 0.0, 0.0, 0.0)
    for _ in range(round(LIMITS.frozen_m / STEP / 10.0)):
        stamp = nanoseconds(watched.time + STEP)
        assert not any("frozen" in fault for fault in watched.see(odometry=dataclasses.replace(still, stamp=stamp)))
    stamp = nanoseconds(watched.time + STEP)
    told = watched.see(odometry=dataclasses.replace(still, stamp=stamp))
    later = watched.see(odometry=dataclasses.replace(still, stamp=stamp + 1))
    assert any("odometry is frozen" in fault for fault in (*told, *later))
    back = Watched()
    for step in (STEP, *[-STEP, STEP] * 30):
        back.see(step)
        told = back.see(0.0, joints=back.last("joints"))
    assert back.plausibility._way == pytest.approx(31 * STEP * 10.0 - STEP * 10.0, abs=1e-6)


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_odometry_may_move_as_far_as_its_speed_says_and_a_little(axis: str, sign: float) -> None:
    """The faster of two speeds counts, over the time between the records."""
    for before, after in ((10.0, 4.0), (4.0, 10.0), (-10.0, 4.0), (4.0, -10.0)):
        for share, wrong in ((0.999, False), (1.001, True)):
            watched = Watched(0.0)
            first = Odometry(nanoseconds(1.01), 5.0, -2.0, 0.0, before, 0.0)
            watched.see(odometry=first)
            moved = sign * (share * LIMITS.jump_m + 10.0 * STEP)
            place = {axis: getattr(first, axis) + moved}
            second = dataclasses.replace(first, stamp=nanoseconds(1.02), speed=after, **place)
            told = watched.see(odometry=second)
            assert told == ((f"odometry jumped by {abs(moved):.2f} m in 10 ms",) if wrong else ())


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("yaw", [0.5, math.pi - 0.01, -math.pi + 0.01])
def test_odometry_may_turn_as_far_as_its_rate_says_and_a_little(yaw: float, sign: float) -> None:
    """Wherever a full turn begins."""
    for before, after in ((0.25, -0.1), (0.1, 0.25), (-0.25, 0.1), (0.1, -0.25)):
        for share, wrong in ((0.999, False), (1.001, True)):
            watched = Watched(0.0)
            first = Odometry(nanoseconds(1.01), 5.0, -2.0, yaw, 0.0, before)
            watched.see(odometry=first)
            turned = sign * (share * LIMITS.jump_rad + 0.25 * STEP)
            place = math.remainder(yaw + turned, 2 * math.pi)
            told = watched.see(odometry=dataclasses.replace(first, stamp=nanoseconds(1.02), yaw=place, yaw_rate=after))
            assert told == ((f"odometry turned by {abs(turned):.2f} rad in 10 ms",) if wrong else ())


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_steering_joint_may_turn_as_far_as_its_rate_says_and_a_little(side: int, sign: float) -> None:
    """The faster of two rates, in either order of the joints; a wheel may turn as far as it likes."""
    for before, after in ((0.8, -0.2), (0.2, 0.8), (-0.8, 0.2), (0.2, -0.8)):
        for share, wrong in ((0.999, False), (1.001, True)):
            watched = Watched(0.0)
            place, rate = np.array([0.1, 0.1, 1.0, 1.0, 1.0, 1.0]), np.zeros(6)
            rate[side] = before
            first = JointStates(nanoseconds(1.01), car().joint_names, place, rate, np.zeros(6))
            watched.see(joints=first)
            turned = sign * (share * LIMITS.jump_rad + 0.8 * STEP)
            place, rate = place + np.array([0, 0, 9.0, 9.0, 9.0, 9.0]), np.zeros(6)
            place[side], rate[side] = 0.1 + turned, after
            names = car().joint_names[::-1]
            told = watched.see(joints=JointStates(nanoseconds(1.02), names, place[::-1], rate[::-1], np.zeros(6)))
            said = f"{car().joint_names[side]} turned by {abs(turned):.2f} rad in 10 ms"
            assert told == ((said,) if wrong else ())


def test_odometry_that_turns_round_is_not_taken_for_one_that_goes_on() -> None:
    watched = Watched(0.0)
    first = Odometry(nanoseconds(1.01), 5.0, -2.0, 0.3, 0.0, 0.0)
    watched.see(odometry=first)
    turned = dataclasses.replace(first, stamp=nanoseconds(1.02), yaw=0.3 + math.pi)
    assert watched.see(odometry=turned) == ("odometry turned by 3.14 rad in 10 ms",)


@pytest.mark.parametrize("name", INPUTS)
def test_records_must_come_often_enough_in_the_mean_of_twenty(name: str) -> None:
    """The mean nears the interval as 1 − (19/20)ⁿ; half the time-out is the slowest."""
    slowest = (SAFETY.range_timeout_s if name == "points" else SAFETY.trusted_timeout_s) / 2
    for share in (0.99, 1.3, 5.0):
        watched, mean, told = Watched(0.0), 0.0, ()
        watched.see()
        for _ in range(60):
            stamp = watched.records[name].stamp + nanoseconds(share * slowest)
            mean += (min(share, 2.0) * slowest - mean) / 20
            told = watched.see(0.001, **{name: dataclasses.replace(watched.records[name], stamp=stamp)})  # type: ignore[type-var]
            seldom = mean > slowest
            expected = f"{name} comes too seldom ({1 / mean:.0f} Hz, at least {1 / slowest:.0f})"
            assert (expected in told) == seldom
        assert seldom == (share > 1)


def test_what_is_late_is_not_judged() -> None:
    """That an input is late is the watchdog's to say; sensors that are there are judged without it."""
    watched = Watched()
    watched.see()
    for missing in INPUTS:
        alone = Watched()
        for _ in range(60):
            assert alone.see(**{missing: None}) == ()


def test_while_nothing_tells_the_speed_no_way_is_counted() -> None:
    """An IMU that repeats itself: nothing is said of it meanwhile, and the way begins where it was left after that."""
    watched = Watched(4.0)
    for _ in range(3):
        watched.see()
    repeated = {"angular_velocity": np.zeros(3), "linear_acceleration": np.zeros(3)}
    watched.see(imu=watched.last("imu", **repeated))
    blind = SAFETY.trusted_timeout_s + STEP  # until then the speed that was told last counts
    passed = 0.0
    while passed < blind + 3.0:
        passed += STEP
        assert watched.see(joints=None, odometry=None, imu=watched.last("imu", **repeated)) == ()
    counted, told = round(blind / STEP - 1) * STEP * 4.0, ()
    while not told:
        x = watched.x + 4.0 * STEP
        odometry = Odometry(nanoseconds(watched.time + STEP), x, -2.0, 0.1, 4.0, 0.0)
        told = tuple(one for one in watched.see(odometry=odometry, imu=watched.last("imu", **repeated)) if "imu" in one)
        counted += STEP * 4.0
    assert told[0].startswith("imu is frozen")
    assert counted == pytest.approx(LIMITS.frozen_m, abs=2 * STEP * 4.0)


@pytest.mark.parametrize("gone", [1, 20])
def test_a_fault_is_held_until_none_has_been_seen_for_so_long(gone: int) -> None:
    held = Held(gone)
    assert held((), 5) == ()
    assert held(("a",), 5) == ("a",)
    assert held(("b", "c"), 5) == ("b", "c")
    assert held((), 0) == held((), gone - 1) == ("b", "c")
    assert held((), 1) == ()
    for _ in range(3):  # it counts from the last time that something was wrong
        assert held(("a",), 5) == held((), gone - 1) == ("a",)


def test_where_nothing_is_held_a_fault_ends_with_itself() -> None:
    held = Held(0)
    assert held(("a",), 5) == ("a",)
    assert held((), 0) == ()


def test_a_gap_between_ticks_longer_than_any_input_may_be_silent_is_a_fault_once() -> None:
    silence = max(SAFETY.trusted_timeout_s, SAFETY.range_timeout_s)
    watched = Watched()
    watched.see()
    assert watched.see(silence - 1e-6) == ()
    assert watched.see(silence + 1e-6) == (f"no tick for {silence:.2f} s",)
    assert watched.see() == ()


@pytest.mark.parametrize(("mounted", "share"), [((1.0, -1.0, -1.0), 0.5), ((0.0, 0.0, 0.0), 1.0)])
def test_an_imu_upside_down_or_on_its_side_is_noticed_in_a_bend_that_is_sharp_enough(
    mounted: tuple[float, float, float], share: float
) -> None:
    """Upside down the yaw rate has the other sign; on its side another axis has it."""
    persist = round(LIMITS.persist_s / STEP)
    for part, noticed in ((0.98, False), (1.02, True)):
        turn = part * share * LIMITS.turn_difference
        watched = Watched(turn=turn)
        for tick in range(persist + 1):
            rates = np.array([0.0, 0.0, turn]) * mounted
            told = watched.see(imu=Imu(tick, rates, np.full(3, float(tick))))
        assert bool(told) == noticed
