# SPDX-License-Identifier: Apache-2.0
"""The model card of an arm's bundle: its record, the scenes that it was driven in, and no results of another's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tidegate.arm_stack import ArmStack
from tidegate.bundle import Bundle, bundle_identity
from tidegate.card import card_of, write_card
from tidegate.cli.app import app
from tidegate.errors import BundleError
from tidegate.evaluation.arm import ArmEpisode, run_episodes, summary, write_arm_evaluation
from tidegate.settings.arm import load_arm_settings
from tidegate.share import share_path

CONFIG = share_path("config/arm.yaml")
RECORD = {
    "frames": 220,
    "data_sha256": {
        "teacher/reach-3000": "ab" * 32,
        "teacher/reach-3001": "cd" * 32,
        "glimpses/press-10000": "ef" * 32,
    },
    "recipe": {"seed": 3, "dagger": {"rounds": 2}},
    "metrics": {"train 0 reach": {"seen_m": 0.0123, "asked_m": 0.0234, "press_share": 0.0345}},
}


def run(*arguments: object) -> None:
    """The command line, whose errors are raised here."""
    app([*map(str, arguments)], standalone_mode=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ArmStack(load_arm_settings(CONFIG), 3000).to_bundle("arm-test", RECORD).save(tmp_path / "bundle")
    return tmp_path / "bundle"


def driven(folder: Path, driver: str = "bundle") -> Path:
    """A tenth of a second of two seeds."""
    episodes = [ArmEpisode(str(CONFIG), "press", seed, driver, True, (), 0.1, str(folder)) for seed in (900, 901)]
    results = run_episodes(episodes, 1)
    return write_arm_evaluation(folder.parent / f"by-{driver}", episodes[0], results, summary(results)).parent


def section(card: str, title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", card, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def test_it_tells_network_data_and_errors_of_the_record_and_is_sealed(folder: Path) -> None:
    before = bundle_identity(folder)
    write_card(folder)
    assert bundle_identity(folder) == before
    card = card_of(folder)
    assert f"`{before[1]}`" in card
    model = section(card, "Model")
    assert "LTC, 19 neurons (9 inter, 6 command, 4 motor)" in model
    assert f"{sum(array.size for array in Bundle.load(folder).part('liquid').values()):,} parameters" in model
    assert "| teacher | reach | 2 | 3000, 3001 |" in section(card, "Data")
    assert "rounds 2" in section(card, "Training")
    assert "| train 0 reach | 0.0123 | 0.0234 | 0.0345 |" in section(card, "Results on held-out lessons")
    assert "None was given" in section(card, "Results in closed loop")
    assert "Not known" in section(card, "Known failures")


def test_it_tells_what_was_done_and_names_what_was_not(folder: Path) -> None:
    run("card", folder, "--evaluation", driven(folder))
    card = card_of(folder)
    assert "| press | filter on | 900, 901 | 0/2 | 0 |" in section(card, "Results in closed loop")
    failures = section(card, "Known failures")
    assert "2 of 2 episodes were not done" in failures
    assert "| press | filter on | 901 |" in failures


def test_results_of_somebody_else_or_of_hostile_torques_are_refused(folder: Path) -> None:
    with pytest.raises(BundleError, match="'teacher' drove"):
        run("card", folder, "--evaluation", driven(folder, "teacher"))
    with pytest.raises(BundleError, match="is of an arm"):
        run("card", folder, "--outcomes", folder.parent)
    mine = driven(folder)
    ArmStack(load_arm_settings(CONFIG), 3001).to_bundle("arm-test", RECORD).save(folder)
    with pytest.raises(BundleError, match="is of the bundle"):
        run("card", folder, "--evaluation", mine)
