# SPDX-License-Identifier: Apache-2.0
"""Every transition of the ladder."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from tidegate.records import Mode
from tidegate.safety.ladder import Conditions, Rung, advance

HOLD = 300
FINE = Conditions()
OUT = Conditions(camera=("lane is late",))
BLIND = Conditions(trusted=("odometry is late",))
STOP = Conditions(stop=("emergency stop",))
DRIVER = Conditions(manual=True)
N, H, S, D = Mode.NORMAL, Mode.HOLD, Mode.STOPPING, Mode.STOPPED

TABLE = [
    (Rung(N), FINE, N),
    (Rung(N), OUT, H),
    (Rung(N), BLIND, S),
    (Rung(N), STOP, S),
    (Rung(N), replace(OUT, manual=True), N),
    (Rung(N, manual=True), FINE, N),
    (Rung(N, manual=True), OUT, S),
    (Rung(N), replace(FINE, reset=True), N),
    (Rung(H, since=0), FINE, N),
    (Rung(H, since=0), OUT, H),
    (Rung(H, since=-HOLD), OUT, S),
    (Rung(H, since=-HOLD), FINE, N),
    (Rung(H), replace(OUT, manual=True), N),
    (Rung(H), BLIND, S),
    (Rung(H), STOP, S),
    (Rung(S), FINE, S),
    (Rung(S), replace(FINE, reset=True), S),
    (Rung(S), replace(FINE, standing=True), D),
    (Rung(S), replace(FINE, standing=True, reset=True), D),
    (Rung(S), DRIVER, N),
    (Rung(S), replace(DRIVER, camera=("lane is late",)), N),
    (Rung(S), replace(DRIVER, trusted=("joints is late",)), S),
    (Rung(S), replace(DRIVER, stop=("emergency stop",)), S),
    (Rung(S, latched=True), DRIVER, S),
    (Rung(S, latched=True), replace(FINE, standing=True), D),
    (Rung(D), FINE, D),
    (Rung(D), replace(FINE, standing=True), D),
    (Rung(D), replace(FINE, reset=True), D),
    (Rung(D), replace(FINE, reset=True, standing=True), N),
    (Rung(D, latched=True), replace(FINE, reset=True, standing=True), N),
    (Rung(D), replace(OUT, reset=True, standing=True), D),
    (Rung(D), replace(OUT, reset=True, standing=True, manual=True), N),
    (Rung(D), replace(BLIND, reset=True, standing=True), D),
    (Rung(D), replace(STOP, reset=True, standing=True), D),
    (Rung(D), replace(DRIVER, standing=True), D),
]


@pytest.mark.parametrize(("before", "seen", "after"), TABLE)
def test_transition(before: Rung, seen: Conditions, after: Mode) -> None:
    assert advance(before, seen, 0, HOLD).mode == after


def test_a_new_rung_says_since_when_and_why() -> None:
    held = advance(Rung(N, since=3), OUT, 50, HOLD)
    assert (held.since, held.reasons) == (50, ("lane is late",))
    assert advance(held, OUT, 60, HOLD).since == 50
    stopping = advance(held, BLIND, 70, HOLD)
    assert (stopping.since, stopping.reasons, stopping.latched) == (70, ("odometry is late",), False)


def test_an_emergency_stop_stays_after_the_button_is_released() -> None:
    rung = advance(Rung(N), STOP, 0, HOLD)
    for now in range(1, 5):
        rung = advance(rung, replace(DRIVER, standing=now > 2), now, HOLD)
    assert (rung.mode, rung.latched) == (D, True)
    assert "emergency stop" in rung.reasons
    late = advance(Rung(S), STOP, 0, HOLD)
    assert late.latched
    assert "emergency stop" in late.reasons


def test_hold_of_zero_stops_at_once() -> None:
    assert advance(Rung(N), OUT, 0, 0).mode == S


def test_no_way_from_any_state_to_normal_past_a_stop() -> None:
    """All combinations: with a stop asked for or a trusted input out, NORMAL and HOLD are never reached."""
    flags = (False, True)
    for mode, latched, was, camera, manual, standing, reset, halt in itertools.product(
        Mode, flags, flags, flags, flags, flags, flags, ("stop", "trusted")
    ):
        seen = Conditions(("x",) if camera else (), manual=manual, standing=standing, reset=reset)
        seen = replace(seen, **{halt: ("y",)})
        after = advance(Rung(mode, 0, (), latched, was), seen, 10, HOLD).mode
        assert after in (S, D)
        assert mode != D or after == D
