# SPDX-License-Identifier: Apache-2.0
"""An arm's pictures: what is seen in those that can be trusted, no number for those that cannot."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from tidegate.arm_stack import ArmStack
from tidegate.bundle import Bundle
from tidegate.perception.arm_perception import ArmPerception
from tidegate.perception.sight import Sight
from tidegate.records import Frame, Level
from tidegate.settings.arm import load_arm_settings
from tidegate.share import share_path

SETTINGS = load_arm_settings(share_path("config/arm.yaml"))
SIZE = SETTINGS.camera.height, SETTINGS.camera.width, 3


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return ArmStack(SETTINGS, 3000).to_bundle("arm-test")


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(20, 200, SIZE).astype(np.uint8)


def test_a_sound_picture_is_seen_as_the_sight_sees_it(bundle: Bundle) -> None:
    features, health = ArmPerception(bundle).process(Frame(5, picture(0)))
    assert (features.stamp, health.stamp, health.level) == (5, 5, Level.OK)
    np.testing.assert_array_equal(features.values, Sight(bundle)(picture(0)))


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (np.zeros(SIZE, np.uint8), "black"),
        (np.full(SIZE, 255, np.uint8), "over-exposed"),
        (np.full(SIZE, 90, np.uint8), "no contrast"),
        (picture(0)[::2], "image is 160 × 56 px; the network was trained with 160 × 112 px"),
    ],
)
def test_what_is_seen_in_a_picture_that_is_not_to_be_trusted_is_no_number(
    bundle: Bundle, wrong: np.ndarray, reason: str
) -> None:
    features, health = ArmPerception(bundle).process(Frame(5, wrong))
    assert health.level == Level.ERROR
    assert reason in "; ".join(health.reasons)
    assert features.values.shape == (8,)
    assert np.isnan(features.values).all()


def test_a_frozen_camera_is_found_and_forgotten_when_the_node_begins_anew(bundle: Bundle) -> None:
    perception = ArmPerception(bundle)
    levels = [perception.process(Frame(stamp, picture(0)))[1].level for stamp in range(4)]
    assert levels == [Level.OK] * 3 + [Level.ERROR]
    perception.forget()
    assert perception.process(Frame(4, picture(0)))[1].level == Level.OK
