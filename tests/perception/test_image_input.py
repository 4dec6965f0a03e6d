# SPDX-License-Identifier: Apache-2.0
"""Image preparation: what is cropped, averaged, normalised and refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.errors import ImageError
from tidegate.perception.image import check_size, crop_rows, normalise, prepare, shrink
from tidegate.settings.perception import PerceptionSettings
from tidegate.settings.sensors import CameraSettings

SHAPE = PerceptionSettings()


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(height=st.integers(20, 200), width=st.integers(20, 300), grey=st.integers(0, 255), top=st.floats(0, 0.6))
@settings(max_examples=40, deadline=None)
def test_any_size_gives_the_input_size_and_grey_stays_grey(height: int, width: int, grey: int, top: float) -> None:
    found = prepare(np.full((height, width, 3), grey, np.uint8), replace(SHAPE, crop_top=top))
    assert found.shape == (3, 48, 96)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, grey / 127.5 - 1, atol=1e-6)


def test_what_is_cropped_does_not_matter_and_what_is_kept_does() -> None:
    image, shape = noise(80, 160), replace(SHAPE, crop_bottom=0.1)
    top, bottom = crop_rows(80, shape)
    assert (top, bottom) == (24, 72)
    outside, inside = image.copy(), image.copy()
    outside[:top], outside[bottom:] = 0, 255
    inside[top] = 0
    np.testing.assert_array_equal(shrink(outside, shape), shrink(image, shape))
    assert not np.array_equal(shrink(inside, shape), shrink(image, shape))


def test_shrinking_by_a_whole_factor_averages_blocks() -> None:
    image = noise(96, 192)
    blocks = image.reshape(48, 2, 96, 2, 3).mean(axis=(1, 3))
    assert np.abs(shrink(image, replace(SHAPE, crop_top=0.0)) - blocks).max() <= 0.5 + 1e-9


def test_left_stays_left_and_red_stays_red() -> None:
    image = np.zeros((80, 160, 3), np.uint8)
    image[:, :80, 0] = 255
    found = prepare(image, SHAPE)
    assert (found[0, :, :46] == 1).all()
    assert (found[0, :, 50:] == -1).all()
    assert (found[1:] == -1).all()


def test_a_batch_is_normalised_as_each_of_its_images() -> None:
    small = np.stack([[shrink(noise(80, 160, 3 * b + t), SHAPE) for t in range(3)] for b in range(2)])
    found = normalise(small)
    assert found.shape == (2, 3, 3, 48, 96)
    for b in range(2):
        for t in range(3):
            np.testing.assert_array_equal(found[b, t], normalise(small[b, t]))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((80, 160), np.uint8),
        np.zeros((80, 160, 4), np.uint8),
        np.zeros((80, 160, 3), np.float32),
        np.zeros((80, 160, 3), np.uint16),
        np.zeros((0, 160, 3), np.uint8),
    ],
)
def test_another_encoding_is_refused(image: np.ndarray) -> None:
    with pytest.raises(ImageError, match="must be \\(height, width, 3\\) uint8 RGB"):
        shrink(image, SHAPE)


def test_another_size_is_refused_naming_both() -> None:
    with pytest.raises(ImageError, match="320 × 160 px; the camera was set up for 160 × 80 px"):
        check_size(noise(160, 320), CameraSettings())


def test_a_crop_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(ImageError, match="leave no image"):
        shrink(noise(80, 160), replace(SHAPE, crop_top=0.6, crop_bottom=0.5))
