# SPDX-License-Identifier: Apache-2.0
"""Every transition of the ladder."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.records import Mode, SafetyInputs
from tidegate.safety.ladder import LET_GO, SHORTEST, Conditions, Rung, advance, asked_to_stop

HOLD, SHARE = 300, 0.1
FINE = Conditions()
OUT = Conditions(camera=("lane is late",))
BLIND = Conditions(trusted=("odometry is late",))
ROLLS = Conditions(rolling=("the car rolls backwards",))
STOP = Conditions(stop=("emergency stop",))
DRIVER = Conditions(manual=True)
HANDED = Conditions(hand_back=True)
N, H, S, D = Mode.NORMAL, Mode.HOLD, Mode.STOPPING, Mode.STOPPED

TABLE = [
    (Rung(N), FINE, N),
    (Rung(N), OUT, H),
    (Rung(N), BLIND, S),
    (Rung(N), STOP, S),
    (Rung(N), ROLLS, S),
    (Rung(N, manual=True), ROLLS._replace(manual=True), S),
    (Rung(N), OUT._replace(manual=True), N),
    (Rung(N, manual=True), DRIVER, N),
    (Rung(N, manual=True), FINE, S),
    (Rung(N, manual=True), OUT, S),
    (Rung(N, manual=True), HANDED, N),
    (Rung(N, manual=True), OUT._replace(hand_back=True), S),
    (Rung(N), OUT._replace(hand_back=True), H),
    (Rung(H, since=-HOLD), OUT._replace(hand_back=True), S),
    (Rung(S), HANDED, S),
    (Rung(D), HANDED._replace(standing=True), D),
    (Rung(N), FINE._replace(reset=True), N),
    (Rung(H, since=0), FINE, N),
    (Rung(H, since=0), OUT, H),
    (Rung(H, since=-HOLD), OUT, S),
    (Rung(H, since=-HOLD), FINE, N),
    (Rung(H), OUT._replace(manual=True), N),
    (Rung(H), BLIND, S),
    (Rung(H), STOP, S),
    (Rung(H), ROLLS, S),
    (Rung(S), FINE, S),
    (Rung(S), FINE._replace(reset=True), S),
    (Rung(S), FINE._replace(standing=True), D),
    (Rung(S), FINE._replace(standing=True, reset=True), D),
    (Rung(S), DRIVER, N),
    (Rung(S), DRIVER._replace(camera=("lane is late",)), N),
    (Rung(S), DRIVER._replace(trusted=("joints is late",)), S),
    (Rung(S), DRIVER._replace(stop=("emergency stop",)), S),
    (Rung(S), ROLLS._replace(manual=True), S),
    (Rung(S, latched=True), DRIVER, S),
    (Rung(S, latched=True), FINE._replace(standing=True), D),
    (Rung(D), FINE, D),
    (Rung(D), FINE._replace(standing=True), D),
    (Rung(D), FINE._replace(reset=True), D),
    (Rung(D), FINE._replace(reset=True, standing=True), N),
    (Rung(D, latched=True), FINE._replace(reset=True, standing=True), N),
    (Rung(D), OUT._replace(reset=True, standing=True), D),
    (Rung(D), OUT._replace(reset=True, standing=True, manual=True), N),
    (Rung(D), BLIND._replace(reset=True, standing=True), D),
    (Rung(D), STOP._replace(reset=True, standing=True), D),
    (Rung(D), ROLLS._replace(reset=True, standing=True), D),
    (Rung(D), DRIVER._replace(standing=True), D),
]


@pytest.mark.parametrize(("before", "seen", "after"), TABLE)
def test_transition(before: Rung, seen: Conditions, after: Mode) -> None:
    assert advance(before, seen, 0, HOLD, SHARE).mode == after


def test_a_new_rung_says_since_when_and_why() -> None:
    held = advance(Rung(N, since=3), OUT, 50, HOLD, SHARE)
    assert (held.since, held.reasons) == (50, ("lane is late",))
    assert advance(held, OUT, 60, HOLD, SHARE).since == 50
    stopping = advance(held, BLIND, 70, HOLD, SHARE)
    assert (stopping.since, stopping.reasons, stopping.latched) == (70, ("odometry is late",), False)


def test_an_emergency_stop_stays_after_the_button_is_released() -> None:
    rung = advance(Rung(N), STOP, 0, HOLD, SHARE)
    for now in range(1, 5):
        rung = advance(rung, DRIVER._replace(standing=now > 2), now, HOLD, SHARE)
    assert (rung.mode, rung.latched) == (D, True)
    assert "emergency stop" in rung.reasons
    late = advance(Rung(S), STOP, 0, HOLD, SHARE)
    assert late.latched
    assert "emergency stop" in late.reasons


def test_hold_of_zero_stops_at_once() -> None:
    assert advance(Rung(N), OUT, 0, 0, SHARE).mode == S


def test_no_way_from_any_state_to_normal_past_a_stop() -> None:
    """All combinations: with a stop asked for, a trusted input out or a car that rolls back,
    NORMAL and HOLD are never reached."""
    flags = (False, True)
    for mode, latched, was, camera, manual, standing, reset, halt in itertools.product(
        Mode, flags, flags, flags, flags, flags, flags, ("stop", "trusted", "rolling")
    ):
        seen = Conditions(("x",) if camera else (), manual=manual, standing=standing, reset=reset)
        seen = seen._replace(**{halt: ("y",)})
        after = advance(Rung(mode, 0, (), latched, was), seen, 10, HOLD, SHARE).mode
        assert after in (S, D)
        assert mode != D or after == D


def test_it_starts_stopped_since_ever_and_says_what_it_waits_for() -> None:
    rung = Rung()
    assert (rung.mode, rung.since, rung.latched, rung.manual) == (D, 0, False, False)
    assert rung.reasons == ("started; waiting for a reset",)
    assert Conditions() == Conditions((), (), (), (), False, False, False, False)


@pytest.mark.parametrize("manual", [False, True])
@pytest.mark.parametrize(
    ("before", "seen"),
    [
        (Rung(N, since=3), FINE),
        (Rung(H, since=3), FINE),
        (Rung(S, since=3), DRIVER),
        (Rung(D, since=3), FINE._replace(reset=True, standing=True)),
    ],
)
def test_normal_remembers_who_drives_and_since_when(before: Rung, seen: Conditions, manual: bool) -> None:
    if before.mode == S and not manual:
        return  # only a driver leads out of STOPPING
    rung = advance(before, seen._replace(manual=manual), 50, HOLD, SHARE)
    assert rung.mode == N
    assert rung.manual == manual
    assert rung.reasons == (("a driver drives",) if manual else ())
    assert rung.since == (3 if before.mode == N else 50)
    assert not rung.latched


def test_a_driver_who_lets_go_stops_the_car_and_is_named_as_the_reason() -> None:
    assert advance(Rung(N, manual=True), FINE, 50, HOLD, SHARE) == Rung(S, 50, (LET_GO,))
    for seen in (OUT, OUT._replace(hand_back=True)):
        assert advance(Rung(N, manual=True), seen, 50, HOLD, SHARE) == Rung(S, 50, (LET_GO, "lane is late"))
    assert advance(Rung(N, 3, ("a driver drives",), manual=True), HANDED, 50, HOLD, SHARE) == Rung(N, 3, ())


def test_only_an_act_leads_from_a_driver_to_the_network() -> None:
    """All sequences of three ticks: the network drives after a driver only where one of them handed back or reset."""
    ticks = [FINE, DRIVER, OUT, HANDED, FINE._replace(standing=True), FINE._replace(standing=True, reset=True)]
    for seen in itertools.product(ticks, repeat=3):
        rung = Rung(N, manual=True)
        for now, one in enumerate(seen):
            rung = advance(rung, one, now, HOLD, SHARE)
        if rung.mode in (N, H) and not rung.manual:
            assert any(one.hand_back or one.reset for one in seen)


def test_the_longest_hold_is_kept_to_the_nanosecond() -> None:
    assert advance(Rung(H, since=100), OUT, 100 + HOLD - 1, HOLD, SHARE).mode == H
    assert advance(Rung(H, since=100), OUT, 100 + HOLD, HOLD, SHARE) == Rung(S, 100 + HOLD, ("lane is late",))
    assert advance(Rung(N), OUT, 0, 1, SHARE).mode == H  # a nanosecond is a hold


@pytest.mark.parametrize("manual", [False, True])
def test_what_stops_remembers_why_once_and_whether_on_purpose(manual: bool) -> None:
    stop = STOP._replace(trusted=("imu is late",), manual=manual)
    rung = advance(Rung(N), stop, 50, HOLD, SHARE)
    assert rung == Rung(S, 50, ("emergency stop", "imu is late"), True, manual)
    for now in (60, 70):  # asked for again: said once
        assert advance(rung, stop, now, HOLD, SHARE) == rung
    other = advance(rung, stop._replace(stop=("stop requested",)), 80, HOLD, SHARE)
    assert other.reasons == ("emergency stop", "imu is late", "stop requested")
    unlatched = advance(Rung(S, 5, ("x",)), FINE._replace(manual=False, trusted=("y",)), 60, HOLD, SHARE)
    assert unlatched == Rung(S, 5, ("x",), False, False)


@pytest.mark.parametrize("stop", [(), ("emergency stop",)])
@pytest.mark.parametrize("latched", [False, True])
def test_standing_ends_stopping_and_keeps_what_was_known(stop: tuple[str, ...], latched: bool) -> None:
    seen = Conditions(stop=stop, standing=True, manual=bool(stop))
    rung = advance(Rung(S, 5, ("x",), latched), seen, 60, HOLD, SHARE)
    assert rung == Rung(D, 60, ("x",), latched or bool(stop), bool(stop))
    late = advance(Rung(D, 5, ("x",), latched), seen, 60, HOLD, SHARE)
    assert late == Rung(D, 5, ("x", *stop), latched or bool(stop), bool(stop))


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 80)), max_size=120), st.sampled_from([0.0, 0.1, 0.5]))
def test_however_the_camera_comes_and_goes_there_is_a_bound_on_hold(
    spells: list[tuple[bool, int]], share: float
) -> None:
    """Over any way it flaps: the time in HOLD, and how often, as ``advance`` promises; else the car stops."""
    rung, now, held, entered = Rung(N), 0, 0, 0
    for out, ticks in spells:
        for _ in range(ticks):
            now += 5
            before, rung = rung.mode, advance(rung, OUT if out else FINE, now, HOLD, share)
            if rung.mode == S:
                assert advance(rung, FINE, now + 10**9, HOLD, share).mode == S
                return
            held += 5 * (before == H)
            entered += before != H == rung.mode
            assert held <= HOLD + 5 + share * now + entered  # a tick at most beyond, and what is given back is rounded
            assert entered <= SHORTEST * (1 + (share * now + entered) / HOLD) + 1


def test_hold_goes_on_where_the_one_before_ended_less_what_was_given_back() -> None:
    rung = advance(Rung(N), OUT, 1000, HOLD, SHARE)
    back = advance(rung, FINE, 1100, HOLD, SHARE)
    assert (back.mode, back.since, back.spent) == (N, 1100, 100)
    assert advance(back, FINE, 1500, HOLD, SHARE) == back
    again = advance(back, OUT, 1500, HOLD, SHARE)
    assert (again.mode, again.since, again.spent) == (H, 1500, 60)
    assert advance(again, OUT, 1500 + HOLD - 61, HOLD, SHARE) == again
    assert advance(again, OUT, 1500 + HOLD - 60, HOLD, SHARE).mode == S
    assert advance(back, OUT, 1100 + 10 * HOLD, HOLD, SHARE).spent == 0  # all of it is back, and no more than that
    driven = advance(again, OUT._replace(manual=True), 1510, HOLD, SHARE)
    assert (driven.mode, driven.spent) == (N, 60 + HOLD // SHORTEST)


def test_the_shortest_hold_counts_as_a_tenth_and_where_all_is_used_up_the_car_stops() -> None:
    rung, now = Rung(N), 0
    for _ in range(SHORTEST):
        rung = advance(rung, OUT, now, HOLD, 0.0)
        assert rung.mode == H
        rung = advance(rung, FINE, now + 1, HOLD, 0.0)
        assert rung.mode == N
        now += 2
    assert advance(rung, OUT, now, HOLD, 0.0) == Rung(S, now, OUT.camera)


def test_each_way_to_ask_for_a_stop_is_told_in_words() -> None:
    assert asked_to_stop(SafetyInputs(now=0)) == ()
    asked = {"emergency_stop": True, "emergency_silent": True, "stop_requested": True}
    words = ("emergency stop", "the emergency stop's chain is silent", "stop requested")
    assert asked_to_stop(SafetyInputs(now=0, **asked)) == words
    for name, word in zip(asked, words, strict=True):
        assert asked_to_stop(SafetyInputs(now=0, **{name: True})) == (word,)
