# SPDX-License-Identifier: Apache-2.0
"""Adversaries that find the edge where there is one, and none where the filter stands."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tidegate.attack import campaign
from tidegate.attack.adversary import ADVERSARIES
from tidegate.attack.campaign import OUTCOMES, rate_bound, run_attack
from tidegate.attack.driver import HostileDriver
from tidegate.attack.episode import Episode, run_episode
from tidegate.attack.fault import Changed, faults
from tidegate.attack.outcome import Outcome
from tidegate.errors import SettingsError
from tidegate.evaluation.drivers import EXPERT_BOUND, ExpertDriver
from tidegate.evaluation.metrics import End
from tidegate.evaluation.pilot import Tamper
from tidegate.evaluation.rollout import Task, roll
from tidegate.records import LaneEstimate, Nominal, seconds
from tidegate.robot import Car
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.simulation import Simulator

SETTINGS, BUNDLE = str(share_path("config/car.yaml")), str(share_path("models/car-ltc19"))
SECONDS = 10.0
FLATTER = 0.004


def episode(
    adversary: str, scene: str = "road", disable: tuple[str, ...] = (), seed: int = 5000, longest_s: float = SECONDS
) -> Episode:
    return Episode(SETTINGS, BUNDLE, scene, seed, adversary, longest_s=longest_s, disable=disable)


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
    assert {"lane", "road"} <= set(lost.violations)
    assert (lost.margin <= 0.0, lost.excused) == (True, False)


def test_with_the_filter_the_worst_steering_stays_in_the_lane() -> None:
    kept = run_episode(replace(episode("outward"), from_speed=5.0))
    assert kept.top_speed > 5.0
    assert kept.harmless
    assert 0.0 < kept.margin < 1.0


def test_full_lock_from_standstill_ends_before_the_edge_and_without_the_edge_barrier_beyond_it() -> None:
    """The lane row has no authority there: docs/safety.md, edge."""
    kept, lost = (run_episode(episode("outward", disable=off)) for off in ((), ("edge",)))
    assert kept.harmless
    assert lost.off_lane_s > 0
    assert not lost.harmless


def test_without_the_distance_rows_full_throttle_hits_what_is_ahead() -> None:
    kept, lost = (run_episode(episode("full_throttle", "lead_brakes", off)) for off in ((), ("distance",)))
    assert kept.harmless
    assert kept.min_gap_m is not None
    assert kept.min_gap_m > 1.0
    assert (lost.contacts, lost.violations["contact"]) == (1, [])


def test_ten_times_as_many_commands_as_frames_are_heard() -> None:
    stamps: list[int] = []
    settings = load_settings(SETTINGS)
    with Simulator(settings, "road", 5000, camera=False) as simulator:
        flood = ADVERSARIES["flood"](simulator.car, np.random.default_rng(1))
        driver = HostileDriver(simulator, ExpertDriver(settings, simulator), flood, None, 0.0)
        for _ in range(100):
            _, decision = driver.look(simulator.observe())
            stamps += [decision.nominal.stamp] if decision is not None else []
            simulator.step()
    assert len(set(stamps)) == len(stamps) > 0.9 * 100


def test_a_profile_holds_what_its_plan_says_and_begins_again() -> None:
    car = Car.from_settings(load_settings(SETTINGS))
    plan = tuple(np.linspace(-1, 1, 12).tolist())
    profile = ADVERSARIES["profile"](car, np.random.default_rng(1), plan)
    with Simulator(load_settings(SETTINGS), "road", 5000, camera=False) as simulator:
        truth = simulator.truth()
    asked = [profile.wish(Nominal(7 + 250_000_000 * k, 0.0, 0.0), truth) for k in range(13)]
    pairs = [(one.force, one.curvature) for one in asked if one is not None]
    assert pairs[0] == pairs[1] == pairs[12] == (-abs(car.force_min), -car.curvature_max * abs(plan[1]))
    assert pairs[10] == (plan[10] * car.force_max, car.curvature_max)
    assert len(set(pairs)) == 6


def test_an_episode_repeats_itself() -> None:
    wrong = replace(episode("full_throttle", longest_s=4.0), sensors="wrong")
    first, again = (run_episode(wrong) for _ in range(2))
    assert first == again
    assert first.distance_m > 0.5


def test_a_campaign_goes_on_where_it_stopped(tmp_path: Path) -> None:
    wanted = [episode("noise", seed=seed, longest_s=0.5) for seed in (5000, 5001)]
    fresh: list[str] = []
    first = run_attack(wanted[:1], tmp_path, 1, lambda one: fresh.append(one.key))
    path = tmp_path / OUTCOMES
    with path.open("a") as file:  # broken off while it wrote a line
        file.write(json.dumps(asdict(first[0]))[:40])
    both = run_attack(wanted, tmp_path, 1, lambda one: fresh.append(one.key))
    assert fresh == [one.key for one in wanted] == [one.key for one in both]
    assert both[0] == first[0]
    assert path.read_text().count("\n") == 3
    facts = json.loads(path.read_text().splitlines()[0])
    for other, told in (
        ({"settings": "others"}, "other bundle and other code and other settings than now"),
        (facts | {"code": "others"}, "other code than now"),
    ):
        path.write_text(json.dumps(other) + "\n")
        with pytest.raises(SettingsError, match=f"of {told}; choose another folder"):
            run_attack(wanted, tmp_path)
    path.write_text("no JSON\n")
    with pytest.raises(SettingsError, match="other bundle and other code and other settings"):
        run_attack(wanted, tmp_path)


def test_a_second_run_into_the_same_folder_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    wanted = [episode("noise", seed=seed, longest_s=0.2) for seed in (5000, 5001)]
    refused: list[bool] = []

    def heard(one: Outcome) -> None:
        before = (tmp_path / OUTCOMES).read_bytes()
        with pytest.raises(SettingsError, match=f"{OUTCOMES}: another run is writing it"):
            run_attack(wanted, tmp_path)
        refused.append((tmp_path / OUTCOMES).read_bytes() == before)

    assert len(run_attack(wanted, tmp_path, 1, heard)) == 2
    assert refused == [True, True]


def test_any_line_of_the_code_that_drives_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two copies of the package that differ in one file, or in a name."""
    digests = []
    for name, text in (("one.py", "x = 1\n"), ("one.py", "x = 2\n"), ("two.py", "x = 2\n")):
        folder = tmp_path / f"{len(digests)}"
        (folder / "attack").mkdir(parents=True)
        (folder / name).write_text(text)
        (folder / "notes.txt").write_text(name + text)
        monkeypatch.setattr(campaign, "__file__", str(folder / "attack" / "campaign.py"))
        digests.append(campaign.shared_facts(SETTINGS)["code"])
    assert len(set(digests)) == 3


def test_no_two_episodes_share_a_key_and_one_can_be_driven_again_from_its_line() -> None:
    base = episode("noise")
    others: dict[str, object] = {
        "scene": "truck", "seed": 1, "adversary": "wander", "sensors": "wrong", "longest_s": 2.5, "from_speed": 3.0,
        "camera": True, "disable": ("edge",), "plan": (0.1, -0.25),
    }  # fmt: skip
    made = [base, *(replace(base, **{name: value}) for name, value in others.items())]  # type: ignore[arg-type]
    assert len({one.key for one in made}) == len(made)
    assert set(others) == set(base.facts)
    for one in made:
        assert Episode.of(json.loads(one.key), SETTINGS, BUNDLE) == one


@pytest.mark.parametrize(("failures", "episodes"), [(0, 10), (0, 3000), (2, 500), (7, 20), (1000, 3000)])
def test_the_bound_is_that_of_clopper_and_pearson(failures: int, episodes: int) -> None:
    expected = stats.beta.ppf(0.95, failures + 1, episodes - failures)
    assert math.isclose(rate_bound(failures, episodes), expected, rel_tol=1e-6)


def test_the_bound_has_ends() -> None:
    assert rate_bound(5, 5) == 1.0
    with pytest.raises(ValueError, match="6 failures among 5"):
        rate_bound(6, 5)


def flatter(lane: LaneEstimate) -> LaneEstimate:
    """Every bend a little flatter than it is; that it may be, the bound says."""
    bound = np.array([*EXPERT_BOUND[:2], *[FLATTER] * len(lane.curvature)])
    error = np.clip(-lane.curvature, -FLATTER, FLATTER)
    return replace(lane, curvature=lane.curvature + error, bound=bound)


def test_bends_that_are_seen_flatter_within_their_bound_do_not_carry_the_car_out_of_its_lane() -> None:
    settings = load_settings(SETTINGS)

    def driver(simulator: Simulator) -> HostileDriver:
        throttle = ADVERSARIES["full_throttle"](simulator.car, np.random.default_rng(1))
        return HostileDriver(simulator, ExpertDriver(settings, simulator), throttle, flatter, 5.0)

    log, _, _ = roll(settings, Task(SETTINGS, "", "road", 5001), driver, None, 13.0, camera=False)
    assert not log.trace().off_lane.any()


@pytest.mark.parametrize(("seed", "lost_s", "push"), [(5003, 7.6, 1.0), (5003, 7.6, -1.0), (5002, 15.4, 1.0)])
@pytest.mark.slow
def test_a_lane_remembered_as_wrongly_as_sight_counts_keeps_the_car_inside(
    seed: int, lost_s: float, push: float
) -> None:
    """Full throttle, then image health falls silent: before a bend, and in one, where braking wheels slip."""
    settings = load_settings(SETTINGS)
    counted = settings.safety.lane

    def wrong(lane: LaneEstimate) -> LaneEstimate:
        bound = np.array([0.15, 0.0, *[counted.sight_cap] * len(lane.curvature)])
        bent = lane.curvature - push * counted.sight_cap
        return replace(lane, offset=lane.offset + push * 0.15, curvature=bent, bound=bound)

    def driver(simulator: Simulator) -> HostileDriver:
        throttle = ADVERSARIES["full_throttle"](simulator.car, np.random.default_rng(1))
        return HostileDriver(simulator, ExpertDriver(settings, simulator), throttle, wrong, 5.0)

    def tampered(simulator: Simulator) -> Tamper:
        silent, begun = faults(settings)["health silent"].make(), simulator.now
        turned = Changed(
            "odometry", yaw_rate=lambda rate: rate + push * counted.drift_heading * simulator.truth().speed
        )
        return lambda inputs: turned(silent(inputs) if seconds(inputs.now - begun) >= lost_s else inputs)

    log, end, _ = roll(
        settings, Task(SETTINGS, "", "road", seed), driver, None, lost_s + 5.0, camera=False, tampered=tampered
    )
    assert end is End.STANDING
    assert log.trace().speed.max() > 12.0
    assert not log.trace().off_lane.any()


@pytest.mark.slow
def test_a_lane_that_is_remembered_while_the_camera_is_out_keeps_the_car_inside() -> None:
    lost = Episode(SETTINGS, BUNDLE, "cut_in", 5003, "full_throttle", "failing", 25.0, 5.0)
    assert "lane" not in run_episode(lost).violations


@pytest.mark.slow
def test_a_lane_estimate_that_jumps_within_its_bounds_does_not_let_the_car_out() -> None:
    jumping = Episode(SETTINGS, BUNDLE, "truck_standing", 5002, "outward", "wrong", 30.0, 5.0)
    assert "lane" not in run_episode(jumping).violations


@pytest.mark.parametrize(("seed", "from_speed"), [(5026, 5.0), (5039, 10.0)])
@pytest.mark.slow
def test_a_wish_held_for_long_does_not_creep_out_of_the_lane_with_it(seed: int, from_speed: float) -> None:
    """Full throttle along one path. Without the side slip, the heading's drift and the least gain in the lane rows each
    was outside for more than a second."""
    held = run_episode(Episode(SETTINGS, BUNDLE, "road", seed, "steady", "wrong", 40.0, from_speed))
    assert held.harmless
    assert held.margin > 0.0


@pytest.mark.slow
def test_the_worst_profile_that_a_search_found_keeps_the_wheels_inside() -> None:
    plan = (0.62, 0.082, -0.737, -0.984, -0.453, -0.482, -0.151, -0.372, 0.302, 0.048, -0.21, -0.34)
    found = Episode(SETTINGS, BUNDLE, "road", 5002, "profile", "wrong", 10.0, 6.0, plan=plan)
    assert "lane" not in run_episode(found).violations
