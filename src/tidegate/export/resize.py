# SPDX-License-Identifier: Apache-2.0
"""Averaging over areas, as OpenCV's ``INTER_AREA`` does it, as a matrix."""

from __future__ import annotations

import numpy as np

from tidegate.records import Floats


def area_weights(before: int, after: int) -> Floats:
    """Share (after, before) of each pixel in the average that becomes a pixel of the smaller image.

    Two such matrices, one per axis, and rounding give what ``cv2.resize`` gives, but where an average lies exactly
    between two levels: there OpenCV rounds to the even one or up, depending on the factor.
    """
    edge = np.arange(after + 1) * (before / after)
    pixel = np.arange(before)
    overlap = np.minimum(edge[1:, None], pixel + 1) - np.maximum(edge[:-1, None], pixel)
    share: Floats = np.clip(overlap, 0, None) * (after / before)
    share[share < 1e-9] = 0  # what rounding of the edges leaves of a neighbour
    return share
