# SPDX-License-Identifier: Apache-2.0
"""Rows that keep a limit together are found by leaving them out, none for nothing, and told in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from tidegate.insight.in_words import finding_facts
from tidegate.insight.limits import After
from tidegate.insight.together import (
    BACKED,
    CAUSED,
    HORIZON_S,
    LONGER_S,
    NO_HELP,
    NOT_NEEDED,
    SHORT_S,
    WORSE,
    WORSE_OFF,
    Finding,
    Watched,
    Watcher,
    judged,
    verdict_of,
)
from tidegate.insight.worlds import BOTH, BOUND, WISH
from tidegate.records import BarrierState, Command, Mode, Tick
from tidegate.safety import State
from tidegate.simulation import Truth

PERIOD = 0.005
ROWS = frozenset({"lane", "edge", "sight", "curve"})


class Filtered:
    """A drive that is known by which rows keep the limit: the first of ``keepers`` that is left in acts for as long as
    ``pushes`` says, and with none of them the limit is broken after ``breaks_s``; others may push for nothing."""

    def __init__(self, keepers: Iterable[str], pushes: dict[str, float], breaks_s: float = 1.3) -> None:
        self._keepers, self._pushes, self._breaks_s = frozenset(keepers), pushes, breaks_s
        self.asked: list[frozenset[str]] = []

    def __call__(self, names: frozenset[str], *, until_s: float, first: bool) -> Watched:
        self.asked.append(names)
        exceeded = np.full(round(until_s / PERIOD), -0.1)
        if self._keepers <= names:
            exceeded[round(self._breaks_s / PERIOD) - 1 :] = 0.1
        time = PERIOD * np.arange(len(exceeded))
        acted = {name: time < lasted for name, lasted in self._pushes.items() if name not in names}
        return Watched(exceeded, PERIOD, acted, frozenset())


def kept(most: float = -0.1) -> Watched:
    """With all rows."""
    return Watched(np.full(round(HORIZON_S / PERIOD), most), PERIOD, {}, frozenset())


def never() -> float:
    raise AssertionError("was not asked for")


@pytest.mark.parametrize(
    ("kept", "without", "bare", "verdict"),
    [
        (-0.2, 0.01, never, CAUSED),
        (0.0, -0.1, lambda: 0.3, BACKED),
        (-0.2, 0.0, lambda: -0.1, NOT_NEEDED),
        (0.1, 0.1 * WORSE + 0.01, never, WORSE_OFF),
        (0.1, 0.1 * WORSE - 0.01, never, NO_HELP),
        (0.1, -0.2, never, NO_HELP),
    ],
)
def test_a_row_explains_what_is_broken_without_it_alone(
    kept: float, without: float, bare: Callable[[], float], verdict: str
) -> None:
    assert verdict_of(kept, without, bare) == verdict


def test_a_row_that_keeps_its_limit_alone_is_the_whole_explanation() -> None:
    drive = Filtered({"lane"}, {"sight": 3.0})
    found = judged("lane", ROWS, kept(), drive)
    assert (found.verdict, found.short, found.after_s) == (CAUSED, CAUSED, pytest.approx(1.3))
    assert (found.together, found.others) == ((), ("sight",))
    assert drive.asked == [{"lane"}]


def test_two_rows_that_keep_the_same_limit_are_named_together() -> None:
    found = judged("lane", ROWS, kept(), Filtered({"lane", "edge"}, {"edge": 2.0, "sight": 1.0}))
    assert (found.verdict, found.after_s) == (BACKED, None)
    assert (found.together, found.together_s) == (("lane", "edge"), pytest.approx(1.3))
    assert found.by_itself


def test_a_row_that_acts_for_long_but_keeps_nothing_is_put_back() -> None:
    found = judged("lane", ROWS, kept(), Filtered({"lane", "edge"}, {"sight": 4.0, "curve": 3.0, "edge": 2.0}))
    assert found.others == ("sight", "curve", "edge")
    assert found.together == ("lane", "edge")


def test_a_row_that_the_others_do_not_need_is_not_what_keeps_the_limit() -> None:
    """Without ``edge`` it is broken, whether ``lane`` is there or not."""
    drive = Filtered({"edge"}, {"edge": 2.0})
    found = judged("lane", ROWS, kept(), drive)
    assert found.together == ("lane", "edge")
    assert found.by_itself is False
    assert drive.asked[-1] == {"edge"}


class Later(Filtered):
    """``lane`` by itself puts off what comes without any of the two, by ``longer_s``."""

    longer_s = 0.0

    def __call__(self, names: frozenset[str], *, until_s: float, first: bool) -> Watched:
        if names == {"edge"}:
            return Filtered({"edge"}, {}, self._breaks_s + self.longer_s)(names, until_s=until_s, first=first)
        return super().__call__(names, until_s=until_s, first=first)


@pytest.mark.parametrize(("longer_s", "itself"), [(LONGER_S - 0.1, False), (LONGER_S + 0.1, True)])
def test_what_a_row_puts_off_by_a_second_it_keeps_by_itself(longer_s: float, itself: bool) -> None:
    drive = Later({"lane", "edge"}, {"edge": 1.0})
    drive.longer_s = longer_s
    assert judged("lane", ROWS, kept(), drive).by_itself is itself


def test_where_no_row_is_needed_none_is_named() -> None:
    found = judged("distance", ROWS, kept(), Filtered({"another car"}, {"sight": 1.0}))
    assert (found.verdict, found.together) == (NOT_NEEDED, ())


def test_what_comes_late_is_told_of_the_longer_horizon_alone() -> None:
    found = judged("lane", ROWS, kept(), Filtered({"lane"}, {}, breaks_s=SHORT_S + 1.0))
    assert (found.short, found.verdict) == (NOT_NEEDED, CAUSED)


def test_a_limit_that_is_broken_with_the_row_too_has_no_set() -> None:
    drive = Filtered({"lane", "edge"}, {"edge": 1.0})
    assert judged("lane", ROWS, kept(0.2), drive).verdict == NO_HELP
    assert len(drive.asked) == 1


def test_a_watcher_counts_every_row_that_pushes_and_every_limit_that_is_broken() -> None:
    names = ("lane", "edge", "sight")
    limits = {"lane": lambda after: after.room - 0.5, "speed": lambda after: after.force - 10.0}
    watcher = Watcher("lane", limits, PERIOD)
    for room, pushes in ((0.1, (0.0, 0.2, 0.3)), (0.4, (0.0, 0.0, 0.3)), (0.6, (0.0, 0.0, 0.0))):
        barriers = tuple(BarrierState(name, 1.0, 0.0, push) for name, push in zip(names, pushes, strict=True))
        tick = Tick(Command(0, (), np.empty(0)), Mode.NORMAL, (0.0, 0.0), (0.0, 0.0), barriers, "sight")
        watcher.see(tick, After(TRUTH, room, 10.0, State()))
    seen = watcher.seen()
    assert seen.lasted(HORIZON_S) == {"edge": PERIOD, "sight": 2 * PERIOD}
    assert seen.lasted(PERIOD) == {"edge": PERIOD, "sight": PERIOD}
    assert (watcher.over, seen.broken, seen.after_s) == (True, {"lane"}, pytest.approx(3 * PERIOD))
    assert (seen.most(2 * PERIOD), seen.most(3 * PERIOD)) == (pytest.approx(-0.1), pytest.approx(0.1))


TRUTH = Truth(
    stamp=0, x=0.0, y=0.0, z=0.0, yaw=0.0, speed=10.0, acceleration=0.0, yaw_rate=0.1, s=0.0, distance=0.0, laps=0.0,
    offset=0.0, heading=0.0, curvature=np.array([0.01, 0.05]), slope=0.0, wheels_off=False, gap=math.inf, gap_speed=0.0,
    contact=False, contacts=0, limit_excess=0.0, limit_worst="", goal=100.0, camera_ok=True, sink_braking=False,
)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "found", "said"),
    [
        (
            "lane",
            Finding(CAUSED, CAUSED, 1.32, ("edge",), ()),
            "Without it a side of the car is over the lane's edge 1.3 s later; with it that is not so.",
        ),
        (
            "lane",
            Finding(BACKED, BACKED, None, ("edge",), (), ("it", "edge"), 1.32, True),
            "it and edge rows: without both a side of the car is over the lane's edge 1.3 s later, without it alone "
            "that is not so; with it put back it is kept.",
        ),
        (
            "speed",
            Finding(BACKED, BACKED, None, ("sight", "curve"), (), ("it", "sight", "curve"), 2.0, False),
            "it, sight and curve rows: without all 3 the car is faster than its limit 2.0 s later, without it alone "
            "that is not so; with it put back it is broken all the same, so sight and curve kept it.",
        ),
        (
            "distance",
            Finding(NOT_NEEDED, NOT_NEEDED, None, (), ("curve",)),
            "it left a margin for the weakest guaranteed brakes on the steepest slope, and the noise of the range "
            "sensor: in this roll-out its limit would not have been broken without any row, for 10 s or to the end of "
            "the drive. Without it the limit of curve is broken.",
        ),
        ("mine", Finding(WORSE_OFF, NO_HELP, 0.2, (), ()), "With it too h of it is below 0, further without it."),
        (
            "mine",
            Finding(BACKED, BACKED, None, (), ()),
            "Other rows than it keep its limit here; which of them was not found.",
        ),
    ],
)
def test_a_finding_is_told_in_words(kind: str, found: Finding, said: str) -> None:
    told: dict[str, Any] = finding_facts("it", kind, found)
    assert told["sentence"] == said
    assert told["verdict"] == found.verdict


BOUNDS = "the lane estimate errs by its stated bounds and the car is farther out than was seen"


@pytest.mark.parametrize(
    ("kind", "worlds", "said"),
    [
        (
            "lane",
            {BOUND: Finding(NOT_NEEDED, NOT_NEEDED, None, (), ()), WISH: Finding(CAUSED, CAUSED, 1.32, (), ())},
            " Where the policy goes on asking for the same, a side of the car is over the lane's edge 1.3 s later "
            "without it, and not with all rows.",
        ),
        (
            "lane",
            {BOTH: Finding(BACKED, BACKED, None, ("edge",), (), ("it", "edge"), 2.0, True)},
            f" Where {BOUNDS} and the policy goes on asking for the same, a side of the car is over the lane's edge "
            "2.0 s later without it and edge together, and not with all rows.",
        ),
        (
            "distance",
            {name: Finding(NOT_NEEDED, NOT_NEEDED, None, (), ()) for name in (BOUND, WISH)},
            " Neither is it where all others stop at once nor where the policy goes on asking for the same.",
        ),
        ("lane", {BOUND: Finding(NO_HELP, NO_HELP, 0.2, (), ())}, ""),
        ("lane", {}, ""),
    ],
)
def test_worlds_that_a_row_counts_with_are_told_apart_from_the_one_that_is(
    kind: str, worlds: dict[str, Finding], said: str
) -> None:
    spare = Finding(NOT_NEEDED, NOT_NEEDED, None, (), ())
    here, told = finding_facts("it", kind, spare), finding_facts("it", kind, spare, worlds)
    assert told["sentence"] == here["sentence"] + said
    assert told["verdict"] == NOT_NEEDED
    assert [one["world"] for one in told["worlds"]] == list(worlds)
