# SPDX-License-Identifier: Apache-2.0
"""From bags, and from nothing, to a bundle that drives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tidegate.bag import Drive, bag_hash
from tidegate.bundle import Bundle
from tidegate.card import card_of
from tidegate.errors import BagError
from tidegate.learning.calibrate import calibrate, read_lane
from tidegate.learning.pipeline import Listener, Pipeline
from tidegate.learning.recipe import Recipe
from tidegate.liquid import LiquidPolicy
from tidegate.perception import Perception
from tidegate.records import Frame, Odometry
from tidegate.settings import Settings
from tidegate.stack import Stack


def test_bags_become_a_bundle(
    bags: list[Path], config: Path, settings: Settings, recipe: Recipe, tmp_path: Path
) -> None:
    notes: list[str] = []
    pipeline = Pipeline(config, tmp_path / "work", recipe, "tiny", Listener(note=notes.append))
    pipeline.from_bags(bags, tmp_path / "tiny")
    bundle = Bundle.load(tmp_path / "tiny", "car")
    record = bundle.training
    assert set(record["data_sha256"].values()) == {bag_hash(bag) for bag in bags}
    assert record["recipe"]["train"]["all_steps"] == recipe.train.all_steps
    assert record["versions"]["torch"]
    speed = np.concatenate([drive.speed for drive in pipeline.drives])
    assert record["seen"]["speed"] == [float(f"{one:.4g}") for one in np.quantile(speed, [0.01, 0.5, 0.99])]
    for name, low, high in (("mean", 20, 235), ("contrast", 6, 128), ("saturated_share", 0, 0.48)):
        below, middle, above = record["seen"][name]
        assert low <= below <= middle <= above <= high
    told = " | ".join(f"{one:.4g}" for one in record["seen"]["speed"])
    assert f"| speed [m/s] | {told} | – |" in card_of(tmp_path / "tiny")
    assert set(record["durations_s"]) == {
        "read bags",
        *(f"train 0 {stage}" for stage in ("lane", "policy", "all")),
        "calibrate",
        "total",
    }
    assert any("always zero" in note and "repeat the last" in note for note in notes)
    frame = Frame(0, np.full((settings.camera.height, settings.camera.width, 3), 90, np.uint8))
    percept = Perception(bundle, settings).process(frame)
    assert np.isfinite(percept.lane.bound).all()
    decision = LiquidPolicy(bundle, settings).step(percept.features, Odometry(0, 0.0, 0.0, 0.0, 5.0, 0.0))
    assert np.isfinite(decision.nominal.force)


def test_bounds_hold_on_the_drives_that_set_them(drives: list[Drive], settings: Settings) -> None:
    stack = Stack.from_settings(settings, 0)
    found = calibrate(stack, drives, drives, 0.3)  # rank ⌈3 · 0.7⌉ = 3 of 2 drives: too few
    assert np.isinf(found.conformal).all()
    found = calibrate(stack, drives, drives, 0.4)  # rank 2 of 2
    for drive in drives:
        value, scale = read_lane(stack, drive)
        inside = np.abs(value - drive.lane) <= scale * found.conformal * (1 + 1e-9)
        assert (inside.mean(axis=0) >= 0.98).all()
    assert found.errors["rms"][0] == pytest.approx(
        np.sqrt(np.mean(np.concatenate([read_lane(stack, one)[0][:, 0] - one.lane[:, 0] for one in drives]) ** 2))
    )


def test_a_folder_without_bags_is_refused(config: Path, recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(BagError, match="holds no bag"):
        Pipeline(config, tmp_path, recipe).from_bags([tmp_path], tmp_path / "out")


@pytest.mark.slow
def test_from_nothing_to_a_bundle_twice_the_same(config: Path, recipe: Recipe, tmp_path: Path) -> None:
    small = replace(recipe, collect=replace(recipe.collect, duration_s=2.0))
    for name in ("one", "other"):
        Pipeline(config, tmp_path / name, small, "tiny").from_scratch(tmp_path / f"bundle-{name}")
    one, other = (Bundle.load(tmp_path / f"bundle-{name}", "car") for name in ("one", "other"))
    assert one.backbone == other.backbone
    assert one.training["data_sha256"] == other.training["data_sha256"]
    assert len(one.training["data_sha256"]) == 4  # two of the expert, one of DAgger, one for calibration
