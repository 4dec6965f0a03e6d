# SPDX-License-Identifier: Apache-2.0
"""The search finds what it looks for, does so twice, and every step of it is an ordinary episode."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tidegate.attack.search as searching
from tidegate.attack.campaign import OUTCOMES
from tidegate.attack.episode import Episode, run_episode
from tidegate.attack.search import POPULATION, search, search_starts
from tidegate.share import share_path

SETTINGS, BUNDLE = str(share_path("config/car.yaml")), str(share_path("models/car-ltc19"))
TARGET = np.linspace(-0.6, 0.6, 12)


def pretended(episodes: list[Episode], *_: Any) -> list[Any]:
    """Margin: distance of the plan from a target of each scene."""
    return [
        SimpleNamespace(margin=float(np.sum((np.array(one.plan) - TARGET * (1 if one.scene == "road" else -1)) ** 2)))
        for one in episodes
    ]


def test_every_search_finds_its_own_minimum_whatever_others_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "run_attack", pretended)
    one, other = (Episode(SETTINGS, BUNDLE, scene, 1, "profile") for scene in ("road", "truck"))
    alone = [outcome.margin for outcome in search([one], 60, Path())]
    assert len(alone) == 60 * POPULATION
    assert min(alone) < 1e-3 < 0.5 < min(alone[:POPULATION])
    both = [outcome.margin for outcome in search([other, one], 60, Path())]
    mine = np.array(both).reshape(60, 2, POPULATION)[:, 1]
    assert mine.ravel().tolist() == alone


def test_searches_start_once_for_each_scene_and_seed_without_a_fault_or_a_camera() -> None:
    base = [
        Episode(SETTINGS, BUNDLE, scene, seed, who, sensors, camera=seed == 2)
        for scene in ("road", "truck")
        for seed, sensors in ((1, "exact"), (2, "failing"))
        for who in ("noise", "outward")
    ]
    starts = search_starts(base)
    assert [(one.scene, one.seed, one.sensors) for one in starts] == [
        ("road", 1, "exact"),
        ("road", 2, "wrong"),
        ("truck", 1, "exact"),
        ("truck", 2, "wrong"),
    ]
    assert {(one.adversary, one.camera) for one in starts} == {("profile", False)}


@pytest.mark.slow
def test_a_search_of_real_drives_goes_on_where_it_stopped_and_its_worst_can_be_driven_again(tmp_path: Path) -> None:
    start = Episode(SETTINGS, BUNDLE, "road", 5000, "profile", longest_s=8.0, from_speed=4.0)
    first = search([start], 1, tmp_path)
    fresh: list[float] = []
    both = search([start], 2, tmp_path, heard=lambda one: fresh.append(one.margin))
    assert both[:POPULATION] == first
    assert len(fresh) == POPULATION
    assert (tmp_path / OUTCOMES).read_text().count("\n") == 1 + 2 * POPULATION
    worst = min(both, key=lambda one: one.margin)
    assert worst.searched
    assert run_episode(Episode.of(worst.episode, SETTINGS, BUNDLE)) == worst
