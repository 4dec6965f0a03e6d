# SPDX-License-Identifier: Apache-2.0
"""Maps and their figures against commands whose truth is known, and against the shipped network on a real road."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tidegate.bundle import Bundle
from tidegate.insight.maps import Probe, blur, noisy, occlusion, ssim
from tidegate.insight.moments import prompt, ride, set_down
from tidegate.insight.saliency import curve, masks_of, order, shares
from tidegate.insight.saliency_facts import area
from tidegate.liquid import LiquidPolicy
from tidegate.perception import Perception
from tidegate.settings import load_settings
from tidegate.share import share_path
from tidegate.simulation import Simulator

ROWS = slice(16, 48)
FULL = (5000.0, 0.1)


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 255, (48, 96, 3), dtype=np.uint8)


def corner(image: np.ndarray) -> np.ndarray:
    """A command that goes by one corner alone."""
    return np.array([image[16:28, :12].astype(float).std() / 100, 0.0])


def at_corner() -> np.ndarray:
    made = np.zeros((48, 96))
    made[16:28, :12] = 1.0
    return made


def test_a_true_map_beats_chance_in_deletion_and_in_insertion(image: np.ndarray) -> None:
    true, false = order(at_corner()[ROWS]), order(1.0 - at_corner()[ROWS])
    chance = np.random.default_rng(0).permutation(len(true))
    gone = {
        name: area(curve(corner, image, ROWS, places, back=False))
        for name, places in {"true": true, "false": false, "chance": chance}.items()
    }
    back = {
        name: area(curve(corner, image, ROWS, places, back=True))
        for name, places in {"true": true, "false": false, "chance": chance}.items()
    }
    assert gone["true"] > gone["chance"] > gone["false"]
    assert back["true"] < back["chance"] < back["false"]


def test_what_the_network_does_not_look_at_is_left_alone(image: np.ndarray) -> None:
    seen = []

    def spy(changed: np.ndarray) -> np.ndarray:
        seen.append(changed)
        return np.zeros(2)

    curve(spy, image, ROWS, order(at_corner()[ROWS]), back=True)
    occlusion(spy, image, ROWS)
    assert len(seen) > 40
    assert all(np.array_equal(one[:16], image[:16]) for one in seen)


def test_occlusion_finds_the_corner_that_the_command_goes_by(image: np.ndarray) -> None:
    found = occlusion(corner, image, ROWS, side=4)
    assert found[at_corner() > 0].min() > 0.0
    assert found[at_corner() == 0].max() == 0.0


def test_ssim_is_one_for_the_same_map_and_falls_with_noise() -> None:
    map_ = np.add.outer(np.sin(np.arange(40) / 5), np.cos(np.arange(80) / 7)) + 2.0
    random = np.random.default_rng(1)
    little, much = (map_ + level * random.random(map_.shape) for level in (0.1, 2.0))
    assert ssim(map_, 3.0 * map_) == pytest.approx(1.0)
    assert 1.0 > ssim(map_, little) > ssim(map_, much) > ssim(map_, random.random(map_.shape))


def test_noise_has_the_variance_that_was_asked_for() -> None:
    grey = np.full((200, 200, 3), 127, np.uint8)
    assert (noisy(grey, 0.01, 0) / 255.0).var() == pytest.approx(0.01, rel=0.05)


def test_shares_of_a_flat_map_equal_the_areas() -> None:
    road = np.zeros((10, 10), bool)
    road[6:] = True
    assert shares(np.ones((10, 10)), {"road": road, "sky": ~road}) == pytest.approx({"road": 0.4, "sky": 0.6})
    assert np.isnan(shares(np.zeros((10, 10)), {"road": road})["road"])


def test_integrated_gradients_add_up_to_what_the_picture_changes() -> None:
    settings = prompt(load_settings(share_path("config/car.yaml")))
    bundle = Bundle.load(share_path("models/car-ltc19"), "car")
    perception, policy = Perception(bundle, settings), LiquidPolicy(bundle, settings)
    probe = Probe(bundle, perception, policy, FULL)
    with Simulator(settings, "road", 1001) as simulator:
        set_down(simulator, np.random.default_rng(0))
        glance = list(islice(ride(simulator, perception, policy), 12))[-1]
        masks = masks_of(simulator)
    picture, command = glance.frame.image, probe.command(glance)
    asked = np.array([glance.decision.nominal.force, glance.decision.nominal.curvature]) / FULL
    np.testing.assert_allclose(command(picture), asked, atol=1e-4)
    map_, owed = probe.gradients(glance, picture, steps=64)
    change = command(picture) - command(blur(picture))
    assert np.abs(change).max() > 0.004, "else there is nothing to share out"
    np.testing.assert_allclose(owed, change, atol=0.1 * np.abs(change).max())
    rows = probe.rows(len(picture))
    assert not map_[: rows.start].any()
    assert map_[rows].min() >= 0.0
    kinds = np.stack([masks[name] for name in ("road", "lines", "vegetation", "vehicles", "ground", "sky")])
    assert (kinds.sum(axis=0) == 1).all(), "each pixel shows one thing"
    assert 5 <= masks["horizon"][:, 0].sum() <= 7


@pytest.mark.slow
def test_the_command_judges_its_maps_and_writes_figures_and_pictures(tmp_path: Path) -> None:
    from tidegate.cli.app import app

    out = tmp_path / "saliency"
    words = ["saliency", "--scene", "road", "--seeds", "1001", "--moments", "2", "--processes", "1", "--out", str(out)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    told = json.loads((out / "saliency.json").read_text("utf-8"))
    assert (told["moments"], told["worlds"]) == (2, 1)
    for name, entry in told["methods"].items():
        assert entry["deletion"]["advantage"] > 1.0, name
    shares_of = told["methods"]["VisualBackProp"]["shares"]
    classes = ("road", "lines", "vegetation", "vehicles", "ground", "sky")
    assert sum(shares_of[kind]["saliency"][0] for kind in classes) == pytest.approx(1.0)
    assert sum(shares_of[kind]["picture"] for kind in classes) == pytest.approx(1.0)
    assert set(told["methods"]["VisualBackProp"]["ssim"]) == {"0.1", "0.2", "0.3", "another moment"}
    lines = (out / "shares.csv").read_text("utf-8").splitlines()
    assert len(lines) == 1 + 2 * len(shares_of)
    assert (out / "saliency.svg").read_text("utf-8").startswith("<svg")
    assert (out / "saliency.png").read_bytes()[1:4] == b"PNG"
