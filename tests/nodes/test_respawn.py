# SPDX-License-Identifier: Apache-2.0
"""At which intervals a node is started again."""

from __future__ import annotations

import pytest

pytest.importorskip("launch_ros")

from tidegate.nodes.respawn import CALM_S, Backoff


def test_a_node_that_dies_again_and_again_is_started_at_longer_and_longer_intervals() -> None:
    backoff, now, delays = Backoff(), 1000.0, []
    for _ in range(8):
        delays.append(backoff.delay("/policy_node", now))
        now += delays[-1] + CALM_S - 1.0  # it lived for nearly a calm minute
    assert delays == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_after_a_calm_minute_the_first_interval_comes_again_however_long_the_last_was() -> None:
    backoff, now = Backoff(), 0.0
    for _ in range(7):
        now += backoff.delay("/policy_node", now)
    assert backoff.delay("/policy_node", now + CALM_S + 1.0) == 1.0
    assert backoff.delay("/policy_node", now + CALM_S + 2.5) == 2.0


def test_each_node_has_intervals_of_its_own() -> None:
    backoff = Backoff()
    assert [backoff.delay("/a", 0.0), backoff.delay("/a", 2.0), backoff.delay("/b", 2.0)] == [1.0, 2.0, 1.0]
