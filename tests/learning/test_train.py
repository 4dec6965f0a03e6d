# SPDX-License-Identifier: Apache-2.0
"""The training loop: it learns, it repeats, it resumes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tidegate.bag import Drive
from tidegate.errors import BundleError
from tidegate.learning.dataset import Windows
from tidegate.learning.recipe import Recipe
from tidegate.learning.train import CHECKPOINT_EVERY, Trainer, schedule
from tidegate.settings import Settings
from tidegate.stack import Stack


@pytest.fixture
def windows(drives: list[Drive], recipe: Recipe) -> Windows:
    return Windows(drives, recipe.train, 1200.0, 0.05)


def weights(trainer: Trainer) -> torch.Tensor:
    return torch.cat([value.flatten() for value in trainer.stack.state_dict().values()])


def trained(settings: Settings, recipe: Recipe, windows: Windows, steps: int, seed: int = 0) -> Trainer:
    recipe = replace(recipe, seed=seed)
    trainer = Trainer(Stack.from_settings(settings, seed), recipe, settings)
    trainer.fit(windows, "all", steps)
    return trainer


def test_a_few_steps_lower_the_loss_on_the_bags(settings: Settings, recipe: Recipe, windows: Windows) -> None:
    plain = replace(
        recipe,
        train=replace(recipe.train, tuning=1.0),
        augment=replace(recipe.augment, noise=0.0, light=0.0, shadow_share=0.0, glare_share=0.0, bright_share=0.0),
    )
    trainer = Trainer(Stack.from_settings(settings, 0), plain, settings)
    before = trainer.measure(windows)
    trainer.fit(windows, "all", 40)
    after = trainer.measure(windows)
    for name in ("total", "curvature", "lane"):
        assert after[name] < before[name], name
    assert after["lane_0"] < 0.8 * before["lane_0"]  # [m]


def test_one_seed_one_result(settings: Settings, recipe: Recipe, windows: Windows) -> None:
    one, again = (weights(trained(settings, recipe, windows, 3)) for _ in range(2))
    assert torch.equal(one, again)
    assert not torch.equal(one, weights(trained(settings, recipe, windows, 3, seed=1)))


def test_a_resumed_training_ends_where_an_unbroken_one_does(
    settings: Settings, recipe: Recipe, windows: Windows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.learning.train.CHECKPOINT_EVERY", 3)
    assert CHECKPOINT_EVERY > 3
    file = tmp_path / "checkpoint.pt"

    def broken(step: int, found: dict[str, float]) -> None:
        if step == 5:
            raise KeyboardInterrupt

    trainer = Trainer(Stack.from_settings(settings, 0), recipe, settings)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(windows, "all", 8, 0, file, broken)
    resumed = Trainer(Stack.from_settings(settings, 0), recipe, settings)
    steps: list[int] = []
    resumed.fit(windows, "all", 8, 0, file, lambda step, found: steps.append(step))
    assert steps == [4, 5, 6, 7, 8]  # from the checkpoint of step 3 on
    assert torch.equal(weights(resumed), weights(trained(settings, recipe, windows, 8)))


def test_foreign_checkpoints_are_refused(settings: Settings, recipe: Recipe, windows: Windows, tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.pt"
    Trainer(Stack.from_settings(settings, 0), recipe, settings).fit(windows, "all", 1, 0, file)
    other = Trainer(Stack.from_settings(settings, 0), replace(recipe, seed=7), settings)
    with pytest.raises(BundleError, match="belongs to another training"):
        other.fit(windows, "all", 1, 0, file)
    file.write_bytes(b"no checkpoint")
    with pytest.raises(BundleError, match="is no checkpoint"):
        other.fit(windows, "all", 1, 0, file)


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [schedule(step, 100, 0.1) for step in range(100)]
    assert np.argmax(rates) in (9, 10)
    assert rates[9] == pytest.approx(1.0)
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] < 0.03
    assert (np.diff(rates[10:]) < 0).all()


def test_each_stage_trains_its_own_part(settings: Settings, recipe: Recipe, windows: Windows) -> None:
    trainer = Trainer(Stack.from_settings(settings, 0), recipe, settings)
    backbone, policy = trainer.stack.backbone, trainer.stack.policy

    def state(module: torch.nn.Module) -> torch.Tensor:
        return torch.cat([value.detach().flatten() for value in module.parameters()])

    first, before = state(policy), trainer.measure(windows)
    trainer.fit(windows, "lane", 30)
    seen = trainer.measure(windows)
    assert torch.equal(state(policy), first)
    assert seen["lane"] < before["lane"]
    convolutions = state(backbone.convs)
    trainer.fit(windows, "policy", 40)
    driven = trainer.measure(windows)
    assert torch.equal(state(backbone.convs), convolutions)
    assert driven["lane"] == pytest.approx(seen["lane"], abs=1e-6)
    assert driven["curvature"] + driven["acceleration"] < seen["curvature"] + seen["acceleration"]
