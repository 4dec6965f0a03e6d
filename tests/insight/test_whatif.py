# SPDX-License-Identifier: Apache-2.0
"""Altered pictures are what the sliders say, and the recorded place of the grid is the recorded frame."""

from __future__ import annotations

import numpy as np
import pytest

from tidegate.insight.whatif import PLAIN, altered


def image() -> np.ndarray:
    return np.random.default_rng(3).integers(60, 180, (40, 60, 3), dtype=np.uint8)


def test_the_recorded_picture_is_left_as_it_is() -> None:
    assert np.array_equal(altered(image(), **PLAIN), image())


@pytest.mark.parametrize(("brightness", "gain"), [(40.0, 1.0), (-80.0, 1.0), (0.0, 1.5), (40.0, 2.0), (-40.0, 0.5)])
def test_gain_then_brightness_then_the_ends_of_the_scale(brightness: float, gain: float) -> None:
    made = altered(image(), **PLAIN | {"brightness": brightness, "gain": gain})
    assert np.array_equal(made, np.clip(np.rint(image() * gain + brightness), 0, 255))


def test_blur_keeps_the_mean_and_takes_the_detail() -> None:
    made = altered(image(), **PLAIN | {"blur": 2.0})
    assert made.mean() == pytest.approx(image().mean(), abs=0.5)
    assert made.std() < image().std() / 3


def test_noise_has_its_standard_deviation_and_is_the_same_each_time() -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    made = altered(grey, **PLAIN | {"noise": 20.0})
    assert made.std() == pytest.approx(20.0, rel=0.02)
    assert np.array_equal(made, altered(grey, **PLAIN | {"noise": 20.0}))
