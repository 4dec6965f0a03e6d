# SPDX-License-Identifier: Apache-2.0
"""The matrices that crop and average an image against OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.export.resize import area_weights


def sides(least: int = 16):
    return st.tuples(st.integers(least, 200), st.integers(least, 200)).map(lambda two: (max(two), min(two)))


@settings(max_examples=200)
@given(sides(), sides(), st.integers(0, 2**32 - 1))
def test_averages_are_those_of_opencv(height, width, seed):
    """To the level, but for averages that lie halfway between two: there it may be the other one."""
    image = np.random.default_rng(seed).integers(0, 256, (height[0], width[0]), dtype=np.uint8)
    expected = cv2.resize(image, (width[1], height[1]), interpolation=cv2.INTER_AREA)
    average = area_weights(*height) @ image @ area_weights(*width).T
    halfway = np.abs(average - np.floor(average) - 0.5) < 1e-3
    off = np.abs(np.rint(average) - expected)
    assert off.max() <= 1
    assert not off[~halfway].any()


@given(sides())
def test_shares_add_up(side):
    shares = area_weights(*side)
    assert (shares >= 0).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_allclose(shares.sum(axis=0), side[1] / side[0])
