# SPDX-License-Identifier: Apache-2.0
"""Stages that stop early, and the file that tells the course of a training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tidegate.bag import Drive
from tidegate.learning.checkpoint import EarlyStop
from tidegate.learning.dataset import Windows
from tidegate.learning.log import TrainingLog
from tidegate.learning.loss import Stage
from tidegate.learning.recipe import Recipe
from tidegate.learning.train import Trainer
from tidegate.settings import Settings
from tidegate.stack import Stack


@pytest.fixture
def patient(recipe: Recipe) -> Recipe:
    """So fast that what one bag costs soon rises while the other is learnt."""
    return replace(recipe, train=replace(recipe.train, patience=2, liquid_rate=0.3, features_rate=0.1, tuning=1.0))


@pytest.fixture
def sides(drives: list[Drive], recipe: Recipe) -> tuple[Windows, Windows]:
    """What is learnt from, and what measures."""
    one, other = (Windows([drive], recipe.train, 1200.0, 0.05) for drive in drives)
    return one, other


def weights(stack: Stack) -> torch.Tensor:
    return torch.cat([value.flatten() for value in stack.state_dict().values()])


def fitted(
    settings: Settings, recipe: Recipe, sides: tuple[Windows, Windows], steps: int, checkpoint: Path | None = None
) -> tuple[Stack, list[int]]:
    trainer = Trainer(Stack.from_settings(settings, 0), recipe, settings)
    taken: list[int] = []
    trainer.fit(sides[0], "policy", steps, 0, checkpoint, lambda step, found: taken.append(step), sides[1])
    return trainer.stack, taken


def test_a_stage_stops_where_the_held_out_bag_costs_no_less_and_goes_back_to_its_best(
    settings: Settings, patient: Recipe, sides: tuple[Windows, Windows], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.learning.train.CHECKPOINT_EVERY", 3)
    costs: list[float] = []
    cost = EarlyStop.cost

    def watched(stop: EarlyStop) -> float:
        costs.append(cost(stop))
        return costs[-1]

    monkeypatch.setattr(EarlyStop, "cost", watched)
    stack, taken = fitted(settings, patient, sides, 300, tmp_path / "kept.pt")
    assert len(taken) < 300
    assert len(taken) == 3 * len(costs)
    assert min(costs) == costs[-3] < min(costs[-2:])  # two that were no better came after the best
    stop = EarlyStop(stack, "policy", sides[1], patient.train)
    assert cost(stop) == pytest.approx(costs[-3], rel=1e-5)
    again, none = fitted(settings, patient, sides, 300, tmp_path / "kept.pt")
    assert none == []
    assert torch.equal(weights(again), weights(stack))


def test_without_patience_every_step_is_taken(
    settings: Settings, recipe: Recipe, sides: tuple[Windows, Windows], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.learning.train.CHECKPOINT_EVERY", 3)
    monkeypatch.setattr(EarlyStop, "measure", None)
    assert fitted(settings, recipe, sides, 12)[1] == list(range(1, 13))


@pytest.mark.parametrize("stage", ["lane", "policy", "all"])
def test_what_a_stage_is_measured_by_falls_as_it_learns(
    stage: Stage, settings: Settings, recipe: Recipe, sides: tuple[Windows, Windows]
) -> None:
    plain = replace(recipe, train=replace(recipe.train, tuning=1.0))
    trainer = Trainer(Stack.from_settings(settings, 0), plain, settings)
    before = EarlyStop(trainer.stack, stage, sides[0], plain.train).cost()
    trainer.fit(sides[0], stage, 40)
    assert EarlyStop(trainer.stack, stage, sides[0], plain.train).cost() < before


def told(file: Path) -> list[tuple[str, int, float]]:
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    return [(line["stage"], line["step"], line["total"]) for line in lines]


def test_the_log_tells_means_and_nothing_twice(tmp_path: Path) -> None:
    file = tmp_path / "work/log.jsonl"
    log = TrainingLog(file)
    for stage, steps in (("lane", 20), ("policy", 25)):
        log.begin(0, stage, steps, 0)
        for step in range(1, steps + 1):
            log.step(step, {"total": float(step)})
    whole = [("lane", 10, 5.5), ("lane", 20, 15.5), ("policy", 10, 5.5), ("policy", 20, 15.5), ("policy", 25, 23.0)]
    assert told(file) == whole
    file.write_text(file.read_text("utf-8") + '{"training": 0, "sta', "utf-8")  # killed while it wrote
    log = TrainingLog(file)
    log.begin(0, "lane", 20, 20)
    log.begin(0, "policy", 25, 10)
    assert told(file) == whole[:3]
    for step in range(11, 26):
        log.step(step, {"total": float(step)})
    assert told(file) == whole
    line = json.loads(file.read_text("utf-8").splitlines()[-1])
    assert (line["training"], line["of"]) == (0, 25)
    assert line["steps_per_s"] > 0
