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

_TOGETHER = 32
"""Frames that are changed at once: few enough for the processor's cache, enough to be worth the calls."""


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
    lights = random.uniform(1 - recipe.light, 1 + recipe.light, (3, batch, 1, 1, 1, 1)).astype(np.float32)
    shadowed, bright, glaring = random.random((3, batch))
    pixels = steps * 3 * height * width
    strip = torch.from_numpy(random.standard_normal(pixels + 4096, np.float32))  # anew for each costs as much as
    group = max(1, _TOGETHER // steps)  # training on it
    for first in range(0, batch, group):
        inside = slice(first, first + group)
        view = torch.from_numpy(images[inside]).movedim(-1, -3).to(torch.float32, memory_format=torch.contiguous_format)
        _light(view, *torch.from_numpy(lights[:, inside]))
        for index, window in enumerate(view, first):
            if shadowed[index] < recipe.shadow_share:
                window.mul_(_shadow(height, width, random))
            if bright[index] < recipe.bright_share:
                dark = max(float(window.amax(dim=1).flatten()[::7].quantile(random.uniform(*_DARK))), 1e-3)
                veil = random.uniform(0.0, 0.2)
                window.mul_((1 - veil) * 2 / dark).add_(2 * veil)
            if glaring[index] < recipe.glare_share:
                exposure = _glare(steps, random)
                blind[index] = exposure > _WHITE
                window.mul_(torch.from_numpy(exposure)[:, None, None, None])
            begin = int(random.integers(4096))
            window.add_(strip[begin : begin + pixels].view_as(window), alpha=recipe.noise)
        torch.sub(view.clamp_(0, 2), 1, out=made[inside])
    return made, blind


def _light(view: Tensor, bright: Tensor, contrast: Tensor, colour: Tensor) -> None:
    """Change ``view`` (G, T, 3, h, w) in 0 … 255 to 0 … 2 by factors (G, 1, 1, 1, 1), each constant over a window."""
    grey = view.mean(dim=2, keepdim=True)
    bright = bright / 127.5
    middle = bright * (1 - contrast) * grey.mean(dim=(1, 2, 3, 4), keepdim=True)
    view.mul_(bright * contrast * colour).add_(grey.mul_(bright * contrast * (1 - colour)).add_(middle))


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
