# SPDX-License-Identifier: Apache-2.0
"""The lens models against OpenCV's, and what a camera may say of itself without anything raised but one clear line."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from cameras import info, robot
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tidegate.bundle import Bundle
from tidegate.errors import ImageError
from tidegate.perception import Perception
from tidegate.perception.lens import COEFFICIENTS, Lens
from tidegate.records import CameraInfo, Frame, Level
from tidegate.settings import load_settings
from tidegate.share import share_path

K = np.array([[410.0, 0, 322.5], [0, 405.0, 238.0], [0, 0, 1]])
CURVED = {
    "plumb_bob": (-0.28, 0.09, 0.001, -0.0007, -0.012),
    "rational_polynomial": (2.1, 0.4, 0.0006, -0.0004, 0.012, 2.4, 0.9, 0.08),
    "equidistant": (-0.03, 0.004, -0.002, 0.0003),
}


def rays() -> np.ndarray:
    across, down = np.meshgrid(np.linspace(-0.8, 0.8, 21), np.linspace(-0.6, 0.6, 15))
    return np.stack([across, down, np.ones_like(across)]) * 3.0


@pytest.mark.parametrize("model", CURVED)
def test_a_ray_lands_where_opencv_says(model: str) -> None:
    lens = Lens.of(CameraInfo(0, 640, 480, K, model, np.array(CURVED[model])))
    u, v = lens.project(rays())
    points = rays().reshape(3, -1).T[:, None]
    nothing, d = np.zeros(3), np.array(CURVED[model])
    if model == "equidistant":
        found, _ = cv2.fisheye.projectPoints(points, nothing, nothing, K, d)
    else:
        found, _ = cv2.projectPoints(points, nothing, nothing, K, d)
    np.testing.assert_allclose(np.stack([u, v], -1).reshape(-1, 2), found[:, 0], atol=1e-6)


@pytest.mark.parametrize("model", COEFFICIENTS)
def test_no_coefficients_are_no_distortion(model: str) -> None:
    plain = Lens.of(CameraInfo(0, 640, 480, K, model, np.zeros(0)))
    u, v = plain.project(rays())
    x, y, z = rays()
    np.testing.assert_allclose(u, K[0, 0] * x / z + K[0, 2])
    np.testing.assert_allclose(v, K[1, 1] * y / z + K[1, 2])


def test_what_a_lens_cannot_see_is_nowhere() -> None:
    """Behind the camera; and beyond where the polynomial folds back: OpenCV would show it inside the picture."""
    barrel = np.array([-0.5, 0.0, 0.0, 0.0, 0.0])  # r (1 − r²/2) turns back at r = √(2/3) = 0.816
    lens = Lens.of(CameraInfo(0, 640, 480, K, "plumb_bob", barrel))
    assert lens.reach == pytest.approx(np.sqrt(2 / 3), abs=0.005)
    u, _ = lens.project(np.array([[0.0, 0.8, 1.2, 0.0], [0.0, 0, 0, 0], [1.0, 1, 1, -1]]))
    assert np.isfinite(u).tolist() == [True, True, False, False]
    folded, _ = cv2.projectPoints(np.array([[[1.2, 0.0, 1.0]]]), np.zeros(3), np.zeros(3), K, barrel)
    assert 0 < folded[0, 0, 0] < 640
    fisheye = Lens.of(CameraInfo(0, 640, 480, K, "equidistant", np.zeros(4)))
    u, _ = fisheye.project(np.array([[1.0], [0.0], [-0.2]]))
    assert u[0] == pytest.approx(K[0, 2] + K[0, 0] * (np.pi / 2 + np.arctan(0.2)))


def test_a_binned_window_is_the_whole_picture_cut_and_averaged() -> None:
    """Rays through the corners of the window land on the corners of what is sent."""
    whole = Lens.of(CameraInfo(0, 640, 480, K))
    part = Lens.of(CameraInfo(0, 640, 480, K, binning=(2, 4), window=(100, 40, 320, 240)))
    assert (part.width, part.height) == (160, 60)
    ray = rays()
    for full, sent, first, bins in zip(whole.project(ray), part.project(ray), (100, 40), (2, 4), strict=True):
        np.testing.assert_allclose(sent + 0.5, (full + 0.5 - first) / bins)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"k": np.full((3, 3), np.nan)}, "K is nan nan"),
        ({"k": np.diag([0.0, 104.0, 1.0])}, "focal lengths above 0"),
        ({"k": np.diag([104.0, -104.0, 1.0])}, "focal lengths above 0"),
        ({"k": np.ones((3, 3))}, "it must be fx s cx"),
        ({"d": np.zeros(3)}, "D is 0 0 0; plumb_bob has 4 or 5 coefficients"),
        ({"d": np.zeros(12), "distortion_model": "rational_polynomial"}, "rational_polynomial has 8 coefficients"),
        ({"d": np.full(5, np.inf)}, "all finite"),
        ({"d": np.ones(4), "distortion_model": "ftheta"}, "'ftheta'; known are plumb_bob"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ImageError, match=words):
        Lens.of(info(**wrong))


numbers = st.one_of(st.floats(), st.sampled_from([0.0, 1.0, 80.0, 104.2, 1e-300, 1e300, np.nan]))
sizes = st.one_of(st.integers(0, 2**32 - 1), st.sampled_from([80, 160]))
infos = st.builds(
    CameraInfo,
    st.integers(0, 10**18),
    sizes,
    sizes,
    st.one_of(
        arrays(np.float64, (3, 3), elements=numbers),
        st.builds(lambda f, g, x, y: np.array([[f, 0, x], [0, g, y], [0, 0, 1]]), numbers, numbers, numbers, numbers),
    ),
    st.one_of(st.sampled_from([*COEFFICIENTS, ""]), st.text(max_size=8)),
    arrays(np.float64, st.integers(0, 14), elements=numbers),
    st.tuples(sizes, sizes),
    st.tuples(sizes, sizes, sizes, sizes),
)
ROBOT = load_settings(share_path("config/car.yaml"))
PERCEPTION = Perception(Bundle.load(share_path("models/car-ltc19"), "car"), ROBOT)
IMAGE = np.random.default_rng(0).integers(0, 256, (80, 160, 3), dtype=np.uint8)


@given(infos)
def test_whatever_a_camera_says_nothing_is_raised_while_driving(said: CameraInfo) -> None:
    told = PERCEPTION.calibrate(said)
    assert "\n" not in told
    percept = PERCEPTION.process(Frame(1, IMAGE))
    if PERCEPTION.fault:
        assert percept.health.level == Level.ERROR
        assert percept.health.reasons == (PERCEPTION.fault,)
        assert np.isnan(percept.features.values).all()
    else:
        assert np.isfinite(percept.features.values).all()


@given(
    st.floats(-0.4, 0.4),
    st.floats(-0.2, 0.2),
    st.floats(40, 300),
    st.sampled_from(list(COEFFICIENTS)),
    st.floats(0, 160),
)
def test_a_calibration_that_can_be_is_taken_or_its_view_is_too_small(
    first: float, second: float, focal: float, model: str, centre: float
) -> None:
    d = np.zeros(COEFFICIENTS[model][-1])
    d[:2] = first, second
    k = np.array([[focal, 0, centre], [0, focal, 40], [0, 0, 1]])
    PERCEPTION.calibrate(info(k=k, distortion_model=model, d=d))
    assert not PERCEPTION.fault or "may be missing" in PERCEPTION.fault
    image = PERCEPTION.process(Frame(1, IMAGE))
    assert bool(np.isfinite(image.features.values).all()) == (not PERCEPTION.fault)


def test_a_camera_that_says_it_is_not_calibrated_is_taken_for_the_stated_one(tmp_path) -> None:
    bundle = Bundle.load(share_path("models/car-ltc19"), "car")
    perception = Perception(bundle, robot(tmp_path, (2, 5, 2), fov_deg=55.0))
    before = perception.process(Frame(1, IMAGE)).features.values
    said = perception.calibrate(replace(info(), k=np.zeros((3, 3)), d=np.zeros(0)))
    assert "not calibrated (K is zero)" in said
    assert not perception.fault
    np.testing.assert_array_equal(perception.process(Frame(2, IMAGE)).features.values, before)
