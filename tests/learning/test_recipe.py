# SPDX-License-Identifier: Apache-2.0
"""The recipe's table: what a file may change and what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.errors import SettingsError
from tidegate.learning.recipe import Recipe, load_recipe


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def test_a_file_changes_what_it_names(tmp_path: Path) -> None:
    found = load_recipe(write(tmp_path, "seed: 4\ntrain: {all_steps: 7}\n"))
    assert (found.seed, found.train.all_steps) == (4, 7)
    assert found.augment == Recipe().augment
    assert load_recipe() == Recipe()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train: {step: 7}", "unknown key 'train.step'"),
        ("train: {batch: 0}", "'train.batch' is 0"),
        ("augment: {noise: loud}", "'augment.noise' is 'loud'"),
        ("collect: {first_seed: 950}", "seeds 1000 to 1099 are kept for tests"),
        ("calibrate: {first_seed: 990}", "seeds 1000 to 1099 are kept for tests"),
        ("calibrate: {first_seed: 5}", "calibration roads 5 to 24 are trained on"),
        ("[", "is no YAML"),
    ],
)
def test_refusals_name_the_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load_recipe(write(tmp_path, text))


def test_values_of_the_command_line_go_before_those_of_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "seed: 4\ntrain: {all_steps: 7, batch: 8}\n")
    found = load_recipe(file, ["train.batch = 16", "train.clip=0.5", "threads=1"])
    assert (found.seed, found.threads, found.train.all_steps) == (4, 1, 7)
    assert (found.train.batch, found.train.clip) == (16, 0.5)
    assert isinstance(found.train.batch, int)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("train.step=7", "--set: unknown key 'train.step'; known here: .*lane_steps"),
        ("trains.batch=7", "--set: unknown key 'trains'; known here: .*train"),
        ("seed.batch=7", "--set: 'seed' is 0; it must be a mapping of settings"),
        ("train=7", "--set: 'train' is 7.0; it must be a mapping of settings"),
        ("train.batch=0", "--set: 'train.batch' is 0.0; it must be 1 to 4096"),
        ("train.batch=1.5", "--set: 'train.batch' is 1.5; it must be a whole number"),
        ("train.batch=many", "--set: 'train.batch' is 'many'; it must be a number"),
        ("train.batch", "--set 'train.batch': must be of the form train.batch=16"),
        ("collect.first_seed=950", "seeds 1000 to 1099 are kept for tests"),
    ],
)
def test_a_value_of_the_command_line_that_cannot_be_is_refused(rule: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load_recipe(rules=[rule])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.yaml: cannot be read"):
        load_recipe(tmp_path / "nowhere.yaml")
