# SPDX-License-Identifier: Apache-2.0
"""Lesions are driven, compared and ranked: short drives of the shipped network, and drives made by formulas."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tidegate.evaluation.metrics import Trace
from tidegate.insight.lesion import INTACT, STEP_M, Outcome, by_way, command_change, damage
from tidegate.insight.ranking import agreement, findings, heaviest
from tidegate.share import share_path

HALF_WIDTH = 1.75
MODEL = share_path("models/car-ltc19")


def outcome(lesion: str = INTACT, seed: int = 1, filtered: bool = False, **changed) -> Outcome:
    values = {
        "scene": "road",
        "seed": seed,
        "lesion": lesion,
        "filtered": filtered,
        "longest_s": 20.0,
        "end": "time limit",
        "duration_s": 20.0,
        "distance_m": 198.0,
        "contacts": 0,
        "limit_violations": 0,
        "off_lane_s": 0.0,
        "off_road_s": 0.0,
        "min_gap_m": None,
        "offset": [0.1] * 100,
        "speed": [10.0] * 100,
        "replayed": {},
    }
    return Outcome(**(values | changed))


def test_the_same_drive_is_no_damage_and_one_that_stands_is_all_but_whole() -> None:
    assert damage(outcome("inter 1"), outcome(), HALF_WIDTH) == 0.0
    assert damage(outcome("inter 1", offset=[0.1], speed=[10.0]), outcome(), HALF_WIDTH) == pytest.approx(0.99)


def test_damage_weighs_offset_and_speed_alike_and_each_at_most_once() -> None:
    aside = outcome("inter 1", offset=[0.1 + HALF_WIDTH / 2] * 100)
    slow = outcome("inter 1", speed=[5.0] * 100)
    far = outcome("inter 1", offset=[40.0] * 100)
    assert damage(aside, outcome(), HALF_WIDTH) == pytest.approx(0.25)
    assert damage(slow, outcome(), HALF_WIDTH) == pytest.approx(0.25)
    assert damage(far, outcome(), HALF_WIDTH) == pytest.approx(0.5)


def test_drives_are_compared_by_place_and_not_by_time() -> None:
    """A car that waits first and then drives the same line at the same speed is the same drive."""

    def trace(waits: int) -> Trace:
        way = np.concatenate([np.zeros(waits), np.arange(0.0, 40.0, 0.5)])
        none = np.zeros(len(way))
        return Trace(
            period=0.05,
            distance=way,
            lane_error=np.sin(way / 10),
            speed=np.full(len(way), 10.0),
            yaw_rate=none,
            gap=none + math.inf,
            contact=none > 0,
            wheels_off=none > 0,
            room=none,
            violations=np.zeros(len(way), np.int64),
        )

    for one, other in zip(by_way(trace(0)), by_way(trace(77)), strict=True):
        np.testing.assert_allclose(one, other)
        assert len(one) == 20
    np.testing.assert_allclose(by_way(trace(5))[0], np.sin(np.arange(0, 40, STEP_M) / 10), atol=1e-3)


def test_the_change_of_a_command_is_in_its_own_standard_deviations() -> None:
    before = np.array([[-100.0, -0.02], [100.0, 0.02]] * 10)
    curvature, acceleration = command_change(before, before + [50.0, 0.04])
    assert curvature == pytest.approx(2.0)
    assert acceleration == pytest.approx(0.5)


def campaign(effect: float = 0.1, noise: float = 0.0) -> list[Outcome]:
    """Four roads; neuron k is worth ``effect`` · k [m], and ``noise`` [m] is what chance does on each road."""
    random = np.random.default_rng(0)
    made = []
    for seed in range(4):
        made.append(outcome(seed=seed, replayed={f"inter {k}": [k / 10, 0.0] for k in range(10)}))
        for k in range(10):
            aside = [0.1 + effect * k + noise * random.uniform(-1, 1)] * 100
            made.append(outcome(f"inter {k}", seed, offset=aside))
    return made


def test_a_ranking_that_each_road_repeats_agrees_with_itself() -> None:
    told = findings(campaign(), HALF_WIDTH)
    assert [row["lesion"] for row in told["lesions"][:3]] == ["inter 9", "inter 8", "inter 7"]
    assert told["lesions"][-1]["damage"] == 0.0
    assert told["agreement"]["damage"] == pytest.approx(1.0)
    assert told["agreement"]["neurons_replayed"] == pytest.approx(1.0)
    assert told["agreement"]["damage_and_replayed"] == pytest.approx(1.0)
    assert told["agreement"]["synapses_replayed"] is None, "no synapse was replayed"


def test_a_ranking_of_chance_does_not_agree_with_itself() -> None:
    assert abs(findings(campaign(effect=0.0, noise=1.0), HALF_WIDTH)["agreement"]["damage"]) < 0.6
    assert agreement(np.zeros(5), np.arange(5.0)) is None


def test_one_road_alone_has_nothing_to_agree_with() -> None:
    assert findings(campaign()[:11], HALF_WIDTH)["agreement"]["damage"] is None


def test_harm_behind_the_filter_is_counted_and_named() -> None:
    harmed = outcome("inter 2", 7, True, contacts=1, off_lane_s=0.3)
    told = findings([outcome("inter 2", 6, True), harmed], HALF_WIDTH)["lesions"][0]
    assert (told["safe"], told["driven"]) == (1, 2)
    assert told["harmed"] == {"road 7": ["contact", "lane"]}
    assert told["damage"] is None, "nothing was driven without the filter"


def test_the_synapses_that_change_the_command_most_are_chosen() -> None:
    intact = outcome(replayed={"a > b": [0.1, 0.9], "c > d": [0.5, 0.0], "inter 1": [3.0, 0.0], "e > f": [0.0, 0.1]})
    assert heaviest([intact], ["a > b", "c > d", "e > f"], 2) == ["a > b", "c > d"]


@pytest.mark.slow
def test_a_campaign_is_driven_told_and_gone_on_with(tmp_path: Path) -> None:
    from tidegate.cli.app import app

    out = tmp_path / "lesion"
    words = [
        "lesion",
        str(MODEL),
        "--scene",
        "road",
        "--seeds",
        "1000",
        "--seconds",
        "2",
        "--synapses",
        "1",
        "--processes",
        "1",
    ]
    words += ["--filter", "off", "--out", str(out)]
    first = CliRunner().invoke(app, words)
    assert first.exit_code == 0, first.output
    lines = (out / "lesion.jsonl").read_text("utf-8").splitlines()
    assert len(lines) == 1 + 20 + 1, "facts, the whole network and nineteen without a neuron, one without a synapse"
    told = json.loads((out / "lesion.json").read_text("utf-8"))
    by_name = {row["lesion"]: row for row in told["lesions"]}
    assert by_name["none"]["damage"] == 0.0
    assert by_name["acceleration"]["damage"] >= by_name["command 4"]["damage"]
    assert by_name["curvature"]["curvature_change"] > 0.0 == by_name["acceleration"]["curvature_change"]
    assert (out / "lesion.svg").read_text("utf-8").startswith("<svg")
    second = CliRunner().invoke(app, words)
    assert second.exit_code == 0, second.output
    assert (out / "lesion.jsonl").read_text("utf-8").splitlines() == lines, "nothing was driven twice"


def test_a_filter_that_is_neither_on_nor_off_is_refused(tmp_path: Path) -> None:
    from tidegate.cli.app import app

    result = CliRunner().invoke(app, ["lesion", "--filter", "half", "--out", str(tmp_path / "x")])
    assert result.exit_code != 0
    assert "--filter is 'half'" in str(result.exception)
    assert not (tmp_path / "x").exists()
