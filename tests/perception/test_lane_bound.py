# SPDX-License-Identifier: Apache-2.0
"""The lane's error bound: conformal coverage over drives, infinite where it is not known."""

import numpy as np
import pytest

from tidegate.perception.lane import conformal_factors, lane_estimate, unknown_lane


def drives(count: int, random: np.random.Generator) -> list[np.ndarray]:
    """Ratios |error| / scale whose size differs from drive to drive, as frames of one drive are alike."""
    return [np.abs(random.normal(size=(80, 3))) * random.lognormal(0, 0.5, size=(1, 3)) for _ in range(count)]


def test_a_new_drive_is_covered_as_often_as_promised() -> None:
    random = np.random.default_rng(0)
    kept = []
    for _ in range(300):
        factors = conformal_factors(drives(19, random), miscoverage=0.1, frame_share=0.95)
        (new,) = drives(1, random)
        kept.append(np.mean(new <= factors, axis=0) >= 0.95)
    coverage = np.mean(kept, axis=0)
    assert np.all(coverage > 0.86), coverage  # 0.9 promised; standard error 0.017
    assert np.all(coverage < 0.97), coverage  # and no more than needed


def test_too_few_drives_for_the_promise_give_no_bound() -> None:
    few = drives(8, np.random.default_rng(0))
    assert np.isinf(conformal_factors(few, miscoverage=0.1)).all()
    assert np.isfinite(conformal_factors(few, miscoverage=0.2)).all()


def test_the_bound_is_factor_times_scale() -> None:
    value, scale = np.array([0.2, -0.1, 0.01], np.float32), np.array([0.1, 0.02, 0.004], np.float32)
    lane = lane_estimate(5, value, scale, (2.0, 3.0, 4.0))
    np.testing.assert_allclose(lane.bound, [0.2, 0.06, 0.016], rtol=1e-6)
    assert (lane.stamp, lane.offset, lane.heading) == (5, pytest.approx(0.2), pytest.approx(-0.1))
    np.testing.assert_allclose(lane.curvature, [0.01], rtol=1e-6)


@pytest.mark.parametrize("conformal", [(), (np.inf, np.inf, np.inf)])
def test_without_calibration_the_bound_is_infinite(conformal: tuple[float, ...]) -> None:
    lane = lane_estimate(5, np.zeros(3, np.float32), np.array([0.1, 0.0, 1.0], np.float32), conformal)
    assert np.isinf(lane.bound).all()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_calibrated_scale_that_is_no_number_leaves_the_value_unknown(wrong: float) -> None:
    """An infinite bound alone would say that the bundle knows none, and is driven by."""
    lane = lane_estimate(5, np.zeros(3, np.float32), np.array([wrong, 1, 1], np.float32), (2.0, 3.0, 4.0))
    assert np.isnan(lane.offset)
    assert lane.heading == 0


def test_a_value_that_is_not_finite_has_no_bound() -> None:
    lane = lane_estimate(5, np.array([np.nan, 0, 0], np.float32), np.ones(3, np.float32), (1.0, 1.0, 1.0))
    assert np.isinf(lane.bound[0])
    assert np.isfinite(lane.bound[1:]).all()
    nothing = unknown_lane(6, 4)
    assert nothing.curvature.shape == (4,)
    assert np.isinf(nothing.bound).all()
