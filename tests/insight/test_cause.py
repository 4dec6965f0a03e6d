# SPDX-License-Identifier: Apache-2.0
"""What moves the wheel: figures from made-up effects, and interventions on a real drive of the shipped network."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tidegate.insight.cause import LINES, ROAD, VEGETATION, WAYS, Effect, findings
from tidegate.insight.moments import clustered

FULL = (5000.0, 0.1)


def effect(
    way: str, curvature: float, force: float = 0.0, seed: int = 1, moment: int = 0, altered: float = 0.1
) -> Effect:
    return Effect("road", seed, moment, way, 0.0, None, altered, force, curvature, 0.0, curvature / 2)


def row(told: dict, way: str) -> dict:
    return next(one for one in told["ways"] if one["way"] == way)


def test_changes_are_absolute_and_in_percent_of_full_scale() -> None:
    told = findings([effect(LINES, 0.01, 500.0), effect(LINES, -0.03, -500.0, moment=1)], FULL)
    assert row(told, LINES)["curvature"][0] == pytest.approx(20.0)
    assert row(told, LINES)["curvature_signed"][0] == pytest.approx(-10.0)
    assert row(told, LINES)["force"][0] == pytest.approx(10.0)
    assert row(told, LINES)["command"][0] == pytest.approx(15.0)
    assert row(told, LINES)["command_at_once"][0] == pytest.approx(5.0)


def test_a_moment_in_which_nothing_of_it_is_seen_does_not_count() -> None:
    told = findings([effect(LINES, 0.01), effect(LINES, 0.0, moment=1, altered=0.001)], FULL)
    assert row(told, LINES)["moments"] == 1
    assert row(told, LINES)["curvature"][0] == pytest.approx(10.0)
    assert findings([effect(LINES, 0.01, altered=0.0)], FULL)["ways"] == []


def test_the_ratio_is_that_of_the_moments_in_which_both_are_seen() -> None:
    effects = [effect(VEGETATION, 0.001), effect(LINES, 0.02), effect(ROAD, 0.04)]
    effects += [effect(VEGETATION, 0.05, moment=1, altered=0.0), effect(LINES, 0.02, moment=1)]
    ratios = findings(effects, FULL)["ratios"]
    lines = ratios[f"{VEGETATION} / {LINES}"]
    assert lines["moments"] == 1
    assert lines["command"] == pytest.approx((0.05, 0.05, 0.05))
    assert "force" not in lines, "the lines did not move it"
    assert ratios[f"{VEGETATION} / {ROAD}"]["curvature"][0] == pytest.approx(0.025)


def test_the_interval_is_over_worlds_since_moments_of_one_are_alike() -> None:
    values = np.repeat([1.0, 3.0, 5.0, 7.0], 25)
    mean, low, high = clustered(values, np.repeat([1, 2, 3, 4], 25).tolist())
    alone = clustered(values, list(range(100)))
    assert mean == alone[0] == 4.0
    assert high - low > 2 * (alone[2] - alone[1])
    assert clustered(values, [1] * 100) == (4.0, 4.0, 4.0)


@pytest.mark.slow
def test_the_road_moves_the_wheel_and_noise_does_not(tmp_path: Path) -> None:
    """One moment on a road of the tests: the sign of a shift is that of the road, the rest is figures in a folder."""
    from tidegate.cli.app import app

    out = tmp_path / "cause"
    words = ["cause", "--scene", "road", "--seeds", "1001", "--moments", "1", "--processes", "1", "--out", str(out)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    with (out / "cause.csv").open(encoding="utf-8") as file:
        rows = {one["way"]: one for one in csv.DictReader(file)}
    assert len(rows) == len(WAYS)
    told = json.loads((out / "cause.json").read_text("utf-8"))
    by_way = {one["way"]: one for one in told["ways"]}
    noise = by_way["other noise"]["curvature"][0]
    shifted = by_way["road and lines 0.5 m to the left"]["curvature_signed"][0]
    assert shifted > 5 * noise, "the car follows the road to the left"
    assert by_way[ROAD]["command"][0] > 5 * by_way["other noise"]["command"][0]
    assert float(rows[VEGETATION]["curvature"]) / told["full_scale"]["curvature [1/m]"] * 100 == pytest.approx(
        by_way[VEGETATION]["curvature_signed"][0]
    )
    assert (out / "cause.svg").read_text("utf-8").startswith("<svg")
    assert (out / "road.png").read_bytes()[1:4] == b"PNG"
