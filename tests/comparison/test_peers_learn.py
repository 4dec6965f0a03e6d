# SPDX-License-Identifier: Apache-2.0
"""What is learnt from bags: every architecture can, and bags that do not show how to drive off are refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from tidegate.bundle import Bundle
from tidegate.comparison.lessons import check_standing, keep_codes, lessons, parted, slow_share
from tidegate.comparison.peers import ARCHITECTURES, peer_stack
from tidegate.errors import BagError
from tidegate.learning.dataset import Windows
from tidegate.learning.loss import baselines
from tidegate.learning.recipe import Recipe
from tidegate.learning.train import Trainer
from tidegate.settings import load_settings
from tidegate.share import share_path

CAR, BUNDLE = load_settings(share_path("config/car.yaml")), Bundle.load(share_path("models/car-ltc19"))
RECIPE = dataclasses.replace(Recipe(), threads=1)
STEPS = 150
pytestmark = pytest.mark.slow


def read(bags: list[Path], folder: Path) -> tuple[Windows, Windows]:
    """Lessons to learn from and others to measure on."""
    keep_codes(parted(bags), folder, {}, BUNDLE, CAR, RECIPE, 1, lambda path: None)
    taught, held = (lessons(folder, part, BUNDLE, CAR, RECIPE) for part in ("train", "held"))
    return taught, held


@pytest.fixture(scope="module")
def parts(bags: list[Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Windows, Windows]:
    return read(bags, tmp_path_factory.mktemp("codes"))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_it_learns_a_drive_and_drives_off_from_a_standstill(name: str, parts: tuple[Windows, Windows]) -> None:
    taught, held = parts
    stack = peer_stack(BUNDLE, name, 0)
    trainer = Trainer(stack, RECIPE, CAR)
    trainer.fit(taught, "policy", STEPS)
    found, blind = trainer.measure(taught), baselines(taught.every(), RECIPE.train)
    for command in ("curvature", "acceleration"):
        assert found[command] < 0.2 * blind[f"{command}_zero"], command
    first = held.whole()
    assert abs(first.speed[0, 0]) < 0.1
    code = torch.from_numpy(first.images[:1, :1]).expand(1, 40, -1)
    with torch.no_grad():
        standing = stack.from_code(code, torch.zeros(1, 40), torch.full((1, 40), 0.05))
    assert standing.acceleration[0, RECIPE.train.warm_up :].min() > 0.5, "the expert asks for 1.8 m/s²"


def test_bags_in_which_the_car_drives_off_are_taken(parts: tuple[Windows, Windows]) -> None:
    assert slow_share(parts[0], RECIPE.train) > 0.03
    check_standing(parts[0], RECIPE.train)


def test_bags_in_which_the_car_never_stands_are_refused(rolling_bags: list[Path], tmp_path: Path) -> None:
    taught, _ = read(rolling_bags, tmp_path)
    with pytest.raises(BagError, match=r"0\.00% of the lessons are slower than 1 m/s, at least 1% must be"):
        check_standing(taught, RECIPE.train)
