# SPDX-License-Identifier: Apache-2.0
"""Two short recorded drives, and bags made of them that are wrong in one thing each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from curated import TOPICS, Altered, Change, See

from tidegate.bag import BagReader, BagWriter
from tidegate.curation.curate import Seen
from tidegate.curation.rules import Rules
from tidegate.settings import Settings, load_settings
from tidegate.share import share_path

pytest.importorskip("mujoco")

from tidegate.learning.collect import Plan, record_drive
from tidegate.learning.recipe import CollectRecipe


@pytest.fixture(scope="session")
def config() -> Path:
    return share_path("config/car.yaml").resolve()


@pytest.fixture(scope="session")
def settings(config: Path) -> Settings:
    return load_settings(config)


@pytest.fixture(scope="session")
def rules() -> Rules:
    """Windows of 12 frames: a short drive has several."""
    return Rules(window=12)


@pytest.fixture(scope="session")
def bags(tmp_path_factory: pytest.TempPathFactory, config: Path) -> list[Path]:
    """Roads 1000 and 1001, 4 s each: six windows of 12 frames and a rest of 8."""
    folder = tmp_path_factory.mktemp("curated")
    short = replace(CollectRecipe(), duration_s=4.0)
    plans = [Plan(str(config), str(folder / f"road-{seed}"), "road", seed, short) for seed in (1000, 1001)]
    for plan in plans:
        record_drive(plan)
    return [Path(plan.out) for plan in plans]


@pytest.fixture
def altered(bags: list[Path], tmp_path: Path) -> Altered:
    """``altered(name, change)``: the first bag anew, with other records."""

    def write(name: str, change: Change) -> Path:
        numbers = dict.fromkeys(TOPICS, -1)
        with BagWriter(tmp_path / name) as writer:
            for topic, received, record in BagReader(bags[0]).messages(TOPICS):
                numbers[topic] += 1
                made = change(topic, record, numbers[topic])
                if made is not None:
                    writer.write(topic, made, received)
        return tmp_path / name

    return write


@pytest.fixture
def see(settings: Settings, rules: Rules) -> See:
    """``see(bags, **what Seen takes)``."""
    return lambda given, **more: Seen(given, settings, rules, **more)
