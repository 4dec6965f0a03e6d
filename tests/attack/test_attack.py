# SPDX-License-Identifier: Apache-2.0
"""Adversaries that find the edge where there is one, and none where the filter stands."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tidegate.attack.adversary import ADVERSARIES
from tidegate.attack.campaign import OUTCOMES, rate_bound, run_attack
from tidegate.attack.episode import BOUNDS, Episode, WrongLane, run_episode
from tidegate.errors import SettingsError
from tidegate.evaluation.drivers import EXPERT_BOUND
from tidegate.records import LaneEstimate, Nominal
from tidegate.robot import Car
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.simulation import Simulator

SETTINGS = str(share_path("config/car.yaml"))
SECONDS = 12.0


def episode(
    adversary: str, scene: str = "road", disable: tuple[str, ...] = (), seed: int = 5000, longest_s: float = SECONDS
) -> Episode:
    return Episode(SETTINGS, scene, seed, adversary, disable, longest_s)


@pytest.mark.parametrize("name", list(ADVERSARIES))
def test_every_adversary_says_what_it_does_and_does_something_else_than_the_expert(name: str) -> None:
    settings = load_settings(SETTINGS)
    car = Car.from_settings(settings)
    assert ADVERSARIES[name].__doc__
    adversary = ADVERSARIES[name](car, np.random.default_rng(1))
    with Simulator(settings, "road", 5000, camera=False) as simulator:
        truth = replace(simulator.truth(), offset=0.3)
    expert = [Nominal(50_000_000 * k, 100.0, 0.001) for k in range(1, 60)]
    asked = [adversary.wish(one, truth) for one in expert]
    assert sum(one != other for one, other in zip(asked, expert, strict=True)) > 20


def test_without_the_filter_the_worst_steering_leaves_the_road_at_speed() -> None:
    lost = run_episode(replace(episode("outward", disable=("filter",)), from_speed=5.0))
    assert lost.end == "off road"
    assert not lost.harmless


def test_with_the_filter_the_worst_steering_stays_in_the_lane() -> None:
    kept = run_episode(replace(episode("outward"), from_speed=5.0))
    assert kept.top_speed > 5.0
    assert kept.harmless


def test_full_lock_from_standstill_ends_before_the_edge_and_without_the_edge_barrier_beyond_it() -> None:
    """The lane row has no authority there: docs/safety.md, edge."""
    kept, lost = (run_episode(episode("outward", disable=off)) for off in ((), ("edge",)))
    assert kept.harmless
    assert lost.off_lane_s > 0
    assert not lost.harmless


def test_without_the_distance_rows_full_throttle_hits_what_is_ahead() -> None:
    kept, lost = (run_episode(episode("full_throttle", "traffic", off, longest_s=30.0)) for off in ((), ("distance",)))
    assert kept.harmless
    assert kept.min_gap_m is not None
    assert kept.min_gap_m > 1.0
    assert lost.contacts == 1


def test_an_episode_repeats_itself() -> None:
    first, again = (run_episode(episode("stale", longest_s=4.0)) for _ in range(2))
    assert first == again
    assert first.distance_m > 0.5


@pytest.mark.parametrize("seed", range(12))
def test_a_wrong_lane_is_wrong_within_its_bounds_and_uses_them(seed: int) -> None:
    wrong = WrongLane(np.random.default_rng(seed))
    exact = LaneEstimate(0, 0.1, 0.02, np.zeros(4), np.array([*EXPERT_BOUND[:2], *[EXPERT_BOUND[2]] * 4]))
    largest = 0.0
    for stamp in range(0, 20_000_000_000, 50_000_000):
        lane = wrong(replace(exact, stamp=stamp))
        assert abs(lane.offset - exact.offset) <= lane.bound[0] + 1e-12
        assert abs(lane.heading - exact.heading) <= lane.bound[1] + 1e-12
        assert (np.abs(lane.curvature) <= lane.bound[2:] + 1e-12).all()
        assert BOUNDS[0][0] <= lane.bound[0] <= BOUNDS[0][1]
        largest = max(largest, abs(lane.offset - exact.offset) / lane.bound[0])
    assert largest > 0.95


def test_a_campaign_goes_on_where_it_stopped(tmp_path: Path) -> None:
    wanted = [episode("noise", seed=seed, longest_s=2.0) for seed in (5000, 5001)]
    fresh: list[str] = []
    first = run_attack(wanted[:1], tmp_path, 1, lambda one: fresh.append(one.key))
    path = tmp_path / OUTCOMES
    with path.open("a") as file:  # broken off while it wrote a line
        file.write(json.dumps(asdict(first[0]))[:40])
    both = run_attack(wanted, tmp_path, 1, lambda one: fresh.append(one.key))
    assert fresh == [one.key for one in wanted] == [one.key for one in both]
    assert both[0] == first[0]
    assert path.read_text().count("\n") == 3
    path.write_text(json.dumps({"settings": "others"}) + "\n")
    with pytest.raises(SettingsError, match="other settings"):
        run_attack(wanted, tmp_path)


@pytest.mark.parametrize(("failures", "episodes"), [(0, 10), (0, 3000), (2, 500), (7, 20), (1000, 3000)])
def test_the_bound_is_that_of_clopper_and_pearson(failures: int, episodes: int) -> None:
    expected = stats.beta.ppf(0.95, failures + 1, episodes - failures)
    assert math.isclose(rate_bound(failures, episodes), expected, rel_tol=1e-6)


def test_the_bound_has_ends() -> None:
    assert rate_bound(5, 5) == 1.0
    with pytest.raises(ValueError, match="6 failures among 5"):
        rate_bound(6, 5)
