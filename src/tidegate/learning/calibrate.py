# SPDX-License-Identifier: Apache-2.0
"""Error bounds of the lane estimate from drives that training did not see, and the look of the training images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tidegate.bag import Drive, labelled, tells_of_lane
from tidegate.learning.augment import to_tensor
from tidegate.perception.health import Training, saturated_share
from tidegate.perception.lane import conformal_factors, error_scale
from tidegate.records import Floats
from tidegate.stack import Stack

LOOK_EVERY = 4
"""Frames of a training drive between two whose look is kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """``conformal`` (2 + K,) factors; ``seen`` the look of the training images; ``errors`` what the drives showed."""

    conformal: Floats
    seen: Training
    errors: dict[str, list[float]]


@torch.no_grad()
def read_lane(stack: Stack, drive: Drive, chunk: int = 256) -> tuple[Floats, Floats]:
    """Lane values (T, 2 + K) and their ``error_scale`` (T, 2 + K) at every frame of a drive."""
    stack.eval()
    values, scales = [], []
    for first in range(0, len(drive.images), chunk):
        seen = stack.backbone(to_tensor(drive.images[first : first + chunk]))
        values.append(seen.lane)
        scales.append(seen.lane_log_scale.exp())
    value, scale = (torch.cat(part).double().numpy() for part in (values, scales))
    return value, error_scale(scale, stack.perception)


def calibrate(stack: Stack, held_out: Sequence[Drive], trained: Sequence[Drive], miscoverage: float) -> Calibration:
    """Bounds from ``held_out`` drives (see ``perception.lane.conformal_factors``), look from the training drives.

    Args:
        stack: the finished network.
        held_out: drives of *this* network, on roads that it was not trained on; with the true lane as labels. Where no
            drive tells of it, the bounds stay unknown and ``errors`` empty.
        trained: the training drives.
        miscoverage: accepted probability that a new drive breaks a bound.
    """
    shown = [_fit_to_see(drive, stack) for drive in trained]
    looks = [stack.backbone.signature(to_tensor(images)).numpy() for images in shown if len(images)]
    seen = Training.of(np.concatenate(looks))
    held_out = [drive for drive in held_out if tells_of_lane(drive)]
    if not held_out:
        return Calibration(np.full(len(stack.backbone.lane_scale), np.inf), seen, {})
    ratios, errors, scales = [], [], []
    for drive in held_out:
        value, scale = read_lane(stack, drive)
        known = labelled(drive)
        error = np.abs(value - drive.lane)[known]
        ratios.append(error / scale[known])
        errors.append(error)
        scales.append(scale[known])
    factors = conformal_factors(ratios, miscoverage)
    each, bound = np.concatenate(errors), np.concatenate(scales) * factors
    return Calibration(
        conformal=factors,
        seen=seen,
        errors={
            "rms": np.sqrt(np.square(each).mean(axis=0)).tolist(),
            "p99": np.quantile(each, 0.99, axis=0).tolist(),
            "largest": each.max(axis=0).tolist(),
            "median_bound": np.median(bound, axis=0).tolist(),
        },
    )


def _fit_to_see(drive: Drive, stack: Stack) -> NDArray[np.uint8]:
    """Some images of a drive, without those that are over-exposed: they are no part of the usual look."""
    level, most = stack.perception.saturated_level, stack.perception.saturated_share
    images = drive.images[::LOOK_EVERY]
    return images[[saturated_share(image, level) < most for image in images]]
