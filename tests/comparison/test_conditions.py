# SPDX-License-Identifier: Apache-2.0
"""What the conditions do to the camera, and that the same road has the same again."""

from __future__ import annotations

import numpy as np
import pytest

from tidegate.comparison.conditions import CONDITIONS, Condition, Eyes, UnevenCamera, check_conditions
from tidegate.errors import SettingsError
from tidegate.records import Frame
from tidegate.settings import load_settings
from tidegate.share import share_path

FRAME = Frame(7, np.full((40, 60, 3), 120, np.uint8))


def test_on_clean_pictures_nothing_changes() -> None:
    eyes = Eyes(CONDITIONS["clean"], 3)
    seen = [eyes.see(FRAME) for _ in range(50)]
    assert all(one is not None and one.stamp == 7 and np.array_equal(one.image, FRAME.image) for one in seen)


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_so_many_frames_are_dropped_and_the_same_ones_again(share: float) -> None:
    eyes, again = (Eyes(Condition(dropped=share), 3) for _ in range(2))
    absent = [eyes.see(FRAME) is None for _ in range(2000)]
    assert np.mean(absent) == pytest.approx(share, abs=0.03)
    assert [again.see(FRAME) is None for _ in range(2000)] == absent


def test_noise_has_its_variance_and_is_new_in_every_frame() -> None:
    eyes = Eyes(Condition(noise=0.01), 3)
    one, other = eyes.see(FRAME), eyes.see(FRAME)
    assert one is not None
    assert other is not None
    assert np.var(one.image / 255) == pytest.approx(0.01, rel=0.1)
    assert abs(np.corrcoef(one.image.ravel(), other.image.ravel())[0, 1]) < 0.05
    again = Eyes(Condition(noise=0.01), 3).see(FRAME)
    assert again is not None
    assert np.array_equal(again.image, one.image)


def test_the_dark_has_less_light_than_any_augmentation() -> None:
    from tidegate.learning.recipe import Recipe

    assert CONDITIONS["dark"].light < 1 - Recipe().augment.light
    seen = Eyes(CONDITIONS["dark"], 3).see(FRAME)
    assert seen is not None
    assert np.array_equal(seen.image, np.full((40, 60, 3), 36, np.uint8))


def test_the_uneven_camera_takes_pictures_half_to_one_and_a_half_periods_apart() -> None:
    settings = load_settings(share_path("config/car.yaml"))
    with UnevenCamera(settings, "road", 3400, camera=False) as one, UnevenCamera(settings, camera=False) as other:
        taken, others = (np.flatnonzero([world.frame_due(tick) for tick in range(4000)]) for world in (one, other))
    gaps, period = np.diff(taken), settings.safety.rate_hz / settings.camera.rate_hz
    assert taken[0] == 0
    assert gaps.min() == 0.5 * period
    assert gaps.max() == 1.5 * period
    assert gaps.mean() == pytest.approx(period, rel=0.05)
    assert not np.array_equal(taken[:50], others[:50])


@pytest.mark.parametrize("names", [(), ("clean", "fog")])
def test_a_condition_that_there_is_none_of_is_named(names: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match="is no condition; there are clean, noise"):
        check_conditions(names)
