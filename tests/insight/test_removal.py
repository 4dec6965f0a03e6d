# SPDX-License-Identifier: Apache-2.0
"""An intervention is explained where the limit of its row is broken once the row is left out, and with it is not."""

from __future__ import annotations

import json
import math
import sys
from contextlib import closing
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mujoco")

from tidegate.attack.episode import Episode
from tidegate.insight.intervention import stretches
from tidegate.insight.limits import After, limit_of
from tidegate.insight.removal import Removal, _in_a_copy, _World, removals
from tidegate.insight.together import BACKED, CAUSED, HORIZON_S, NOT_NEEDED, VERDICTS, Finding, Watcher
from tidegate.insight.worlds import BOUND, WISH
from tidegate.records import nanoseconds
from tidegate.robot import GRAVITY, Car
from tidegate.safety import State
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.simulation import EPOCH, Truth

CONFIG, BUNDLE = str(share_path("config/car.yaml")), str(share_path("models/car-ltc19"))
SETTINGS = load_settings(CONFIG)
CAR = Car.from_settings(SETTINGS)
TRUTH = Truth(
    stamp=0, x=0.0, y=0.0, z=0.0, yaw=0.0, speed=10.0, acceleration=0.0, yaw_rate=0.1, s=0.0, distance=0.0, laps=0.0,
    offset=0.0, heading=0.0, curvature=np.array([0.01, 0.05]), slope=0.0, wheels_off=False, gap=math.inf, gap_speed=0.0,
    contact=False, contacts=0, limit_excess=0.0, limit_worst="", goal=100.0, camera_ok=True, sink_braking=False,
)  # fmt: skip
NOW = After(TRUTH, 0.3, 0.0, State())
OUTWARD = Episode(CONFIG, BUNDLE, "road", 1001, "outward", longest_s=2.5)


@pytest.mark.parametrize(
    ("row", "now", "exceeded"),
    [
        ("speed", replace(TRUTH, speed=17.0), 17.0 - SETTINGS.vehicle.speed_max),
        ("curve", TRUTH, 10.0**2 * 0.01 - SETTINGS.vehicle.lateral_acceleration_max),
        ("lateral", replace(TRUTH, yaw_rate=-0.5), 5.0 - SETTINGS.vehicle.lateral_acceleration_max),
        ("distance", replace(TRUTH, gap=0.5), SETTINGS.safety.distance.standstill_gap - 0.5),
        ("distance", replace(TRUTH, gap=20.0, contact=True), SETTINGS.safety.distance.standstill_gap),
        ("distance", TRUTH, -math.inf),
    ],
)
def test_the_truth_tells_by_how_much_a_limit_is_exceeded(row: str, now: Truth, exceeded: float) -> None:
    assert limit_of(row, SETTINGS, CAR)(NOW._replace(truth=now)) == pytest.approx(exceeded)


@pytest.mark.parametrize("row", ["lane", "edge"])
def test_the_lane_is_left_where_a_side_of_the_car_is_over_its_edge(row: str) -> None:
    limit = limit_of(row, SETTINGS, CAR)
    assert limit(NOW) == -0.3
    assert limit(NOW._replace(room=-0.02)) == 0.02


def test_grip_is_used_by_the_force_let_through_and_by_the_bend_together() -> None:
    now = NOW._replace(force=-3.0 * CAR.effective_mass, truth=replace(TRUTH, yaw_rate=0.4))
    share = SETTINGS.safety.traction_share * SETTINGS.vehicle.tyre_friction * GRAVITY
    assert limit_of("traction", SETTINGS, CAR)(now) == pytest.approx(5.0 - share)


def test_what_the_truth_does_not_tell_goes_by_the_barriers_own_h() -> None:
    """Without a lane there is nothing for ``sight`` to hold."""
    assert limit_of("sight", SETTINGS, CAR)(NOW) == -math.inf


def test_stretches_of_one_row_are_one_where_others_interrupt_them_shortly() -> None:
    rows = ["", "lane", "edge", "lane", "", "lane", "edge"]
    stamps = [nanoseconds(at) for at in (0.0, 0.1, 0.15, 0.2, 0.3, 0.5, 0.6)]
    assert stretches(rows, stamps) == [[1, 3], [2], [5], [6]]


def test_what_is_done_in_a_copy_is_not_seen_here() -> None:
    seen: list[int] = []

    def work() -> int:
        seen.append(1)
        return len(seen)

    assert (_in_a_copy(work), _in_a_copy(work), seen) == (1, 1, [])


def test_carried_on_in_a_copy_with_nothing_left_out_an_episode_is_the_same_to_the_bit() -> None:
    with closing(_World(OUTWARD)) as world:
        while world.now < EPOCH + nanoseconds(1.0):
            world.tick()
        copied = _in_a_copy(lambda: world.without("lane", frozenset(), until_s=3.0, first=False))
        watcher = Watcher("lane", world.limits, world.period)
        while world.now < EPOCH + nanoseconds(4.0) and not world.over:
            watcher.see(*world.tick())
    seen = watcher.seen()
    assert np.array_equal(copied.exceeded, seen.exceeded)
    assert copied.lasted(HORIZON_S) == seen.lasted(HORIZON_S) != {}
    assert copied.broken == seen.broken


@pytest.fixture(scope="module")
def outward() -> list[Removal]:
    """Full throttle towards the nearer edge."""
    return removals(OUTWARD)


def test_without_the_row_that_held_it_the_car_leaves_its_lane(outward: list[Removal]) -> None:
    first = outward[0]
    assert first.row in ("lane", "edge")
    assert first.found.verdict == first.found.short == CAUSED
    assert first.found.after_s is not None
    assert 0 < first.found.after_s < HORIZON_S
    assert first.row not in first.found.others
    assert first.begin_s <= first.end_s


def test_the_table_counts_every_intervention_once(outward: list[Removal], monkeypatch: pytest.MonkeyPatch) -> None:
    bench = benchmark(monkeypatch)
    backed = replace(outward[0], found=Finding(BACKED, BACKED, None, ("edge",), (), ("lane", "edge"), 6.0, False))
    unneeded, caused = Finding(NOT_NEEDED, NOT_NEEDED, None, (), ("curve",)), Finding(CAUSED, CAUSED, 1.0, (), ())
    spare = replace(outward[0], found=unneeded, worlds={BOUND: unneeded, WISH: caused})
    told = [("a", outward[0]), ("b", backed), ("b", spare), ("c", replace(spare, row="speed", worlds={WISH: unneeded}))]
    found = bench.groups(told)
    everything = found["all"]
    assert everything["count"] == 4
    assert [everything["verdicts_10_s"][verdict] for verdict in VERDICTS] == [1, 0, 1, 2, 0]
    shares = [everything[name]["share"] for name in bench.MEASURES]
    assert shares == [0.25, 0.25, 0.25, 0.5, 0.25, 0.5, 0.75]
    assert everything["worlds"][BOUND] == {"driven": 1, NOT_NEEDED: 1}
    assert everything["worlds"][WISH] == {"driven": 2, NOT_NEEDED: 1, CAUSED: 1}
    assert everything["set_10_s"]["low"] < 0.5 < everything["set_10_s"]["high"]
    assert everything["sizes"] == {"2": 1}
    assert everything["another_limit"] == 2
    assert found["speed"]["count"] == 1
    told_of = bench.tell({"groups": found, "driven": 3, "asked": 112, "every": 3, "interventions_in": 3})
    assert told_of.startswith("## Explained interventions\n\n3 of 112 hostile episodes")
    assert told_of.count("| all |") == 4


def test_what_is_kept_is_gone_on_from_with_the_same_options_alone(
    outward: list[Removal], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bench, options = benchmark(monkeypatch), {"first_seed": 5000, "seconds": 10.0, "every": 3}
    monkeypatch.setattr(bench, "FIGURES", tmp_path)
    assert bench.kept(options) == ([], [])
    told = [("a", replace(one, worlds={BOUND: one.found})) for one in outward]
    figures = bench.figures_of(options, 112, ["a", "b"], told)
    (tmp_path / "counterfactual.json").write_text(json.dumps(figures), "utf-8")
    assert bench.kept(options) == (["a", "b"], told)
    assert bench.kept(options | {"every": 1}) == ([], [])


def test_every_scene_meets_every_adversary_on_a_road_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = benchmark(monkeypatch).episodes(5000, 10.0)
    assert len({(one.scene, one.adversary) for one in asked}) == len({one.seed for one in asked}) == len(asked) > 100
    assert {one.sensors for one in asked} == {"exact", "wrong", "failing"}
    assert not any(one.camera for one in asked)
    assert len({one.scene for one in asked[:16]}) > 3
    assert len({one.adversary for one in asked[:16]}) > 8


def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    """benchmarks/counterfactual.py, which is no package."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    monkeypatch.delitem(sys.modules, "common", raising=False)  # examples have one too
    return import_module("counterfactual")
