# SPDX-License-Identifier: Apache-2.0
"""The plain objects behind the nodes: pairing, inbox, emergency chain, pacing."""

import os
import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tidegate.nodes.emergency import EmergencyChain
from tidegate.nodes.inbox import Inbox, Instant
from tidegate.nodes.pacing import Pacer
from tidegate.nodes.pairing import Pairing
from tidegate.nodes.priority import PRIORITIES
from tidegate.records import Features, Odometry

stamps = st.lists(st.integers(0, 200), min_size=1, max_size=30, unique=True).map(sorted)


def odometry(stamp: int) -> Odometry:
    return Odometry(stamp, 0.0, 0.0, 0.0, float(stamp), 0.0)


def features(stamp: int) -> Features:
    return Features(stamp, np.zeros(2, np.float32))


@given(stamps, stamps, st.randoms())
def test_pairs_depend_on_stamps_and_not_on_the_order_of_arrival(
    odometry_stamps: list[int], feature_stamps: list[int], random: object
) -> None:
    expected = []
    for wanted in feature_stamps:
        before = [stamp for stamp in odometry_stamps if stamp <= wanted]
        if before and odometry_stamps[-1] >= wanted:
            expected.append((wanted, before[-1]))
    pairing, got = Pairing(100), []
    waiting = {"o": list(odometry_stamps), "f": list(feature_stamps)}
    while waiting["o"] or waiting["f"]:
        kind = random.choice([kind for kind in "of" if waiting[kind]])  # type: ignore[attr-defined]
        stamp = waiting[kind].pop(0)
        pairs = pairing.odometry(odometry(stamp)) if kind == "o" else pairing.features(features(stamp))
        got += [(one.stamp, other.stamp) for one, other in pairs]
    assert got == expected


def test_odometry_that_goes_back_begins_anew() -> None:
    pairing = Pairing(10)
    assert not list(pairing.odometry(odometry(100)))
    assert not list(pairing.features(features(120)))
    assert not list(pairing.odometry(odometry(10)))
    assert not list(pairing.odometry(odometry(130)))
    assert [(one.stamp, other.stamp) for one, other in pairing.features(features(20))] == [(20, 10)]


def test_features_that_are_stamped_far_ahead_hold_up_none_that_follow() -> None:
    pairing = Pairing(10)
    assert not list(pairing.features(features(10**18)))
    assert not list(pairing.features(features(10)))
    assert [(one.stamp, other.stamp) for one, other in pairing.odometry(odometry(10))] == [(10, 10)]


@given(st.integers(-500, 500), st.integers(0, 1000), st.integers(-10_000, 10_000))
def test_age_is_how_far_a_stamp_was_when_it_came_plus_steady_time_whatever_the_system_clock_does(
    transit: int, since: int, stepped: int
) -> None:
    inbox = Inbox()
    inbox.put("odom", odometry(1000), Instant(1000 + transit, 50))
    (received,) = inbox.received(Instant(1000 + transit + since + stepped, 50 + since)).values()
    assert received.age == abs(transit) + since


def test_what_is_stamped_ahead_of_the_time_is_told_until_a_record_is_not() -> None:
    inbox, second = Inbox(), 10**9
    inbox.put("odom", odometry(2 * second), Instant(second, 0))
    inbox.put("imu", odometry(second + 1000), Instant(second, 0))
    assert inbox.ahead() == {"odom": second}
    inbox.put("odom", odometry(3 * second), Instant(3 * second, 0))
    assert not inbox.ahead()


@given(st.lists(st.integers(0, 50), min_size=1))
def test_the_newest_stamp_stays_and_the_rest_is_counted(arrivals: list[int]) -> None:
    inbox = Inbox()
    for time, stamp in enumerate(arrivals):
        inbox.put("imu", odometry(stamp), Instant(100 + time, time))
    (received,) = inbox.received(Instant(1000, 1000)).values()
    assert received.record.stamp == max(arrivals)
    kept = sum(stamp > max(arrivals[:index], default=-1) for index, stamp in enumerate(arrivals))
    assert inbox.dropped.get("imu", 0) == len(arrivals) - kept
    inbox.forget()
    assert not inbox.received(Instant(1000, 1000))
    assert not inbox.dropped


@given(st.lists(st.integers(0, 400), min_size=1, max_size=60))
def test_simulated_time_follows_a_steady_clock_and_gives_up_what_it_cannot_catch(waits: list[int]) -> None:
    period, patience = 10, 5
    pacer = Pacer(period, patience, steady=0)
    now = done = 0
    for wait in waits:
        now += wait
        due = pacer.due(now)
        assert 0 <= due <= patience
        done += due
    assert done * period + pacer.lost <= now < (done + 1) * period + pacer.lost


def test_every_thread_takes_the_real_time_priority_or_the_node_says_that_it_may_not() -> None:
    """In a process of its own: a test runner must not become a real-time process."""
    script = (
        "import os, threading; from tidegate.nodes.priority import hasten\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "print(hasten('safety_node')); print(*(os.sched_getscheduler(int(t)) for t in os.listdir('/proc/self/task')))\n"
        "print(repr(hasten('simulator_node')))"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    told, policies, other = said.splitlines()
    kinds = {int(policy) for policy in policies.split()}
    assert len(policies.split()) >= 2
    assert other == "''"
    if told == f"real-time priority {PRIORITIES['safety_node']}":
        assert kinds == {os.SCHED_FIFO}
    else:
        assert f"grant this user rtprio {PRIORITIES['safety_node']}" in told
        assert kinds == {os.SCHED_OTHER}


@given(st.lists(st.tuples(st.lists(st.booleans(), max_size=3), st.integers(0, 200)), min_size=1, max_size=20))
def test_a_pulse_between_two_ticks_is_seen_and_silence_is_told(heard: list[tuple[list[bool], int]]) -> None:
    chain, free = EmergencyChain(300e-9), EmergencyChain(0.0)
    now, spoke, pressed = 0, -(10**9), False
    for said, later in heard:
        before = pressed
        for pressed in said:
            chain.hear(pressed)
            free.hear(pressed)
        now += later
        spoke = now if said else spoke
        assert chain.tick(now) == (before or any(said), now - spoke > 300)
        assert free.tick(now) == (before or any(said), False)


def test_silence_counts_from_now_on_where_time_runs_back() -> None:
    chain = EmergencyChain(300e-9)
    chain.hear(False)
    assert chain.tick(10_000) == (False, False)
    assert [chain.tick(now)[1] for now in (50, 350, 351)] == [False, False, True]
