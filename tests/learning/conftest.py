# SPDX-License-Identifier: Apache-2.0
"""Two short recorded drives and a recipe small enough for tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tidegate.bag import Drive
from tidegate.learning.collect import Plan, record_drive
from tidegate.learning.dataset import load_drive
from tidegate.learning.recipe import CollectRecipe, Recipe
from tidegate.settings import Settings, load_settings
from tidegate.share import share_path


@pytest.fixture(scope="session")
def config() -> Path:
    return share_path("config/car.yaml").resolve()


@pytest.fixture(scope="session")
def settings(config: Path) -> Settings:
    return load_settings(config)


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    small = Recipe()
    return replace(
        small,
        threads=1,
        collect=replace(small.collect, drives=2, duration_s=3.0),
        train=replace(
            small.train, lane_frames=8, lane_steps=3, policy_steps=3, all_steps=2, batch=4, window=12, warm_up=2
        ),
        dagger=replace(small.dagger, rounds=1, drives=1),
        calibrate=replace(small.calibrate, drives=1, duration_s=2.0, miscoverage=0.5),
        gains=replace(small.gains, drives=1, duration_s=2.0, steps=2, batch=4),
    )


@pytest.fixture(scope="session")
def bags(tmp_path_factory: pytest.TempPathFactory, config: Path) -> list[Path]:
    folder = tmp_path_factory.mktemp("bags")
    short = replace(CollectRecipe(), duration_s=3.0)
    plans = [Plan(str(config), str(folder / f"road-{seed}"), "road", seed, short) for seed in (3, 4)]
    for plan in plans:
        record_drive(plan)
    return [Path(plan.out) for plan in plans]


@pytest.fixture(scope="session")
def drives(bags: list[Path], settings: Settings) -> list[Drive]:
    return [load_drive(bag, settings.perception)[0] for bag in bags]
