# SPDX-License-Identifier: Apache-2.0
"""Change the look of windows without changing what they mean: light, colour, shadow, noise, now and then glare."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tidegate.learning.recipe import AugmentRecipe

_DARK = (0.2, 0.65)
"""Share of the pixels that an exposure for the dark leaves unsaturated."""

_WHITE = 8.0
"""Exposure from which nothing is left to see."""


def to_tensor(images: NDArray[np.uint8]) -> Tensor:
    """(…, h, w, 3) uint8 to (…, 3, h, w) float32 in [−1, 1], as ``perception.image.normalise`` does."""
    return torch.from_numpy(images).movedim(-1, -3).float().mul_(1 / 127.5).sub_(1)


def augment(
    images: NDArray[np.uint8], recipe: AugmentRecipe, random: np.random.Generator
) -> tuple[Tensor, NDArray[np.bool_]]:
    """Disturb windows of images.

    Args:
        images: (B, T, h, w, 3) uint8.
        recipe: how much.
        random: draws; all that it decides is constant over a window but noise and glare.

    Returns:
        (B, T, 3, h, w) as ``to_tensor`` makes them, and (B, T): frames in which nothing is left to see.
    """
    batch, steps, height, width, _ = images.shape
    made = torch.empty(batch, steps, 3, height, width)
    blind = np.zeros((batch, steps), bool)
    pixels = steps * 3 * height * width
    strip = torch.from_numpy(random.standard_normal(pixels + 4096, np.float32))  # drawing each anew costs as much as
    for index in range(batch):  # training on it; window by window the work stays in the processor's cache
        bright, contrast, colour = random.uniform(1 - recipe.light, 1 + recipe.light, 3) * (1 / 127.5, 1, 1)
        view = torch.from_numpy(images[index]).movedim(-1, -3).float()
        grey = view.mean(dim=1, keepdim=True)
        middle = bright * (1 - contrast) * float(grey.mean())
        view.mul_(bright * contrast * colour).add_(grey.mul_(bright * contrast * (1 - colour)).add_(middle))
        if random.random() < recipe.shadow_share:
            view.mul_(_shadow(height, width, random))
        if random.random() < recipe.bright_share:
            dark = max(float(view.amax(dim=1).flatten()[::7].quantile(random.uniform(*_DARK))), 1e-3)
            veil = random.uniform(0.0, 0.2)
            view.mul_((1 - veil) * 2 / dark).add_(2 * veil)
        if random.random() < recipe.glare_share:
            exposure = _glare(steps, random)
            blind[index] = exposure > _WHITE
            view.mul_(torch.from_numpy(exposure)[:, None, None, None])
        first = int(random.integers(4096))
        view.add_(strip[first : first + pixels].view_as(view), alpha=recipe.noise)
        torch.sub(view.clamp_(0, 2), 1, out=made[index])
    return made, blind


def _shadow(height: int, width: int, random: np.random.Generator) -> Tensor:
    """(h, w): a darker strip at any angle."""
    y, x = np.mgrid[:height, :width] / np.array([height, width]).reshape(2, 1, 1)
    angle, centre, half = random.uniform(0, np.pi), random.uniform(0.2, 0.8, 2), random.uniform(0.03, 0.25)
    across = np.cos(angle) * (x - centre[1]) + np.sin(angle) * (y - centre[0])
    return torch.from_numpy(np.where(np.abs(across) < half, random.uniform(0.4, 0.8), 1.0).astype(np.float32))


def _glare(steps: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Exposure (T,) that runs away from some frame on and stays there."""
    begin, growth = int(random.integers(steps)), random.uniform(1.5, 4.0)
    exposure = np.ones(steps, np.float32)
    exposure[begin:] = np.minimum(growth ** np.arange(1, 1 + steps - begin), 100.0)
    return exposure
