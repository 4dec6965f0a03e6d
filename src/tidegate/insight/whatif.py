# SPDX-License-Identifier: Apache-2.0
"""What perception and policy would have made of one recorded frame, had the picture been otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from tidegate.insight.moment import FrameView
from tidegate.liquid import LiquidPolicy
from tidegate.perception import Perception
from tidegate.records import Decision, Frame, Odometry, Percept

Image = NDArray[np.uint8]

AXES: Mapping[str, tuple[float, ...]] = {
    "brightness": (-80.0, -40.0, 0.0, 40.0, 80.0),
    "gain": (0.5, 0.75, 1.0, 1.5, 2.0),
    "blur": (0.0, 1.0, 2.0, 4.0),
    "noise": (0.0, 10.0, 20.0, 40.0),
}
"""Steps of each slider; the recorded picture has brightness 0, gain 1, blur 0 and noise 0."""
UNITS = {"brightness": "grey levels added", "gain": "×", "blur": "px (σ)", "noise": "grey levels (σ)"}
PLAIN = {"brightness": 0.0, "gain": 1.0, "blur": 0.0, "noise": 0.0}


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One place of the grid: ``image`` as altered, what perception made of it, and the policy (None = not run)."""

    image: Image
    percept: Percept
    decision: Decision | None


def altered(image: Image, *, brightness: float, gain: float, blur: float, noise: float) -> Image:
    """``image`` (H, W, 3) as a worse camera would give it: blurred, then scaled and shifted, then noise, then clipped.

    Args:
        image: RGB.
        brightness: added [grey levels of 255].
        gain: factor.
        blur: standard deviation of the Gaussian [px].
        noise: standard deviation [grey levels]; the same draws for every picture of this size.
    """
    values = image.astype(np.float32)
    if blur > 0:
        values = np.asarray(cv2.GaussianBlur(values, (0, 0), sigmaX=blur), np.float32)
    values = values * gain + brightness
    if noise > 0:
        values += noise * np.random.default_rng(0).standard_normal(image.shape, np.float32)
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def grid(
    perception: Perception,
    policy: LiquidPolicy,
    frame: FrameView,
    before: FrameView | None,
    odometry: Odometry | None,
    axes: Mapping[str, Sequence[float]] = AXES,
) -> list[Cell]:
    """One cell for each combination of ``axes``, the last axis fastest.

    Each begins with the neurons as they were after the frame ``before`` (None = at rest) and sees the altered picture
    once; each picture is judged by itself, without those before. Without ``odometry`` the policy is not run.
    """
    cells = []
    for values in product(*axes.values()):
        image = altered(frame.frame.image, **dict(zip(axes, values, strict=True)))
        perception.forget()
        percept = perception.process(Frame(frame.stamp, image))
        decision = None
        if odometry is not None:
            policy.reset()
            if before is not None and before.decision is not None:
                policy.resume(before.stamp, before.decision.neurons)
            decision = policy.step(percept.features, odometry)
        cells.append(Cell(image, percept, decision))
    return cells
