# SPDX-License-Identifier: Apache-2.0
"""Another camera than the trained one: what the network makes of its rectified pictures, in MuJoCo and by OpenCV."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from cameras import SETTINGS, info, robot, shifted

from tidegate.bundle import Bundle
from tidegate.errors import BundleError
from tidegate.perception import Perception
from tidegate.perception.lens import Lens
from tidegate.perception.rectify import SAME_PX, Rectifier
from tidegate.records import Frame, Level
from tidegate.robot import camera_view, load_description
from tidegate.settings import Settings
from tidegate.share import share_path
from tidegate.simulation import Simulator

PLACES = [(s, offset, heading) for s in (0, 60, 230) for offset, heading in ((0.0, 0.0), (0.4, 0.03), (-0.5, -0.05))]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load(share_path("models/car-ltc19"), "car")


def pictures(settings: Settings) -> list[np.ndarray]:
    """What the camera sees from the same places on the same road."""
    seen = []
    with Simulator(settings, "road", 5) as simulator:
        for s, offset, heading in PLACES:
            simulator.place(simulator.scene.start + s, offset, heading)
            frame = simulator.observe().frame
            assert frame is not None
            seen.append(frame.image)
    return seen


def lanes(perception: Perception, images: list[np.ndarray]) -> np.ndarray:
    """Offset and heading (N, 2)."""
    percepts = [perception.process(Frame(index, image)) for index, image in enumerate(images)]
    assert all(percept.health.level == Level.OK for percept in percepts)
    return np.array([(percept.lane.offset, percept.lane.heading) for percept in percepts])


@pytest.fixture(scope="module")
def trained(bundle: Bundle) -> np.ndarray:
    """What the network says with the camera that it was trained with."""
    plain = replace(SETTINGS, camera=replace(SETTINGS.camera, latency_s=0.0))
    return lanes(Perception(bundle, plain), pictures(plain))


OTHERS: dict[str, dict[str, Any]] = {
    "looks 5° left": {"rpy_deg": (0, 4, 5)},
    "looks 2° farther down": {"rpy_deg": (0, 6, 0)},
    "rolled by 4°": {"rpy_deg": (4, 4, 0)},
    "turned about all axes": {"rpy_deg": (3, 6, -3)},
    "wider, larger, of another shape": {"width": 320, "height": 240, "fov_deg": 62.0},
    "wider and turned": {"width": 320, "height": 160, "fov_deg": 55.0, "rpy_deg": (0, 4, 5)},
}


@pytest.mark.parametrize("name", OTHERS)
def test_the_lane_is_the_one_that_the_trained_camera_shows(
    bundle: Bundle, trained: np.ndarray, tmp_path: Path, name: str
) -> None:
    other = robot(tmp_path, **OTHERS[name])
    seen, perception = pictures(other), Perception(bundle, other)
    assert perception.rectifies
    off = np.sqrt(np.mean((lanes(perception, seen) - trained) ** 2, axis=0))
    raw = np.sqrt(np.mean((lanes(Perception(replace(bundle, camera=None), other), seen) - trained) ** 2, axis=0))
    assert off[0] < 0.08
    assert off[1] < 0.015
    assert (off / (0.08, 0.015)).sum() < 0.7 * (raw / (0.08, 0.015)).sum()


def test_what_opencv_bends_is_straight_again(bundle: Bundle, tmp_path: Path) -> None:
    """A picture without distortion, bent by OpenCV's own inverse, gives the network the same input and lane."""
    wide = robot(tmp_path, width=640, height=480, fov_deg=70.0)
    (straight,) = pictures(wide)[:1]
    k = info(wide).k
    for model, d in {
        "plumb_bob": (-0.22, 0.05, 0.001, -0.001, 0.0),
        "rational_polynomial": (0.9, 0.1, 0.0, 0.001, 0.01, 1.2, 0.3, 0.02),
        "equidistant": (0.02, -0.01, 0.004, -0.001),
    }.items():
        columns, rows = np.meshgrid(np.arange(640.0), np.arange(480.0))
        pixels = np.stack([columns, rows], -1).reshape(-1, 1, 2)
        undo = cv2.fisheye.undistortPoints if model == "equidistant" else cv2.undistortPoints
        where = undo(pixels, k, np.array(d), P=k).reshape(480, 640, 2).astype(np.float32)
        bent = cv2.remap(straight, where[..., 0], where[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        perception = Perception(bundle, wide)
        plain = perception._small(Frame(0, straight)).astype(int)
        told = perception.calibrate(info(wide, distortion_model=model, d=np.array(d)))
        assert "is rectified" in told, told
        found = perception._small(Frame(0, bent)).astype(int)
        assert np.abs(found - plain).mean() < 1.0, model  # grey values; another lens taken for it: 5 and more
        perception.calibrate(info(wide))
        assert np.abs(perception._small(Frame(0, bent)).astype(int) - plain).mean() > 4.0, model


def test_a_camera_like_the_trained_one_is_left_alone_to_the_bit(bundle: Bundle) -> None:
    """Within SAME_PX; half a pixel is what old bags and Gazebo tell apart from calibrations."""
    image = np.random.default_rng(0).integers(0, 256, (80, 160, 3), dtype=np.uint8)
    direct = Perception(replace(bundle, camera=None), SETTINGS).process(Frame(0, image))
    for k in (info().k, shifted(0.5), shifted(-0.9 * SAME_PX)):
        perception = Perception(bundle, SETTINGS)
        assert "as in training" in perception.calibrate(info(k=k))
        assert not perception.rectifies
        percept = perception.process(Frame(0, image))
        np.testing.assert_array_equal(percept.features.values, direct.features.values)
        np.testing.assert_array_equal(percept.lane.bound, direct.lane.bound)
    perception.calibrate(info(k=shifted(1.1 * SAME_PX)))
    assert perception.rectifies


def test_the_same_is_said_once(bundle: Bundle) -> None:
    perception = Perception(bundle, SETTINGS)
    assert perception.calibrate(info())
    assert perception.calibrate(replace(info(), stamp=7)) == ""
    assert perception.calibrate(info(k=shifted(3.0)))


def test_a_camera_elsewhere_is_refused_and_one_nearby_is_not(bundle: Bundle, tmp_path: Path) -> None:
    Perception(bundle, robot(tmp_path, xyz="2.43 0.02 1.33"))
    with pytest.raises(
        BundleError, match=r"turned\.urdf\.xacro: camera_link is at \(2\.4, 0, 1\.5\) m .* 0\.05 m apart"
    ):
        Perception(bundle, robot(tmp_path, xyz="2.4 0 1.5"))


def test_a_camera_that_shows_too_little_is_refused_and_faulty_while_driving(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"camera\.fov_deg 30\) do not fit .*car-ltc19.* at most 10% may be missing"):
        Perception(bundle, robot(tmp_path, fov_deg=30.0))
    with pytest.raises(BundleError, match=r"turned by 12\.0°"):
        Perception(bundle, robot(tmp_path, (0, 4, 12)))
    perception = Perception(bundle, SETTINGS)
    image = np.random.default_rng(0).integers(0, 256, (80, 160, 3), dtype=np.uint8)
    k = info().k.copy()
    k[0, 0] *= 2
    assert "may be missing" in perception.calibrate(info(k=k))
    percept = perception.process(Frame(3, image))
    assert percept.health.level == Level.ERROR
    assert percept.health.reasons == (perception.fault,)
    assert np.isnan(percept.lane.offset)
    assert "settings state 160 × 80 px" in perception.calibrate(info(width=320))
    perception.calibrate(info())
    assert perception.process(Frame(4, image)).health.level == Level.OK


def test_saliency_lies_where_the_camera_saw_it(tmp_path: Path) -> None:
    """A spot in the real picture, rectified, and its place in the network's input laid back over the real picture."""
    other = robot(tmp_path, (4, 6, -5), width=320, height=160, fov_deg=60.0)
    trained_view = camera_view(SETTINGS, load_description(SETTINGS.vehicle.urdf))
    own = camera_view(other, load_description(other.vehicle.urdf))
    rectifier = Rectifier(trained_view, own.rpy, Lens.of(info(other)), SETTINGS.perception)
    for row, column in ((90, 160), (120, 60), (75, 230)):
        picture = np.zeros((160, 320, 3), np.uint8)
        picture[row - 3 : row + 4, column - 3 : column + 4] = 255
        taken = rectifier.apply(picture)
        values = cv2.resize(taken[..., 0], (96, 48), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        placed = rectifier.back(values)
        assert placed.shape == (160, 320)
        centre = (placed * np.arange(160)[:, None]).sum() / placed.sum(), (placed * np.arange(320)).sum() / placed.sum()
        assert math.dist(centre, (row, column)) < 2.0


def test_a_bundle_of_before_takes_the_stated_camera_for_its_own(bundle: Bundle, tmp_path: Path) -> None:
    perception = Perception(replace(bundle, camera=None), robot(tmp_path, (0, 0, 9), xyz="1 0 2", fov_deg=30.0))
    assert not perception.rectifies
