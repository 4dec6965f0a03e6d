# SPDX-License-Identifier: Apache-2.0
"""Maps of what in a picture a command comes from, for one frame with the neurons as they were before it.

Integrated gradients (Sundararajan, Taly and Yan 2017, arXiv 1703.01365): gradients along the straight way from a
blurred picture to the real one; what they sum up to is the difference between the two commands. Occlusion (Zeiler and
Fergus 2014): the command's movement as patch after patch is blurred; nothing is assumed, so it judges the others.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from tidegate.bundle import Bundle
from tidegate.insight.moments import Glance
from tidegate.liquid import LiquidPolicy
from tidegate.perception import Perception
from tidegate.perception.image import crop_rows, prepare
from tidegate.records import Floats, Frame, seconds
from tidegate.stack import Stack

Image = NDArray[np.uint8]

STEPS = 16
"""Gradients that are taken on the way from the blurred picture to the real one."""
PATCH = 8
"""Side of what occlusion blurs at a time [px]."""


class Probe:
    """The network's command on one picture in the place of a frame's, in full scales: (force, curvature)."""

    def __init__(self, bundle: Bundle, perception: Perception, policy: LiquidPolicy, full: tuple[float, float]) -> None:
        self._perception, self._policy, self._full = perception, policy, np.array(full)
        self._shape, self._mass = bundle.perception, bundle.mass_kg
        self._stack = Stack.from_bundle(bundle)

    def rows(self, height: int) -> slice:
        """Rows of a picture that the network looks at."""
        return slice(*crop_rows(height, self._shape))

    def command(self, glance: Glance) -> Callable[[Image], Floats]:
        """Command (2,) on a picture (H, W, 3) in the place of that of ``glance``."""

        def read(image: Image) -> Floats:
            if glance.before is None:
                self._policy.reset()
            else:
                self._policy.resume(*glance.before)
            features = self._perception.process(Frame(glance.frame.stamp, image)).features
            nominal = self._policy.step(features, glance.odometry).nominal
            asked: Floats = np.array([nominal.force, nominal.curvature]) / self._full
            return asked

        return read

    def gradients(self, glance: Glance, image: Image, steps: int = STEPS) -> tuple[Floats, Floats]:
        """Integrated gradients of ``image`` (H, W, 3) in the place of that of ``glance``.

        Returns:
            a map (H, W) ≥ 0, the sum of what both commands owe to a pixel; and what each command owes to the whole
            picture (2,), which should be its difference from that on the blurred picture.
        """
        if glance.before is None:
            raise ValueError("the first frame of a drive has no state before it")
        stamp, neurons = glance.before
        real, blurred = (torch.from_numpy(prepare(one, self._shape)) for one in (image, blur(image)))
        along = (torch.arange(steps) + 0.5) / steps
        images = (blurred + along[:, None, None, None] * (real - blurred))[:, None].requires_grad_()
        speed = torch.full((steps, 1), glance.odometry.speed)
        dt = torch.full((steps, 1), seconds(glance.frame.stamp - stamp))
        out = self._stack(images, speed, dt, torch.from_numpy(neurons).expand(steps, -1).contiguous())
        outputs = (out.acceleration * (self._mass / self._full[0]), out.curvature / self._full[1])
        owed = []
        for place, output in enumerate(outputs):
            (slope,) = torch.autograd.grad(output.sum(), images, retain_graph=place == 0)
            owed.append((slope.mean(dim=0)[0] * (real - blurred)).sum(dim=0).detach().numpy())
        small = np.abs(owed).sum(axis=0)
        rows, (height, width) = self.rows(image.shape[0]), image.shape[:2]
        placed = np.zeros((height, width))
        size = (width, rows.stop - rows.start)
        placed[rows] = cv2.resize(small.astype(np.float64), size, interpolation=cv2.INTER_LINEAR)
        return placed, np.array([one.sum() for one in owed], float)


def blur(image: Image) -> Image:
    """What a painted-out place shows: nothing but the colour of its surroundings."""
    gone: Image = cv2.GaussianBlur(image, (0, 0), sigmaX=image.shape[1] / 12).astype(np.uint8)
    return gone


def occlusion(command: Callable[[Image], Floats], image: Image, rows: slice, side: int = PATCH) -> Floats:
    """How far the ``command`` moves as each patch of ``rows`` is blurred: (H, W), zero elsewhere."""
    gone, plain = blur(image), command(image)
    made = np.zeros(image.shape[:2])
    for top in range(rows.start, rows.stop, side):
        for left in range(0, image.shape[1], side):
            patch = slice(top, min(top + side, rows.stop)), slice(left, left + side)
            changed = image.copy()
            changed[patch] = gone[patch]
            made[patch] = np.abs(command(changed) - plain).mean()
    return made


def ssim(one: Floats, other: Floats) -> float:
    """Structural similarity of two maps (H, W) ≥ 0, each scaled to a largest value of one (Wang et al. 2004)."""
    one, other = (map_ / max(float(map_.max()), 1e-12) for map_ in (one, other))

    def mean(values: Floats) -> Floats:
        smooth: Floats = cv2.GaussianBlur(values, (11, 11), 1.5)
        return smooth

    a, b = mean(one), mean(other)
    spread = mean(one**2) - a**2, mean(other**2) - b**2
    both = mean(one * other) - a * b
    c1, c2 = 0.01**2, 0.03**2
    alike = (2 * a * b + c1) * (2 * both + c2) / ((a**2 + b**2 + c1) * (spread[0] + spread[1] + c2))
    return float(alike.mean())


def noisy(image: Image, variance: float, seed: int) -> Image:
    """``image`` with Gaussian noise of this ``variance``, colours counted from 0 to 1."""
    noise = np.sqrt(variance) * np.random.default_rng(seed).standard_normal(image.shape)
    worse: Image = (255 * np.clip(image / 255 + noise, 0, 1)).astype(np.uint8)
    return worse
