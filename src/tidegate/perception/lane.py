# SPDX-License-Identifier: Apache-2.0
"""From the lane head's outputs to an estimate whose error bound is calibrated on drives that training did not see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.perception.layout import lane_values
from tidegate.records import Floats, LaneEstimate
from tidegate.settings.perception import PerceptionSettings

SCALE_ADDED = 0.05
"""Added to the predicted scales, in units of the lane values: 0.05 m, 0.005 rad, 0.001 1/m.

A network is too sure where it is sure. One factor for all frames then has to make up for that, and exaggerates where
it is unsure; the constant evens this out (normalised conformal prediction, Papadopoulos et al. 2008).
"""


def error_scale(predicted: NDArray[Any], settings: PerceptionSettings) -> NDArray[Any]:
    """Scale (…, 2 + K) of the lane's errors that is calibrated: the network's own plus a constant."""
    return np.asarray(predicted + np.asarray(lane_values(settings), predicted.dtype) * SCALE_ADDED)


def lane_estimate(
    stamp: int, value: NDArray[np.float32], scale: NDArray[np.float32], conformal: Sequence[float]
) -> LaneEstimate:
    """Estimate with bound = conformal factor × scale; inf where not calibrated or not finite. Of a scale that is no
    number, though it is calibrated, the value is NaN too: inf says that a bound was never known, not that it is large.

    Args:
        stamp: of the frame [ns].
        value, scale: (2 + K,) offset [m], heading [rad], curvatures [1/m] and their ``error_scale``.
        conformal: (2 + K,) factors, or empty.
    """
    factor = np.array(conformal) if len(conformal) else np.full(len(scale), math.inf)
    with np.errstate(invalid="ignore"):
        bound: Floats = np.multiply(factor, scale, dtype=np.float64)
    bound[~np.isfinite(bound) | ~np.isfinite(value)] = math.inf
    value = np.where(np.isfinite(factor) & ~np.isfinite(scale), np.float32(math.nan), value)
    return LaneEstimate(stamp, float(value[0]), float(value[1]), value[2:].astype(np.float64), bound)


def unknown_lane(stamp: int, knots: int) -> LaneEstimate:
    """What is said about the lane when there is no usable image: NaN, with bounds of inf."""
    return LaneEstimate(stamp, math.nan, math.nan, np.full(knots, math.nan), np.full(2 + knots, math.inf))


def conformal_factors(drives: Sequence[Floats], miscoverage: float, frame_share: float = 0.99) -> Floats:
    """Factors (2 + K,) such that a new drive keeps its errors within factor × scale.

    Split conformal prediction with the *drive* as the unit, for frames of one drive are not exchangeable: the score
    of a drive is the ``frame_share`` quantile of its ratios, and the factor is the ⌈(n + 1)(1 − miscoverage)⌉-th
    smallest score. With probability ≥ 1 − ``miscoverage`` over drives like these, ``frame_share`` of the frames of
    a new drive are within the bound.

    Args:
        drives: one (frames, 2 + K) array per held-out drive: |error| / ``error_scale``.
        miscoverage: accepted probability that a drive breaks the bound.
        frame_share: share of a drive's frames that must be within.

    Returns:
        inf where there are too few drives for the probability asked for.
    """
    scores = np.sort([np.quantile(drive, frame_share, axis=0, method="higher") for drive in drives], axis=0)
    rank = math.ceil((len(drives) + 1) * (1 - miscoverage))
    if rank > len(drives):
        return np.full(scores.shape[1], math.inf)
    return np.asarray(scores[rank - 1], np.float64)
