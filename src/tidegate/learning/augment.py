# SPDX-License-Identifier: Apache-2.0
"""Change the look of windows without changing what they mean: light, colour, shadow, noise, and now and then glare."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tidegate.learning.recipe import AugmentRecipe


def to_tensor(images: NDArray[np.uint8]) -> Tensor:
    """(…, h, w, 3) uint8 to (…, 3, h, w) float32 in [−1, 1], as ``perception.image.normalise`` does."""
    return torch.from_numpy(images).movedim(-1, -3).float().mul_(1 / 127.5).sub_(1)


def augment(images: Tensor, recipe: AugmentRecipe, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Disturb windows of images in place.

    Args:
        images: (B, T, 3, h, w) in [−1, 1].
        recipe: how much.
        random: draws; all that it decides is constant over a window but the noise.

    Returns:
        the images, and (B, T) bool: frames in which nothing is left to see.
    """
    batch, steps, _, height, width = images.shape

    def factor() -> Tensor:
        return torch.from_numpy(random.uniform(1 - recipe.light, 1 + recipe.light, (batch, 1, 1, 1, 1))).float()

    images = images.add_(1)  # light is multiplied from black up
    grey = images.mean(dim=2, keepdim=True)
    images = grey + (images - grey) * factor()
    middle = grey.mean(dim=(1, 3, 4), keepdim=True)
    images = (middle + (images - middle) * factor()) * factor()
    images.mul_(_shadow(batch, height, width, recipe, random))
    glare, blind = _glare(batch, steps, recipe, random)
    images.mul_(glare)
    images.add_(_noise(images.shape, random), alpha=recipe.noise).clamp_(0, 2).sub_(1)
    return images, blind


def _noise(shape: torch.Size, random: np.random.Generator) -> Tensor:
    """Normal noise: pieces of one long strip, for to draw every pixel anew costs as much as to train on it."""
    each, frames = int(np.prod(shape[2:])), int(shape[0] * shape[1])
    strip = torch.from_numpy(random.standard_normal(64 * each, np.float32))
    places = torch.from_numpy(random.integers(0, 63 * each, frames))
    return strip.unfold(0, each, 1)[places].view(shape)


def _shadow(batch: int, height: int, width: int, recipe: AugmentRecipe, random: np.random.Generator) -> Tensor:
    """(B, 1, 1, h, w): a darker strip across some windows, at any angle."""
    y, x = np.mgrid[:height, :width] / np.array([height, width]).reshape(2, 1, 1)
    made = np.ones((batch, 1, 1, height, width), np.float32)
    for index in np.flatnonzero(random.random(batch) < recipe.shadow_share):
        angle, centre, half = random.uniform(0, np.pi), random.uniform(0.2, 0.8, 2), random.uniform(0.03, 0.25)
        across = np.cos(angle) * (x - centre[1]) + np.sin(angle) * (y - centre[0])
        made[index, 0, 0][np.abs(across) < half] = random.uniform(0.4, 0.8)
    return torch.from_numpy(made)


def _glare(batch: int, steps: int, recipe: AugmentRecipe, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Exposure (B, T, 1, 1, 1) that runs away at some frame of some windows, and where it has made the image white."""
    exposure = np.ones((batch, steps), np.float32)
    for index in np.flatnonzero(random.random(batch) < recipe.glare_share):
        begin = int(random.integers(steps))
        exposure[index, begin:] = np.minimum(random.uniform(1.5, 4.0) ** np.arange(1, 1 + steps - begin), 100.0)
    return torch.from_numpy(exposure)[:, :, None, None, None], torch.from_numpy(exposure > 8)
