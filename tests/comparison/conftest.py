# SPDX-License-Identifier: Apache-2.0
"""One thread: tensors are small here, and threads that fight for cores cost far more than they give."""

import dataclasses
from pathlib import Path

import pytest
import torch

from tidegate.learning.collect import Plan, record_drive
from tidegate.learning.recipe import CollectRecipe
from tidegate.share import share_path

torch.set_num_threads(1)


def record(folder: Path, scene: str, *seeds: int) -> list[Path]:
    """Bags of three seconds."""
    short, paths = dataclasses.replace(CollectRecipe(), duration_s=3.0), []
    for seed in seeds:
        paths.append(folder / f"{scene}-{seed}")
        record_drive(Plan(str(share_path("config/car.yaml")), str(paths[-1]), scene, seed, short))
    return paths


@pytest.fixture(scope="session")
def bags(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three bags in which the car stands and drives off."""
    return record(tmp_path_factory.mktemp("bags"), "traffic", 3, 4, 5)


@pytest.fixture(scope="session")
def rolling_bags(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three bags in which the car is never slow."""
    return record(tmp_path_factory.mktemp("rolling"), "road", 3, 4, 6)
