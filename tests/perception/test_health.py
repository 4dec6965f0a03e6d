# SPDX-License-Identifier: Apache-2.0
"""Health of the image: each fault by name, and no alarm on ordinary frames."""

from dataclasses import replace

import numpy as np
import pytest

from tidegate.perception.health import HealthMonitor, Training
from tidegate.records import ImageHealth, Level
from tidegate.settings.perception import PerceptionSettings

SETTINGS = PerceptionSettings()
FEATURES = np.zeros(8, np.float32)


def road(seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    image = np.full((48, 96, 3), 90, np.int16)
    image[:, 30:34] = 230
    return np.clip(image + random.integers(-3, 4, image.shape), 0, 255).astype(np.uint8)


def one(image: np.ndarray, features: np.ndarray = FEATURES) -> ImageHealth:
    return HealthMonitor(SETTINGS, None).judge(1, image, features, FEATURES)


def test_an_ordinary_road_is_healthy() -> None:
    monitor = HealthMonitor(SETTINGS, None)
    for index in range(50):
        health = monitor.judge(index, road(index), FEATURES, FEATURES)
        assert health.level == Level.OK
        assert health.reasons == ()
        assert health.stamp == index


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.full((48, 96, 3), 255, np.uint8), "over-exposed"),
        (np.zeros((48, 96, 3), np.uint8), "black"),
        (np.full((48, 96, 3), 120, np.uint8), "no contrast"),
    ],
)
def test_a_useless_image_is_an_error_on_its_first_frame(image: np.ndarray, reason: str) -> None:
    health = one(image)
    assert health.level == Level.ERROR
    assert any(words.startswith(reason) for words in health.reasons)


def test_a_partly_saturated_image_is_judged_by_its_share() -> None:
    image = road()
    rows = round(48 * SETTINGS.saturated_share)
    image[: rows - 3] = 255
    assert one(image).level == Level.OK
    image[: rows + 3] = 255
    assert one(image).level == Level.ERROR
    image[: rows + 3, :, 1:] = 200  # one channel that is clipped has lost its colour too
    assert one(image).level == Level.ERROR


def test_the_camera_is_frozen_from_the_set_number_of_identical_images_until_it_moves() -> None:
    monitor = HealthMonitor(SETTINGS, None)
    levels = [monitor.judge(i, road(7), FEATURES, FEATURES).level for i in range(6)]
    assert levels == [Level.OK] * (SETTINGS.frozen_frames - 1) + [Level.ERROR] * (7 - SETTINGS.frozen_frames)
    assert monitor.judge(9, road(8), FEATURES, FEATURES).level == Level.OK


@pytest.mark.parametrize("buffers", [2, 3, 8])
def test_a_driver_that_goes_round_its_old_buffers_is_a_frozen_camera(buffers: int) -> None:
    monitor = HealthMonitor(SETTINGS, None)
    for index in range(buffers):
        assert monitor.judge(index, road(index), FEATURES, FEATURES).level == Level.OK
    levels = [monitor.judge(i, road(i % buffers), FEATURES, FEATURES).level for i in range(12)]
    assert levels == [Level.OK] * (SETTINGS.frozen_frames - 2) + [Level.ERROR] * (14 - SETTINGS.frozen_frames)


def test_an_outlier_distance_that_is_no_number_is_an_outlier() -> None:
    monitor = HealthMonitor(SETTINGS, Training(np.zeros(8), np.full((8, 8), np.nan), 1.0))
    levels = [monitor.judge(i, road(i), FEATURES, FEATURES).level for i in range(SETTINGS.outlier_frames)]
    assert levels[-1] == Level.ERROR


def test_features_that_are_not_finite_are_an_error() -> None:
    assert one(road(), np.array([0, np.nan], np.float32)).reasons == ("features are not finite",)


def training(count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    mixing = random.normal(size=(8, 8)) * np.geomspace(1, 1e-3, 8)
    return mixing, random.normal(size=(count, 8)) @ mixing.T + 3


def test_the_distance_is_mahalanobis_and_its_quantile_is_the_one_asked_for() -> None:
    _, values = training()
    known = Training.of(values, 0.9)
    distances = np.array([known.mahalanobis(value) for value in values])
    assert np.mean(distances > known.distance) == pytest.approx(0.1, abs=0.002)
    covariance = np.cov(values.T)
    covariance += 1e-3 * np.trace(covariance) / 8 * np.eye(8)
    offset = values[5] - values.mean(axis=0)
    assert distances[5] == pytest.approx(np.sqrt(offset @ np.linalg.solve(covariance, offset)), rel=1e-6)


def test_new_frames_like_those_of_training_never_raise_the_alarm() -> None:
    mixing, values = training()
    monitor = HealthMonitor(SETTINGS, Training.of(values))
    random = np.random.default_rng(2)
    for index in range(2000):
        signature = mixing @ random.normal(size=8) + 3
        assert monitor.judge(index, road(index), FEATURES, signature).level == Level.OK


def test_an_outlier_must_last_to_raise_the_alarm_and_to_clear_it() -> None:
    _, values = training()
    monitor = HealthMonitor(replace(SETTINGS, outlier_frames=3), Training.of(values))
    near, far = values[0], values[0] + 1000.0
    sequence = [far, far, near, far, far, far, near, near, far, near, near, near]
    levels = [monitor.judge(i, road(i), FEATURES, value).level for i, value in enumerate(sequence)]
    ok, error = Level.OK, Level.ERROR
    assert levels == [ok, ok, ok, ok, ok, error, error, error, error, error, error, ok]


def test_a_whiteout_that_still_shows_a_trace_of_the_road_is_over_exposed() -> None:
    noise = np.random.default_rng(0).normal(0, 2, (48, 96, 3))
    image = road().astype(float)
    image *= 255 / np.percentile(image.max(axis=2), 28)
    image = np.clip(image + noise, 0, 255).astype(np.uint8)
    assert any(words.startswith("over-exposed") for words in one(image).reasons)
