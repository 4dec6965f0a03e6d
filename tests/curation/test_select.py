# SPDX-License-Identifier: Apache-2.0
"""The choice among windows, whatever they show."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tidegate.curation import distance
from tidegate.curation.distance import nearest, squared
from tidegate.curation.plan import VERDICTS, verdict_of
from tidegate.curation.rules import Rules
from tidegate.curation.select import duplicates, inconsistent, joint, select, spread, strata_of
from tidegate.curation.windows import WindowTable, tile

RULES = Rules()
FEW = settings(max_examples=60, deadline=None)


def table(points: NDArray[np.float64], asked: NDArray[np.float64] | None = None, lasts: float = 1.6) -> WindowTable:
    """Windows with these views (N, D), actions (N, 4) and no figures to tell them apart; each lasts a little longer
    than the one before."""
    count = len(points)
    number = np.arange(count, dtype=np.int32)
    return WindowTable(
        bag=np.zeros(count, np.int32),
        frame=32 * number,
        length=np.full(count, 32, np.int32),
        at=(1.6 * number).astype(np.float32),
        lasts=(lasts + 0.01 * number).astype(np.float32),
        view=np.asarray(points, np.float32),
        action=np.zeros((count, 4), np.float32) if asked is None else np.asarray(asked, np.float32),
        figures=np.zeros((count, 7), np.float32),
        ruled_out=("",) * count,
    )


def drawn(count: int, seed: int) -> WindowTable:
    """``count`` windows, some alike, of all sorts of turns, light and speed, some ruled out."""
    random = np.random.default_rng(seed)
    made = table(random.normal(0, 0.5, (count, 3)), random.normal(0, 3, (count, 4)))
    figures = random.normal(0, (0.01, 0.01, 1, 1, 5, 5, 60), (count, 7)).astype(np.float32)
    out = tuple("stationary: drawn" if one < 0.2 else "" for one in random.random(count))
    return WindowTable(made.bag, made.frame, made.length, made.at, made.lasts, made.view, made.action, figures, out)


@given(st.lists(st.sampled_from([0.05, 0.1, 0.6]), min_size=1, max_size=80), st.integers(4, 20))
def test_every_frame_is_in_exactly_one_window_and_no_window_has_a_pause(steps: list[float], window: int) -> None:
    stamp = np.concatenate([[0], np.cumsum(np.rint(np.array(steps) * 1e9))]).astype(np.int64)
    places = list(tile(stamp, window))
    frames = [np.arange(first, first + length) for first, length, _ in places]
    assert np.concatenate(frames).tolist() == list(range(len(stamp)))
    for inside, (_, length, short) in zip(frames, places, strict=True):
        assert (np.diff(stamp[inside]) <= 500_000_000).all()
        assert (length == window) == (short == "")


@FEW
@given(st.integers(1, 80), st.integers(0, 10**6), st.floats(0, 100))
def test_the_budget_is_never_exceeded_and_every_window_has_one_verdict(count: int, seed: int, budget: float) -> None:
    windows = drawn(count, seed)
    found = select(windows, budget, RULES, ["bag"])
    assert len(found) == count
    assert {verdict_of(one) for one in found} <= set(VERDICTS)
    assert [one for one, before in zip(found, windows.ruled_out, strict=True) if before] == [
        before for before in windows.ruled_out if before
    ]
    kept = np.array([verdict_of(one) == "kept" for one in found])
    over = np.array([verdict_of(one) == "budget" for one in found])
    assert windows.lasts[kept].astype(float).sum() <= budget + 1e-9
    if over.any():  # nothing is left out while it would fit
        assert windows.lasts[kept].astype(float).sum() + windows.lasts[over].max() > budget


@FEW
@given(st.integers(2, 60), st.integers(0, 10**6))
def test_no_two_that_are_kept_are_duplicates_and_each_duplicate_is_near_one_that_is_not(count: int, seed: int) -> None:
    windows = drawn(count, seed)
    among = np.arange(count)
    found = duplicates(windows, among, RULES, ["bag"])
    points = joint(windows, among)
    left = np.setdiff1d(among, list(found))
    apart = np.sqrt(squared(points[left], points[left]))
    np.fill_diagonal(apart, np.inf)
    assert apart.min(initial=np.inf) >= RULES.duplicate - 1e-3
    for index in found:
        assert nearest(points[[index]], points[left])[1][0] <= RULES.duplicate + 1e-3


@FEW
@given(st.integers(2, 40), st.integers(0, 10**6))
def test_blocks_change_nothing(count: int, seed: int) -> None:
    windows, among = drawn(count, seed), np.arange(count)
    at_once = duplicates(windows, among, RULES, ["bag"]), inconsistent(windows, among, RULES, ["bag"])
    whole, distance.ENTRIES = distance.ENTRIES, 3 * count  # three rows at a time
    try:
        found = duplicates(windows, among, RULES, ["bag"]), inconsistent(windows, among, RULES, ["bag"])
    finally:
        distance.ENTRIES = whole
    assert [set(one) for one in found] == [set(one) for one in at_once]


@FEW
@given(st.integers(4, 9), st.integers(1, 3), st.integers(0, 10**6))
def test_no_window_is_more_than_twice_as_far_from_what_is_kept_as_it_must_be(
    count: int, centres: int, seed: int
) -> None:
    """Gonzalez 1985, theorem 2.2: greedy k-centre is at most twice as bad as the best choice of k."""
    windows = table(np.random.default_rng(seed).normal(0, 5, (count, 2)))
    found = spread(windows, np.arange(count), centres * 1.75, RULES, ["bag"])
    kept = [index for index, why in found.items() if verdict_of(why) == "kept"]
    assert len(kept) == centres
    apart = np.sqrt(squared(joint(windows, np.arange(count)), joint(windows, np.arange(count))))
    best = min(apart[:, list(chosen)].min(axis=1).max() for chosen in combinations(range(count), centres))
    assert apart[:, kept].min(axis=1).max() <= 2 * best + 1e-3


def test_kinds_of_driving_share_the_budget_by_the_root_of_their_length() -> None:
    random = np.random.default_rng(0)
    made = table(random.normal(0, 5, (100, 3)))
    made.figures[:90, 4:6] = 10.0  # 90 fast windows, 10 slow ones
    kinds = strata_of(made, np.arange(100), RULES)
    assert {name: len(places) for name, places in kinds.items()} == {
        "straight, middling, slow": 10,
        "straight, middling, fast": 90,
    }
    found = spread(made, np.arange(100), 16 * 2.0, RULES, ["bag"])
    kept = np.array([index for index, why in found.items() if verdict_of(why) == "kept"])
    fast, slow = int((kept < 90).sum()), int((kept >= 90).sum())
    assert 2 < fast / slow < 4.5  # √9 = 3, and the slow ones last longer here


def test_left_is_where_curvature_is_positive() -> None:
    made = table(np.zeros((3, 2)))
    made.figures[:, 0:2] = [[0.02, 0.02], [-0.02, -0.02], [0.0, 0.0]]
    kinds = {name.partition(",")[0]: places.tolist() for name, places in strata_of(made, np.arange(3), RULES).items()}
    assert kinds == {"left": [0], "right": [1], "straight": [2]}
