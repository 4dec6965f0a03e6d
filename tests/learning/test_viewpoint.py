# SPDX-License-Identifier: Apache-2.0
"""Moved views against what the simulated camera really sees from there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tidegate.learning.recipe import AugmentRecipe
from tidegate.learning.viewpoint import Viewpoint
from tidegate.perception.image import shrink
from tidegate.settings import Settings
from tidegate.share import share_path
from tidegate.simulation import Simulator


@pytest.fixture(scope="module")
def simulator(settings: Settings) -> Iterator[Simulator]:
    no_latency = replace(settings, camera=replace(settings.camera, latency_s=0.0))
    with Simulator(no_latency, "road", 5) as simulator:
        yield simulator


def view(simulator: Simulator, settings: Settings, offset: float, heading: float) -> tuple[np.ndarray, np.ndarray]:
    """Image and lane from a place on a straight stretch."""
    simulator.place(simulator.scene.start, offset, heading)
    frame, truth = simulator.observe().frame, simulator.truth()
    assert frame is not None
    lane = np.array([truth.offset, truth.heading, *truth.curvature], np.float32)
    return shrink(frame.image, settings.perception), lane


@pytest.mark.parametrize(("offset", "heading"), [(0.5, 0.0), (0.0, 0.08), (-0.4, 0.06), (0.5, -0.1)])
def test_a_moved_view_is_what_the_camera_sees_there(
    simulator: Simulator, settings: Settings, offset: float, heading: float
) -> None:
    image, lane = view(simulator, settings, 0.0, 0.0)
    truth, there = view(simulator, settings, offset, heading)
    moved, labels = Viewpoint(settings).move(image[None], lane[None], np.array([offset]), np.array([heading]))
    np.testing.assert_allclose(labels[0, :2], there[:2], atol=2e-3)
    road = (slice(16, None), slice(10, -10))  # the road, without the margins that the camera did not see

    def difference(other: np.ndarray) -> float:
        return float(np.abs(other[road].astype(float) - truth[road]).mean())

    assert difference(moved[0]) < 0.4 * difference(image)


def test_a_view_from_a_turned_mount_beside_the_middle_is_moved_as_seen_from_there(
    settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "turned.urdf.xacro"
    text = share_path("urdf/car.urdf.xacro").read_text()
    mount = 'xyz="2.4 0 1.36" rpy="0 ${radians(4)} 0"'
    path.write_text(text.replace(mount, 'xyz="2.2 0.4 1.4" rpy="0.2 0.08 -0.06"'))
    camera = replace(settings.camera, latency_s=0.0)
    other = replace(settings, camera=camera, vehicle=replace(settings.vehicle, urdf=str(path)))
    with Simulator(other, "road", 5) as turned:
        image, lane = view(turned, other, 0.0, 0.0)
        truth, _ = view(turned, other, 0.4, -0.08)
    road = (slice(18, None), slice(14, -14))

    def difference(seen: np.ndarray) -> float:
        return float(np.abs(seen[road].astype(float) - truth[road]).mean())

    moved, _ = Viewpoint(other).move(image[None], lane[None], np.array([0.4]), np.array([-0.08]))
    straight, _ = Viewpoint(settings).move(image[None], lane[None], np.array([0.4]), np.array([-0.08]))
    assert difference(moved[0]) < 0.4 * difference(image)
    assert difference(moved[0]) < 0.8 * difference(straight[0])


def test_no_move_changes_nothing(drives: list, settings: Settings) -> None:
    images, lane = drives[0].images[:5], drives[0].lane[:5].astype(np.float32)
    moved, labels = Viewpoint(settings).move(images, lane, np.zeros(5), np.zeros(5))
    assert np.abs(moved.astype(int) - images).max() <= 1  # rounding of the resampling
    np.testing.assert_array_equal(labels, lane)


def test_moves_are_as_wide_as_asked_for(drives: list, settings: Settings) -> None:
    images = np.repeat(drives[0].images[:1], 400, axis=0)
    lane = np.zeros((400, 6), np.float32)
    recipe = replace(AugmentRecipe(), move_share=0.5, move_offset=0.3, move_yaw=0.05)
    moved, labels = Viewpoint(settings).disturb(images, lane, recipe, np.random.default_rng(0))
    still = labels[:, 1] == 0
    assert 0.4 < still.mean() < 0.6
    assert labels[~still, 0].std() == pytest.approx(0.3, rel=0.15)
    assert labels[~still, 1].std() == pytest.approx(0.05, rel=0.15)
    assert (labels[:, 2:] == 0).all()
    np.testing.assert_array_equal(moved[still, :, 20:-20], np.repeat(moved[still][:1], still.sum(), 0)[:, :, 20:-20])
