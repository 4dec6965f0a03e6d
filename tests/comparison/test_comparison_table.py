# SPDX-License-Identifier: Apache-2.0
"""The table says what the results say: means and deviations over trainings, failures by name, no winner by default."""

from __future__ import annotations

import math

import pytest

from tidegate.comparison.table import Figure, Told, crashes, interventions, lane_error, laps, table
from tidegate.comparison.training import Trained
from tidegate.comparison.trial import Driven


def trained(architecture: str, seed: int = 0, **changed) -> Trained:
    values = {"title": architecture.upper(), "weights": 10, "train_s": 2.0, "curvature": 0.2, "curvature_zero": 0.9}
    return Trained(architecture, seed, 0.01, 5, **(values | changed))


def driven(architecture: str, seed: int = 0, road: int = 1, filtered: bool = False, **changed) -> Driven:
    values = {"end": "goal", "completed": True, "distance_m": 500.0, "rms_lane_error_m": 0.1}
    return Driven(architecture, seed, 0.01, 5, "clean", "road", road, filtered, 20.0, **(values | changed))


def lost(architecture: str, seed: int = 0, road: int = 1) -> Driven:
    return driven(architecture, seed, road, completed=False, end="off road", rms_lane_error_m=3.0)


def test_figures_are_means_and_deviations_of_what_is_finite() -> None:
    assert Figure.of([1.0, 3.0, math.nan]).text(1) == "2.0 ± 1.4"
    assert Figure.of([0.25]).text(0, 100) == "25"
    assert Figure.of([]).text(1) == "–"


def test_a_training_counts_once_by_the_mean_over_its_roads() -> None:
    roads = [driven("ltc", 0, 1), lost("ltc", 0, 2), driven("ltc", 1, 1), driven("ltc", 1, 2), driven("ltc", 1, 3)]
    found = Told([trained("ltc"), trained("ltc", 1)], roads).figure("ltc", "clean", False, laps)
    assert found.mean == pytest.approx(0.75)
    assert found.sd == pytest.approx(math.sqrt(0.125))


def test_the_lane_error_is_of_completed_laps() -> None:
    standing = driven("ltc", completed=False, end="standing", rms_lane_error_m=0.0)
    assert lane_error([driven("ltc"), lost("ltc"), standing]) == 0.1
    assert math.isnan(lane_error([lost("ltc")]))
    assert crashes([driven("ltc"), lost("ltc"), driven("ltc", completed=False, end="standing")]) == pytest.approx(1 / 3)


def test_interventions_are_told_by_way() -> None:
    assert interventions([driven("ltc", interventions=3), driven("ltc", interventions=0)]) == pytest.approx(3.0)
    assert math.isnan(interventions([driven("ltc", distance_m=0.0)]))


def test_what_failed_is_named_and_counts_nowhere() -> None:
    bad = driven("ltc", 1, error="SettingsError: no network", completed=False)
    text = table(Told([trained("ltc"), trained("gru", error="it diverged")], [driven("ltc"), bad]), ["clean"])
    assert '- `["ltc", 1, 0.01, 5, "clean", "road", 1, false, 20.0]`: SettingsError: no network' in text
    assert '- `["gru", 0, 0.01, 5]`: it diverged' in text
    assert "| LTC | 100 |" in text
    assert "| gru | – |" in text


def test_who_does_not_look_is_told_beside_the_networks() -> None:
    row = next(line for line in table(Told([trained("ltc")], []), []).splitlines() if "predict zero" in line)
    assert row.endswith("| 0.900 | nan |")


@pytest.mark.parametrize(
    ("liquid", "said"),
    [((1, 1), "is among the best"), ((1, 0), "is within one standard"), ((0, 0), "is not within one standard")],
)
def test_the_liquid_ones_are_held_against_the_best_whoever_that_is(liquid: tuple[int, int], said: str) -> None:
    """The LSTM completes both laps of one training and one of two of the other, or all where it is to be equalled."""
    lstm = [driven("lstm", 0), driven("lstm", 1), driven("lstm", 0, 2), lost("lstm", 1, 2)]
    if liquid == (1, 1):
        lstm[-1] = driven("lstm", 1, 2)
    own = [(driven if one else lost)("ltc", seed) for seed, one in enumerate(liquid)]
    if liquid == (1, 0):  # 0.5, where the LSTM has 0.75 ± 0.35
        assert Told([], lstm).figure("lstm", "clean", False, laps).sd > 0.25
    text = table(Told([trained("ltc"), trained("lstm")], lstm + own), ["clean"])
    assert said in text


def test_nobody_is_best_where_nobody_completed_a_lap() -> None:
    text = table(Told([trained("ltc"), trained("lstm")], [lost("ltc"), lost("lstm")]), ["clean"])
    assert "- clean: nobody completed a lap" in text
    assert "best" not in text
