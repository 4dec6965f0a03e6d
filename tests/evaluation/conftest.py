# SPDX-License-Identifier: Apache-2.0
"""A network with random weights, and drives of it, recorded: it does not get far, which keeps these tests short."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tidegate.evaluation.metrics import Run
from tidegate.evaluation.rollout import Task, run_task
from tidegate.robot import Car
from tidegate.settings import Settings, load_settings
from tidegate.share import share_path

CONFIG = share_path("config/car.yaml")
SEED = 1000
SHORT_S = 2.6
"""Released, under way, and past every moment at which these tests change something."""


@pytest.fixture(scope="session")
def car_settings() -> Settings:
    return load_settings(CONFIG)


@pytest.fixture(scope="session")
def save_random(tmp_path_factory: pytest.TempPathFactory, car_settings: Settings) -> Callable[[int], Path]:
    """Makes the bundle of a network with the random weights of a seed."""

    def save(seed: int) -> Path:
        from tidegate.stack import Stack

        path = tmp_path_factory.mktemp("bundle") / f"random{seed}"
        Stack.from_settings(car_settings, seed).to_bundle(
            "random", car_settings, Car.from_settings(car_settings).mass
        ).save(path)
        return path

    return save


@pytest.fixture(scope="session")
def random_bundle(save_random: Callable[[int], Path]) -> Path:
    return save_random(0)


@pytest.fixture(scope="session")
def task(random_bundle: Path) -> Task:
    return Task(settings=str(CONFIG), bundle=str(random_bundle), scene="road", seed=SEED)


@pytest.fixture(scope="session")
def short_task(task: Task) -> Task:
    return replace(task, longest_s=SHORT_S)


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory, short_task: Task) -> tuple[Run, Path]:
    """The figures of a short drive and its bag."""
    path = tmp_path_factory.mktemp("bags") / "drive"
    return run_task(replace(short_task, record=str(path))), path


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, task: Task) -> tuple[Run, Path]:
    """As ``recorded``, up to where the car leaves the road."""
    path = tmp_path_factory.mktemp("bags") / "whole"
    return run_task(replace(task, record=str(path))), path
