# SPDX-License-Identifier: Apache-2.0
"""The benchmark of how little data is enough: what it asks for is what it says, and a break costs nothing."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from tidegate.bundle import Bundle
from tidegate.learning.recipe import TEST_SEEDS, load_recipe


@pytest.fixture
def economy(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    monkeypatch.delitem(sys.modules, "common", raising=False)  # examples have one too
    monkeypatch.delitem(sys.modules, "data_economy", raising=False)
    return import_module("data_economy")


def test_every_way_learns_from_as_many_drives_in_as_many_steps(economy: ModuleType) -> None:
    for drives in (230, 115, 57, 5):
        totals = set()
        for kind in economy.KINDS:
            recipe = economy.recipe_of(kind, drives)
            asked = recipe.collect.drives + recipe.dagger.rounds * recipe.dagger.drives
            assert asked == drives
            assert recipe.collect.duration_s == economy.DRIVE_S
            phases = 1 + recipe.dagger.rounds
            effort = 1 + recipe.dagger.rounds * recipe.dagger.effort
            train = recipe.train
            totals.add((round(effort * train.lane_steps), phases * train.policy_steps, round(effort * train.all_steps)))
        assert len(totals) == 1


def test_ten_minutes_hold_all_that_is_driven(economy: ModuleType) -> None:
    recipe = economy.recipe_of("dagger", 230)
    learnt = recipe.collect.drives + recipe.dagger.rounds * recipe.dagger.drives
    driven = learnt * recipe.collect.duration_s
    driven += recipe.calibrate.drives * recipe.calibrate.duration_s + recipe.gains.drives * recipe.gains.duration_s
    assert driven == 600


def test_the_recipe_of_the_page_is_that_of_ten_minutes(economy: ModuleType, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/learning.md").read_text("utf-8")
    told = page.partition("## How little data")[2].partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "recipe.yaml").write_text(told, "utf-8")
    assert load_recipe(tmp_path / "recipe.yaml") == economy.recipe_of("dagger", 230)


def test_a_curated_pool_stays_off_the_roads_of_calibration_and_tests(economy: ModuleType) -> None:
    recipe = economy.recipe_of("curated", 230)
    last = recipe.collect.first_seed + 2 * 230 + economy.CALIBRATED
    assert last <= recipe.calibrate.first_seed <= TEST_SEEDS.start


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["--kinds", "dagger,best"], "'best' is none of"), (["--drives", "46,4"], "4 leave no drive for a round")],
)
def test_what_cannot_be_done_is_refused(
    economy: ModuleType, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        economy.main(arguments)
    assert told in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dagger", "random", "curated"])
def test_each_way_trains_drives_and_is_counted_and_nothing_is_done_twice(
    economy: ModuleType, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.modules["common"], "FIGURES", tmp_path)
    monkeypatch.setattr(economy, "WORK", tmp_path / "work")
    monkeypatch.setattr(economy, "LINES", tmp_path / "lines.jsonl")
    monkeypatch.setattr(economy, "SETTINGS", str(Path(__file__).parents[2] / "config/car.yaml"))
    for name, value in {"CALIBRATED": 1, "CALIBRATED_S": 2.0, "GAINS_S": 3.0}.items():
        monkeypatch.setattr(economy, name, value)
    monkeypatch.setattr(economy, "STEPS", {"lane_steps": 4, "policy_steps": 3, "all_steps": 2})
    asked = ["--kinds", kind, "--drives", "5", "--seeds", "3300", "--filter", "off"]
    economy.main(asked)
    (cell,) = json.loads((tmp_path / "data_economy.json").read_text("utf-8"))["cells"]
    lines = (tmp_path / "lines.jsonl").read_text("utf-8")
    assert len(lines.splitlines()) == 1
    assert cell["off"]["driven"] == 1
    assert "on" not in cell
    # 40 frames a drive: 5 of the expert, or 3 and 2 of the network, and one that calibrates
    # a plan chooses from 10 of the expert, and tells of those that it chose from
    minutes, bags = cell["minutes"], round(cell["minutes"]["recorded"] * 1200 / 40, 6)
    assert bags == 6 if kind != "curated" else bags in range(2, 12)
    assert minutes["all"] - minutes["recorded"] == pytest.approx(0 if kind == "curated" else 4 * 3 / 60)
    assert 0 < minutes["learnt"] < minutes["recorded"]
    if kind == "curated":
        plan = Bundle.load(tmp_path / "work/curated-5/bundle").training["plan"]
        assert minutes["learnt"] == pytest.approx(plan["windows"] * 32 / 1200)
        assert minutes["learnt"] <= 5 * 40 / 1200
    capsys.readouterr()
    economy.main(asked)
    again = capsys.readouterr().out
    assert (tmp_path / "lines.jsonl").read_text("utf-8") == lines
    assert "train 0" not in again
    assert "record" not in again
