# SPDX-License-Identifier: Apache-2.0
"""Bags without a lane train: the command is learnt, the lane's bounds stay unknown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tubs import Take, tub

from tidegate.bundle import Bundle
from tidegate.learning.recipe import Recipe
from tidegate.share import share_path

pytest.importorskip("torch")
pytest.importorskip("mujoco", reason="the learning room records drives too")

from tidegate.learning.pipeline import Listener, Pipeline


@pytest.mark.slow
@pytest.mark.parametrize("longest_s", [2.0, 60.0], ids=["three bags", "one bag"])
def test_an_imported_tub_becomes_a_bundle(longest_s: float, take: Take, tmp_path: Path) -> None:
    found = take(tub(tmp_path / "tub", 120), longest_s=longest_s)
    small = Recipe()
    recipe = replace(
        small,
        threads=1,
        train=replace(
            small.train, lane_frames=8, lane_steps=3, policy_steps=3, all_steps=2, batch=4, window=12, warm_up=2
        ),
    )
    notes: list[str] = []
    config = share_path("config/car.yaml").resolve()
    pipeline = Pipeline(config, tmp_path / "work", recipe, "tiny", Listener(note=notes.append))
    pipeline.from_bags([tmp_path / "out"], tmp_path / "tiny")
    bundle = Bundle.load(tmp_path / "tiny", "car")
    assert bundle.conformal == ()
    assert bundle.training["metrics"]["calibration"] == {}
    assert len(bundle.training["data_sha256"]) == len(found.bags)
    assert any("no bag tells of the lane" in note for note in notes)
    if len(found.bags) > 1:
        assert np.isfinite(bundle.training["metrics"]["train 0"]["curvature"])
        assert any("held-out bags: command loss" in note and "lane error" not in note for note in notes)
