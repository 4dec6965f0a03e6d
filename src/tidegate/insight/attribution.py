# SPDX-License-Identifier: Apache-2.0
"""How faithful a saliency map is: does what it points at matter to the network, and is it the road?

Deletion after Petsiuk et al. 2018 (RISE, arXiv 1806.07421): paint out the most salient pixels first and watch the
command move; a map that means something moves it sooner than painting out pixels by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tidegate.insight.charts import CORAL, MUTED, SEA, figure, svg
from tidegate.records import Floats

Image = NDArray[np.uint8]
Predict = Callable[[Image], Floats]
"""Camera image (H, W, 3) → what the network makes of it (M,)."""

FRACTIONS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)
PATCH = 4
"""Pixels are painted out in squares of this side [px]: single pixels, salient or not, hardly reach a strided CNN."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """How far the output moves as pixels are painted out, (F,) each: by saliency and, on average, by chance.

    ``advantage`` is the ratio of the areas under both curves: 1 = no better than chance.
    """

    fractions: Floats
    salient: Floats
    random: Floats

    @property
    def advantage(self) -> float:
        """Area under the salient curve over that under the random one; NaN where nothing moves the output."""
        by_chance = _area(self.random, self.fractions)
        return _area(self.salient, self.fractions) / by_chance if by_chance > 0 else float("nan")


def deletion(
    predict: Predict,
    images: Sequence[Image],
    maps: Sequence[Floats],
    *,
    fractions: Sequence[float] = FRACTIONS,
    rows: slice = slice(None),
    draws: int = 5,
    seed: int = 0,
    spread: Floats | None = None,
) -> Deletion:
    """Mean movement of ``predict`` over ``images`` as the most salient patches by ``maps`` (H, W) are blurred away.

    ``rows`` are those that the network looks at: by chance most of what is blurred elsewhere would be wasted, while a
    map never points there.
    Outputs are scaled by ``spread`` (M,); None = theirs over the images, so that each counts alike. Chance is the mean
    of ``draws``.
    """
    rng = np.random.default_rng(seed)
    plain = np.array([predict(image) for image in images])
    spread = plain.std(axis=0) + 1e-9 if spread is None else spread
    salient, random = np.zeros((2, len(fractions)))
    for image, map_, before in zip(images, maps, plain, strict=True):
        gone = cv2.GaussianBlur(image, (0, 0), sigmaX=image.shape[1] / 12)
        rank = _patches(map_[rows])
        for column, fraction in enumerate(fractions):
            count = max(1, round(fraction * rank.size))
            salient[column] += _moved(
                predict, image, gone, rows, np.argsort(-rank, axis=None)[:count], rank.shape, before, spread
            )
            random[column] += np.mean(
                [
                    _moved(predict, image, gone, rows, rng.permutation(rank.size)[:count], rank.shape, before, spread)
                    for _ in range(draws)
                ]
            )
    return Deletion(np.array(fractions), salient / len(images), random / len(images))


def shares(maps: Sequence[Floats], masks: Sequence[Mapping[str, NDArray[np.bool_]]]) -> dict[str, tuple[float, float]]:
    """Share of the saliency and share of the picture that each kind of surface takes, by its mask (H, W).

    Saliency that is spread by chance gives two equal shares; on what matters the first is the larger.
    """
    names = sorted(set(masks[0]).intersection(*masks))
    total = sum(float(map_.sum()) for map_ in maps)
    return {
        name: (
            sum(float(map_[mask[name]].sum()) for map_, mask in zip(maps, masks, strict=True)) / max(total, 1e-12),
            float(np.mean([mask[name].mean() for mask in masks])),
        )
        for name in names
    }


def chart(result: Deletion, unit: str = "σ") -> str:
    """Both curves over the share of the picture that was painted out; ``unit`` of the movement."""
    with figure(2.4) as (made, axes):
        axes.plot(
            100 * result.fractions, result.salient, color=SEA, marker="o", markersize=4, label="most salient first"
        )
        axes.plot(100 * result.fractions, result.random, color=CORAL, marker="o", markersize=4, label="by chance")
        axes.set(xlabel="painted out [% of what the network looks at]", ylabel=f"output moved [{unit}]")
        axes.set_ylim(bottom=0)
        axes.legend(loc="best", labelcolor=MUTED)
        return svg(made)


def _patches(map_: Floats) -> Floats:
    height, width = map_.shape[0] // PATCH, map_.shape[1] // PATCH
    blocks: Floats = map_[: height * PATCH, : width * PATCH].reshape(height, PATCH, width, PATCH).mean(axis=(1, 3))
    return blocks


def _moved(
    predict: Predict,
    image: Image,
    gone: Image,
    rows: slice,
    chosen: NDArray[np.int64],
    shape: tuple[int, ...],
    before: Floats,
    spread: Floats,
) -> float:
    mask = np.zeros(shape, np.uint8)
    mask.flat[chosen] = 1
    mask = cv2.resize(mask, None, fx=PATCH, fy=PATCH, interpolation=cv2.INTER_NEAREST).astype(bool)
    changed = image.copy()
    region = changed[rows][: mask.shape[0], : mask.shape[1]]
    region[mask] = gone[rows][: mask.shape[0], : mask.shape[1]][mask]
    return float(np.mean(np.abs(predict(changed) - before) / spread))


def _area(values: Floats, at: Floats) -> float:
    return float(np.sum(np.diff(at) * (values[1:] + values[:-1]) / 2))
