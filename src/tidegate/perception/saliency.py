# SPDX-License-Identifier: Apache-2.0
"""VisualBackProp: which pixels the backbone looked at (Bojarski et al. 2018, ICRA), in NumPy, live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tidegate.perception.layout import CONVS, Conv

Map = NDArray[np.float32]

HIGHLIGHT = (245, 166, 35)
"""Colour of what is looked at, RGB."""
OPACITY = 0.75
TINY = float(np.finfo(np.float32).tiny)


def visual_backprop(maps: Sequence[Map], size: tuple[int, int], convs: Sequence[Conv] = CONVS) -> Map:
    """Saliency ``size`` = (h, w) in [0, 1].

    From the last layer to the first: spread the mask over what each of its units saw, multiply by the mean activation
    of the layer before. The paper spreads with weights of one; here they fall off linearly and are divided by their
    sum at each place, else strides leave a chequered pattern.

    Args:
        maps: mean over channels of each convolution's ReLU, first layer first, (h', w') each; none below zero.
        size: of the network's input.
        convs: the convolutions that made them.
    """
    mask = maps[-1]
    for index in range(len(maps) - 1, 0, -1):
        before = maps[index - 1]
        mask = _spread(mask, convs[index], (before.shape[0], before.shape[1])) * before
        mask = mask / max(float(mask.max()), TINY)
    mask = _spread(mask, convs[0], size)
    low, high = float(mask.min()), float(mask.max())
    return np.asarray((mask - low) / max(high - low, TINY), np.float32)


def overlay(image: NDArray[np.uint8], saliency: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """``image`` (H, W, 3) RGB with ``saliency`` (H, W) in [0, 1] laid over it."""
    alpha = OPACITY * np.clip(saliency, 0, 1)[..., None]
    return np.asarray(image * (1 - alpha) + np.array(HIGHLIGHT) * alpha, np.uint8)


def _spread(mask: Map, conv: Conv, size: tuple[int, int]) -> Map:
    """Mean of ``mask`` (h', w') over the units that saw each place of a picture ``size``, the nearer the more."""
    both = np.zeros((*size, 2), np.float32)
    both[:: conv.stride, :: conv.stride, 0] = mask
    both[:: conv.stride, :: conv.stride, 1] = 1
    half = conv.kernel // 2
    tent = (half + 1.0 - np.abs(np.arange(-half, half + 1))).astype(np.float32)
    spread = cv2.sepFilter2D(both, -1, tent, tent, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(spread[..., 0] / np.maximum(spread[..., 1], TINY), np.float32)
