# SPDX-License-Identifier: Apache-2.0
"""The policy's clock: late, doubled, dropped and reversed frames, values that are none."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tidegate.liquid import LiquidPolicy, compiled
from tidegate.records import Decision, Features, Odometry
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.stack import Stack

CAR = load_settings(share_path("config/car.yaml"))
PERIOD = 50_000_000
BUNDLE = Stack.from_settings(CAR, 3).to_bundle("clock", CAR, 1200.0)


def fresh() -> LiquidPolicy:
    return LiquidPolicy(BUNDLE, CAR)


def values(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=32).astype(np.float32)


def step(policy: LiquidPolicy, stamp: int, seed: int = 0, speed: float = 8.0) -> Decision:
    return policy.step(Features(stamp, values(seed)), Odometry(stamp, 0.0, 0.0, 0.0, speed, 0.0))


def same(one: Decision, other: Decision) -> bool:
    return one.nominal == other.nominal and one.gains == other.gains and np.array_equal(one.neurons, other.neurons)


def test_only_differences_of_stamps_matter() -> None:
    early, late = fresh(), fresh()
    for k in range(10):
        a, b = step(early, k * PERIOD, k), step(late, 10**18 + k * PERIOD, k)
        np.testing.assert_array_equal(a.neurons, b.neurons)


def test_a_longer_step_moves_further_towards_where_the_neurons_settle() -> None:
    settled = fresh()
    for k in range(400):
        goal = step(settled, k * PERIOD)
    gaps = []
    for period in (PERIOD, 2 * PERIOD, 5 * PERIOD):
        policy = fresh()
        step(policy, 0)
        gaps.append(np.linalg.norm(step(policy, period).neurons - goal.neurons))
    assert gaps[0] > gaps[1] > gaps[2]


def test_a_doubled_frame_changes_nothing() -> None:
    policy, reference = fresh(), fresh()
    for k in range(5):
        once = step(reference, k * PERIOD, k)
        assert same(step(policy, k * PERIOD, k), once)
        assert same(step(policy, k * PERIOD, k + 100), once)


@pytest.mark.parametrize("late", [PERIOD, 2 * PERIOD, int(CAR.policy.dt_max_s * 1e9)])
def test_a_frame_that_comes_after_a_later_one_is_not_commanded_and_forgets_nothing(late: int) -> None:
    policy, reference = fresh(), fresh()
    for k in range(5):
        newest = step(policy, k * PERIOD, k)
        step(reference, k * PERIOD, k)
    assert math.isnan(step(policy, 4 * PERIOD - late, 9).nominal.curvature)
    assert same(step(policy, 4 * PERIOD, 4), newest), "the newest once more"
    assert same(step(policy, 5 * PERIOD, 5), step(reference, 5 * PERIOD, 5))


@pytest.mark.parametrize(
    "jump", [-int(CAR.policy.dt_max_s * 1e9) - 1, -(10**15), int(CAR.policy.dt_max_s * 1e9) + 1, 10**15]
)
def test_time_that_jumps_resets_the_state(jump: int) -> None:
    policy = fresh()
    for k in range(5):
        step(policy, k * PERIOD, k)
    np.testing.assert_array_equal(step(policy, 4 * PERIOD + jump, 9).neurons, step(fresh(), 0, 9).neurons)


def test_the_longest_gap_allowed_keeps_the_state() -> None:
    policy = fresh()
    for k in range(5):
        step(policy, k * PERIOD, k)
    kept = step(policy, 4 * PERIOD + int(CAR.policy.dt_max_s * 1e9), 9)
    assert not np.array_equal(kept.neurons, step(fresh(), 0, 9).neurons)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_not_commanded_and_not_remembered(bad: float) -> None:
    policy, reference = fresh(), fresh()
    for each in (policy, reference):
        before = step(each, 0, 1)
    refused = step(policy, PERIOD, 2, speed=bad)
    spoilt = values(3)
    spoilt[7] = bad
    also = policy.step(Features(2 * PERIOD, spoilt), Odometry(0, 0.0, 0.0, 0.0, 8.0, 0.0))
    for decision, stamp in ((refused, PERIOD), (also, 2 * PERIOD)):
        assert decision.nominal.stamp == stamp
        assert math.isnan(decision.nominal.force)
        assert math.isnan(decision.nominal.curvature)
        assert decision.gains.values == before.gains.values
        np.testing.assert_array_equal(decision.neurons, before.neurons)
    # The next good frame is one longer step, as if the bad ones had been dropped.
    assert same(step(policy, 3 * PERIOD, 4), step(reference, 3 * PERIOD, 4))


@pytest.mark.parametrize("native", [True, False])
def test_values_too_large_for_their_sums_are_not_remembered(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not native:
        monkeypatch.setattr(compiled, "native", None)
    closed = replace(CAR, policy=replace(CAR.policy, cell="cfc"))
    bundle = Stack.from_settings(closed, 3).to_bundle("large", closed, 1200.0)
    name = "liquid.cell.weight"
    policy = LiquidPolicy(replace(bundle, arrays={**bundle.arrays, name: 1e4 * bundle.arrays[name]}), closed)
    before = step(policy, 0, 1)
    with np.errstate(all="ignore"):
        refused = step(policy, PERIOD, 2, speed=1e308)
    assert math.isnan(refused.nominal.force)
    np.testing.assert_array_equal(refused.neurons, before.neurons)
    assert math.isfinite(step(policy, 2 * PERIOD, 3).nominal.force)


def test_another_number_of_features_is_not_commanded() -> None:
    found = fresh().step(Features(0, np.zeros(5, np.float32)), Odometry(0, 0.0, 0.0, 0.0, 1.0, 0.0))
    assert math.isnan(found.nominal.force)


def test_reset_forgets_everything() -> None:
    policy = fresh()
    first = step(policy, 0, 1)
    step(policy, PERIOD, 2)
    policy.reset()
    assert same(step(policy, 0, 1), first)


def test_decisions_are_not_changed_afterwards() -> None:
    policy = fresh()
    first = step(policy, 0, 1)
    kept = first.neurons.copy()
    step(policy, PERIOD, 2)
    np.testing.assert_array_equal(first.neurons, kept)
