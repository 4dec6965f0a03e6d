# SPDX-License-Identifier: Apache-2.0
"""Faithfulness figures against networks whose truth is known: one that looks at a corner, one that looks nowhere."""

import numpy as np
import pytest

from tidegate.insight.attribution import deletion, shares


@pytest.fixture
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.integers(0, 255, (48, 96, 3), dtype=np.uint8) for _ in range(6)]


def corner(image):
    return np.array([image[:12, :12].astype(float).std()])


def map_of(rows, columns):
    made = np.zeros((48, 96))
    made[rows, columns] = 1.0
    return made


def test_a_true_map_beats_chance_and_a_false_one_does_not(images):
    true = deletion(corner, images, [map_of(slice(0, 12), slice(0, 12))] * 6)
    false = deletion(corner, images, [map_of(slice(30, 48), slice(60, 96))] * 6, fractions=(0.01, 0.05, 0.1))
    assert true.advantage > 2
    assert false.advantage == 0
    assert np.all(np.diff(true.random) > 0)


def test_a_map_and_chance_paint_as_much_of_what_the_network_looks_at(images):
    """Of half the picture, half as many patches are painted; by chance the corner is hit as often as before."""
    maps = [map_of(slice(0, 12), slice(0, 12))] * 6
    whole = deletion(corner, images, maps, draws=40)
    upper = deletion(corner, images, maps, draws=40, rows=slice(0, 24))
    assert upper.random.sum() == pytest.approx(whole.random.sum(), rel=0.1)
    assert np.array_equal(upper.salient[3:5], whole.salient[2:4]), "10 % and 20 % of half the picture are 5 % and 10 %"


def test_a_network_that_looks_nowhere_gives_no_figure(images):
    assert np.isnan(deletion(lambda image: np.array([1.0]), images, [np.ones((48, 96))] * 6).advantage)


def test_shares_of_a_flat_map_equal_the_areas():
    road = map_of(slice(24, 48), slice(None)).astype(bool)
    flat = shares([np.ones((48, 96))], [{"road": road, "vegetation": ~road}])
    assert flat == {"road": (0.5, 0.5), "vegetation": (0.5, 0.5)}
    peaked = shares([road.astype(float)], [{"road": road, "vegetation": ~road}])
    assert peaked["road"] == (1.0, 0.5)
    assert peaked["vegetation"] == (0.0, 0.5)
