# SPDX-License-Identifier: Apache-2.0
"""How an arm's policy is made: lessons of the teacher, lessons of its own states, and a bundle that drives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tidegate.arm_stack import ArmStack
from tidegate.bundle import Bundle
from tidegate.card import card_of
from tidegate.cli.app import app
from tidegate.errors import SettingsError
from tidegate.learning.arm.collect import Glimpses, Lesson, LessonPlan, glimpse, record
from tidegate.learning.arm.recipe import ArmCollectRecipe, ArmRecipe, ArmTrainRecipe
from tidegate.learning.arm.train import ArmTrainer
from tidegate.learning.recipe import recipe_of
from tidegate.settings.arm import load_arm_settings
from tidegate.share import share_path

ARM_YAML = share_path("config/arm.yaml")
SETTINGS = load_arm_settings(ARM_YAML)
QUIET = ArmCollectRecipe(start=0.0)


def plan(folder: Path, scene: str = "reach", seconds: float = 0.5, **changes: object) -> LessonPlan:
    made = LessonPlan(str(ARM_YAML), scene, 3000, seconds, folder / f"{scene}.npz", QUIET)
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_lesson_has_a_picture_what_is_sensed_and_what_the_teacher_asks_for_at_the_cameras_rate(
    tmp_path: Path,
) -> None:
    lesson = Lesson.load(record(plan(tmp_path)))
    camera = SETTINGS.camera
    count = round(0.5 * camera.rate_hz)
    assert lesson.image.shape == (count, camera.height, camera.width, 3)
    assert (lesson.senses.shape, lesson.aim.shape, lesson.sights.shape) == ((count, 9), (count, 4), (count, 7))
    assert lesson.image.std() > 10
    assert (lesson.aim[:, 3] == 0).all(), "there is nothing to press on"
    off = np.linalg.norm(lesson.aim[:, :3] - lesson.sights[:, :3], axis=1)
    assert (off < 0.25).all(), "it asks for a place on the way to the ball"
    assert np.isnan(lesson.sights[:, 4:]).all()


def test_who_presses_is_taught_to_and_what_is_there_is_not_recorded_again(tmp_path: Path) -> None:
    asked = plan(tmp_path, "press", 2.0)
    path = record(asked)
    pressed = Lesson.load(path).aim[:, 3]
    assert pressed[0] == 0
    assert pressed[-10:].all()
    before = path.read_bytes()
    record(replace(asked, seconds=0.1))
    assert path.read_bytes() == before


def test_disturbed_aims_lead_to_other_states_and_so_does_a_network_that_asks(tmp_path: Path) -> None:
    ArmStack(SETTINGS, 3000).to_bundle("arm-test").save(tmp_path / "draft")
    calm = Lesson.load(record(plan(tmp_path / "calm")))
    rough = Lesson.load(record(plan(tmp_path / "rough", disturb=0.1)))
    own = Lesson.load(record(plan(tmp_path / "own", bundle=str(tmp_path / "draft"))))
    for other in (rough, own):
        assert np.abs(other.senses[-1, :3] - calm.senses[-1, :3]).max() > 0.005
        np.testing.assert_array_equal(other.sights, calm.sights)


def test_glimpses_are_of_moments_that_have_nothing_to_do_with_each_other(tmp_path: Path) -> None:
    seen = Glimpses.load(glimpse(plan(tmp_path, "hand_over", recipe=replace(QUIET, glimpses=5))))
    assert len(seen.image) == 5
    assert np.isfinite(seen.sights).all()
    assert np.ptp(seen.sights[:, 4:6], axis=0).max() > 0.02, "the knob moves"
    assert len(np.unique(seen.sights[:, :3], axis=0)) == 1, "the hand does not"
    assert not np.array_equal(seen.image[0], seen.image[1])


def test_training_lowers_the_error_of_places_and_the_same_seed_trains_the_same(tmp_path: Path) -> None:
    lesson = Lesson.load(record(plan(tmp_path, seconds=2.5)))
    recipe, made = ArmRecipe(), []
    for _ in range(2):
        stack = ArmStack(SETTINGS, 3000)
        trainer = ArmTrainer(stack, replace(recipe.train, batch=4, sight_frames=16), recipe.augment, 0)
        before = trainer.measure([lesson])
        trainer.see([lesson], 40)
        trainer.ask([lesson], 40)
        after = trainer.measure([lesson])
        made.append(stack.to_bundle("arm-test"))
    assert after["seen_m"] < 0.5 * before["seen_m"]
    assert after["asked_m"] < 0.6 * before["asked_m"]
    assert made[0].backbone == made[1].backbone
    for name, array in made[0].arrays.items():
        np.testing.assert_array_equal(array, made[1].arrays[name])


@pytest.mark.slow
def test_the_command_makes_a_bundle_that_the_command_evaluates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    small = tmp_path / "small.yaml"
    small.write_text(
        "collect: {scenes: [reach, press], seconds: [2.5, 2.5], episodes: [3, 3], glimpsed: [1, 1], glimpses: 3,\n"
        "  disturb: [0.03, 0.03]}\n"
        "train: {sight_steps: [3, 3], policy_steps: [3, 3], batch: 4}\n"
        "dagger: {rounds: 1, episodes: [1, 1]}\n",
        encoding="utf-8",
    )
    words = ["--config", str(ARM_YAML), "--work", "work"]
    done = CliRunner().invoke(
        app, ["train", "--from-scratch", "--recipe", str(small), "--out", "arm-small", *words], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    training = Bundle.load("arm-small", "arm").training
    assert len(training["data_sha256"]) == 3 + 3 + 2 + 2
    assert training["recipe"]["dagger"]["rounds"] == 1
    again = CliRunner().invoke(
        app, ["train", "--from-scratch", "--recipe", str(small), "--out", "arm-again", *words], catch_exceptions=False
    )
    assert "train 1 ask: goes on after 3 of 3" in again.output, "what was recorded and trained is not made anew"
    for name in ("weights.safetensors", "backbone.onnx"):
        assert (Path("arm-again") / name).read_bytes() == (Path("arm-small") / name).read_bytes()
    words = ["--config", str(ARM_YAML), "--bundle", "arm-small", "--seeds", "900", "--seconds", "0.2"]
    words += ["--scene", "press", "--filter", "off", "--processes", "1"]
    done = CliRunner().invoke(app, ["evaluate", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "0/1 completed" in done.output
    told = CliRunner().invoke(app, ["card", "arm-small", "--evaluation", "out/evaluate"], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    assert "| press | filter off | 900 | 0/1 |" in card_of(Path("arm-small"))
    shown = CliRunner().invoke(app, ["inspect", "arm-small"], catch_exceptions=False)
    assert "goal x, goal y, goal z, extent" in " ".join(shown.output.split())


def test_pictures_are_altered_as_the_arms_recipe_says_whatever_else_is_changed() -> None:
    changed = recipe_of(ArmRecipe, rules=["augment.noise=0.02"])
    assert changed.augment == replace(ArmRecipe().augment, noise=0.02)
    assert changed.augment.move_share == changed.augment.glare_share == 0.0


def test_recipes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"'collect.seconds' has 4 values; it must have 1, one per scene"):
        replace(ArmRecipe(), collect=replace(QUIET, scenes=("reach",))).check()
    with pytest.raises(SettingsError, match=r"'train.sight_steps' has 1 values; with 3 DAgger rounds it must have 4"):
        replace(ArmRecipe(), train=ArmTrainRecipe(sight_steps=(5,))).check()
    with pytest.raises(SettingsError, match=r"'collect.first_seed' is 990 .* seeds 1000 to 1099 are kept"):
        recipe_of(ArmRecipe, rules=["collect.first_seed=990"])
    with pytest.raises(SettingsError, match=r"'collect.first_glimpsed' is 1000"):
        recipe_of(ArmRecipe, rules=["collect.first_glimpsed=1000"])
