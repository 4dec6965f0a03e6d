# SPDX-License-Identifier: Apache-2.0
"""Metrics against trajectories made by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.evaluation.metrics import End, Trace, completed, limit_violations, mean_speed, rises, smallest_gap
from tidegate.settings.evaluation import EvaluationSettings

RULES = EvaluationSettings()


def drive(length: float = 700.0, speed: float = 10.0, period: float = 0.1, **changes: object) -> Trace:
    count = round(length / speed / period)
    rows = np.arange(1, count + 1)
    trace = Trace(
        period=period,
        distance=rows * speed * period,
        lane_error=np.zeros(count),
        speed=np.full(count, speed),
        yaw_rate=np.zeros(count),
        gap=np.full(count, math.inf),
        contact=np.zeros(count, bool),
        wheels_off=np.zeros(count, bool),
        room=np.ones(count),
        violations=np.zeros(count, int),
    )
    return replace(trace, **changes)


def standing(**changes: object) -> Trace:
    trace = drive()
    return replace(trace, **({"speed": np.linspace(10, 0, len(trace))} | changes))


def test_a_lap_at_the_expert_s_speed_is_completed():
    assert mean_speed(drive()) == pytest.approx(10.0)
    assert completed(drive(), End.GOAL, 10.0, RULES, excused=False)


@pytest.mark.parametrize(("expert", "passed"), [(12.49, True), (12.51, False)])
def test_nobody_passes_by_crawling(expert: float, passed: bool):
    assert completed(drive(), End.GOAL, expert, RULES, excused=False) is passed


@pytest.mark.parametrize(("length", "passed"), [(601.0, True), (599.0, False)])
def test_a_goal_that_is_too_near_does_not_count(length: float, passed: bool):
    assert completed(drive(length), End.GOAL, 10.0, RULES, excused=False) is passed


def test_contact_fails_whatever_the_end():
    hit = np.zeros(len(drive()), bool)
    hit[5] = True
    assert not completed(drive(contact=hit), End.GOAL, 10.0, RULES, excused=False)
    assert not completed(standing(contact=hit), End.STANDING, 10.0, RULES, excused=True)


def test_standing_counts_only_with_a_reason_and_in_the_lane():
    assert completed(standing(), End.STANDING, 10.0, RULES, excused=True)
    assert not completed(standing(), End.STANDING, 10.0, RULES, excused=False)
    assert not completed(standing(room=np.full(len(drive()), -0.01)), End.STANDING, 10.0, RULES, excused=True)
    assert not completed(drive(), End.STANDING, 10.0, RULES, excused=True), "still rolling"


@pytest.mark.parametrize("end", [End.TIME_LIMIT, End.OFF_ROAD, End.CONTACT, End.INTERRUPTED])
def test_every_other_end_fails(end: End):
    assert not completed(drive(), end, 10.0, RULES, excused=True)


def test_rises_counts_beginnings():
    assert rises(np.array([], bool)) == 0
    assert rises(np.array([True, True, False, True, False, False, True])) == 3


@given(st.lists(st.booleans()))
def test_rises_equals_the_text_s_count(flags: list[bool]):
    text = "".join("x" if flag else " " for flag in flags)
    assert rises(np.array(flags, bool)) == len(text.split())


def test_the_smallest_gap_is_that_of_the_whole_drive():
    assert smallest_gap(drive()) is None
    gap = np.full(len(drive()), math.inf)
    gap[7] = 4.25
    assert smallest_gap(drive(gap=gap)) == 4.25


def test_limits_are_counted_one_by_one():
    low, high, step = np.array([-2.0, -1.0]), np.array([2.0, 1.0]), np.array([1.0, 1.0])
    effort = np.array([[1.0, 0.0], [2.0, 1.0], [2.5, 0.0], [0.5, 0.0], [math.nan, 0.0]])
    speed = np.array([5.0, 5.0, 5.0, 10.1, 5.0])
    assert limit_violations(effort, np.zeros(2), low, high, step, speed, 10.0).tolist() == [0, 0, 1, 2, 2]


def test_a_first_command_out_of_reach_is_counted():
    box = np.array([5.0])
    ask = np.array([[3.0]])
    for before, broken in ((0.0, 1), (2.5, 0)):
        assert limit_violations(ask, np.array([before]), -box, box, np.array([1.0]), np.zeros(1), 1.0) == [broken]
