# SPDX-License-Identifier: Apache-2.0
"""The plan's file, and training on what it keeps."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from curated import Altered, See, run
from hypothesis import given
from hypothesis import strategies as st

from tidegate.bag import BagReader, BagWriter
from tidegate.bundle import Bundle
from tidegate.cli.curate import seconds_of
from tidegate.curation.curate import curate
from tidegate.curation.plan import VERDICTS, Plan, PlannedBag, verdict_of
from tidegate.curation.rules import Rules, load_rules
from tidegate.errors import BagError, SettingsError
from tidegate.learning.recipe import Recipe


@pytest.fixture
def plan(bags: list[Path], see: See, rules: Rules, tmp_path: Path) -> Path:
    """Of copies of the bags, the second of them held out; half of the windows fit."""
    copies = [Path(shutil.copytree(bag, tmp_path / "bags" / bag.name)) for bag in bags]
    made = next(
        found
        for found in (curate(see(copies), rules, 2.0, seed=seed, held_share=0.5) for seed in range(20))
        if found.bags[1].held
    )
    made.save(tmp_path / "plan.yaml")
    return tmp_path / "plan.yaml"


def test_a_plan_is_read_as_it_was_written_and_travels_with_its_bags(plan: Path, tmp_path: Path) -> None:
    first = Plan.load(plan)
    assert first.counts() == {"kept": 3, "held": 7, "budget": 3, "short": 1}
    first.save(tmp_path / "again.yaml")
    assert (tmp_path / "again.yaml").read_bytes() == plan.read_bytes()
    moved = Path(shutil.copytree(tmp_path, tmp_path.with_name("moved")))
    assert [bag.path.resolve() for bag in Plan.load(moved / "plan.yaml").bags] == [
        (moved / "bags" / bag.path.name).resolve() for bag in first.bags
    ]
    assert str(tmp_path) not in plan.read_text("utf-8")


REASONS = st.text(st.characters(categories=("L", "M", "N", "P", "S", "Zs")), max_size=30)


@given(st.dictionaries(st.integers(0, 10**7), st.tuples(st.sampled_from(sorted(VERDICTS)), REASONS), min_size=1))
def test_whatever_is_said_of_windows_is_read_as_it_was_written(windows: dict[int, tuple[str, str]]) -> None:
    told = {frame: f"{verdict}: {why}" for frame, (verdict, why) in windows.items()}
    with tempfile.TemporaryDirectory() as folder:
        bag = PlannedBag(Path(folder) / "bag", "0" * 64, False, told)
        Plan(60.0, 0, Rules(), {}, (bag,)).save(Path(folder) / "plan.yaml")
        assert Plan.load(Path(folder) / "plan.yaml").bags[0].windows == told


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("tidegate_plan: 1", "tidegate_plan: 2", "'tidegate_plan' is 2; it must be 1"),
        ("budget_s: 2.0", "budget_s: much", "'budget_s' is 'much'; it must be a number of at least 0"),
        ("window: 12", "window: 2", r"'rules.window' is 2; it must be 4 to 1024"),
        ("held: false", "held: maybe", r"'bags\[0\].held' is 'maybe'; it must be true or false"),
        ("    12 ", "    0 ", r"'bags\[0\].windows' has the line '0 .*a frame that is not there before"),
        ("short: 8", "odd: 8", r"has the line '72 odd: 8 .*one of kept, held, budget, duplicate"),
        ("sha256:", "sha:", r"'bags\[0\].sha256' is None; it must be text"),
        ("remap: {}", "remap: [", "is no YAML"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(old: str, new: str, said: str, plan: Path) -> None:
    text = plan.read_text("utf-8")
    assert old in text
    plan.write_text(text.replace(old, new), "utf-8")
    with pytest.raises(SettingsError, match=said):
        Plan.load(plan)


def test_a_rule_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("contrary: 0", "utf-8")
    with pytest.raises(SettingsError, match=r"'contrary' is 0; it must be 0.1 to 1000"):
        load_rules(tmp_path / "rules.yaml")


@pytest.mark.parametrize(("text", "said"), [("90s", 90.0), ("20min", 1200.0), ("1.5 h", 5400.0)])
def test_a_budget_has_a_unit(text: str, said: float) -> None:
    assert seconds_of(text) == said


@pytest.mark.parametrize("text", ["20", "min", "-3s", "0s", "20 hours"])
def test_a_budget_without_one_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"must be a time such as 90s, 20min or 1\.5h"):
        seconds_of(text)


def small(recipe: Recipe) -> Recipe:
    return replace(
        recipe,
        threads=1,
        train=replace(
            recipe.train, lane_frames=8, lane_steps=2, policy_steps=2, all_steps=1, batch=4, window=12, warm_up=2
        ),
    )


def test_training_takes_exactly_the_windows_that_are_kept(plan: Path, config: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from tidegate.learning.dataset import Windows
    from tidegate.learning.pipeline import Pipeline
    from tidegate.learning.train import Trainer

    given: list[Windows] = []
    fit = Trainer.fit

    def watched(trainer: Trainer, windows: Windows, *rest: object, **more: object) -> None:
        given.append(windows)
        fit(trainer, windows, *rest, **more)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "fit", watched)
        Pipeline(config, tmp_path / "work", small(Recipe()), "tiny").from_plan(plan, tmp_path / "tiny")
    told = Plan.load(plan)
    kept = [frame for frame, one in told.bags[0].windows.items() if verdict_of(one) == "kept"]
    assert len(given) == 3
    for windows in given:
        assert len(windows) == len(kept) == 3
        every = np.concatenate([batch.places for batch in windows.every()])
        drawn = windows.draw(np.random.default_rng(0)).places
        assert every.tolist() == [[0, frame] for frame in kept]
        assert {tuple(place) for place in drawn.tolist()} <= {tuple(place) for place in every.tolist()}
    record = Bundle.load(tmp_path / "tiny", "car").training
    assert record["plan"]["windows"] == 3
    assert set(record["data_sha256"].values()) == {bag.sha256 for bag in told.bags}


def test_a_bag_that_changed_since_is_refused(plan: Path, config: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from tidegate.learning.pipeline import Pipeline

    bag = Plan.load(plan).bags[0].path
    reader, other = BagReader(bag), tmp_path / "other"
    with BagWriter(other) as writer:
        for name, kind, received, data in reader.raw([name for name in reader.topics if name != "/joint_states"]):
            writer.write_raw(name, kind, data, received)
    shutil.rmtree(bag)
    shutil.copytree(other, bag)
    with pytest.raises(BagError, match=r"road-1000: is not the bag that was planned with \(SHA-256 .*tidegate curate"):
        Pipeline(config, tmp_path / "work", small(Recipe())).from_plan(plan, tmp_path / "tiny")
    shutil.rmtree(bag)
    with pytest.raises(BagError, match=r"road-1000: is not the bag .*it is not there"):
        Pipeline(config, tmp_path / "work", small(Recipe())).from_plan(plan, tmp_path / "tiny")


def test_windows_of_another_length_are_refused(plan: Path, config: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from tidegate.learning.pipeline import Pipeline

    with pytest.raises(SettingsError, match=r"its windows have 12 frames; train.window of the recipe is 32"):
        Pipeline(config, tmp_path / "work", Recipe()).from_plan(plan, tmp_path / "tiny")


def test_a_window_that_somebody_wrote_into_the_plan_and_cannot_be_learnt_from_is_refused(
    plan: Path, config: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    from tidegate.learning.pipeline import Pipeline

    plan.write_text(plan.read_text("utf-8").replace("72 short:", "72 kept:"), "utf-8")
    with pytest.raises(BagError, match="planned window of 12 frames at frame 72 cannot be learnt from"):
        Pipeline(config, tmp_path / "work", small(Recipe())).from_plan(plan, tmp_path / "tiny")


@pytest.mark.slow
def test_the_commands_of_the_page(
    bags: list[Path], config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(bags[0].parent, "out/bags")
    recipe = {"threads": 1, "train": {"lane_frames": 8, "lane_steps": 1, "policy_steps": 1, "all_steps": 1, "batch": 2}}
    Path("recipe.yaml").write_text(yaml.safe_dump(recipe), "utf-8")
    assert "page: out/data.html, and data.json beside it" in run("inspect", "out/bags", "--html", "out/data.html")
    told = run("curate", "out/bags", "--budget", "20min", "--out", "out/plan.yaml")
    assert [line.split()[:2] for line in told.splitlines() if line.startswith(("kept", "held", "short"))] == [
        ["kept", "2"],
        ["held", "3"],
        ["short", "1"],
        ["held", "out"],
    ]
    assert "plan: out/plan.yaml" in told
    run("train", "--plan", "out/plan.yaml", "--out", "models/mine", "--recipe", "recipe.yaml")
    assert Bundle.load(Path("models/mine"), "car").training["plan"]["windows"] == 2
    with pytest.raises(SettingsError, match="give one of --bags, --plan and --from-scratch"):
        run("train", "--plan", "out/plan.yaml", "--from-scratch")


def test_a_held_out_bag_that_shares_a_stretch_with_the_others_is_told(
    bags: list[Path], altered: Altered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rules.yaml").write_text("window: 12", "utf-8")
    later = altered("later", lambda topic, record, n: record if n >= 29 else None)
    words = ("curate", str(bags[0]), str(later), "--budget", "1min", "--out", "plan.yaml", "--rules", "rules.yaml")
    told = run(*words)
    held = next(bag.path.name for bag in Plan.load(Path("plan.yaml")).bags if bag.held)
    shared = {"later": "4 of 4 windows with road-1000", "road-1000": "3 of 6 windows with later"}[held]
    assert f"leak: {held}, which is held out, shares {shared}" in told
    assert "leak:" not in run(*words, "--held", "0")
