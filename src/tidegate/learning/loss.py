# SPDX-License-Identifier: Apache-2.0
"""What the stack is trained for: the expert's command, and a lane estimate that knows how wrong it is."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from tidegate.learning.dataset import Batch
from tidegate.learning.recipe import TrainRecipe
from tidegate.stack import StackOutput

Stage = Literal["lane", "policy", "all"]
"""What is trained: ``Trainer.fit``."""


class Losses(NamedTuple):
    """``total`` and its parts, each a mean: ``curvature`` and ``acceleration`` of the command, ``lane``."""

    total: Tensor
    curvature: Tensor
    acceleration: Tensor
    lane: Tensor


def losses(
    out: StackOutput, batch: Batch, lane_unit: Tensor, recipe: TrainRecipe, blind: Tensor | None = None
) -> Losses:
    """Loss of a batch.

    Commands cost a Huber loss in the recipe's units, bends more than straights, the window's first frames and unknown
    labels nothing.
    For the lane see ``lane_loss``.

    Args:
        out: of the stack.
        batch: with the labels.
        lane_unit: (2 + K,) the lane values' scales.
        recipe: weights and units.
        blind: (B, T) frames with nothing to see: their command and features cost nothing, their lane should be unsure.
    """
    curvature, acceleration = torch.from_numpy(batch.curvature), torch.from_numpy(batch.acceleration)
    weight = _weight(curvature, recipe.warm_up, recipe)
    if blind is not None:
        weight = weight * ~blind
    curved, count = _command_cost(out.curvature, curvature, weight, recipe.curvature_unit)
    pushed, known = _command_cost(out.acceleration, acceleration, weight, recipe.acceleration_unit)
    curved, pushed = curved / count.clamp(min=1e-6), pushed / known.clamp(min=1e-6)
    lane = lane_loss(out.lane, out.lane_log_scale, torch.from_numpy(batch.lane), lane_unit, recipe)
    return Losses(curved + pushed + recipe.lane_weight * lane, curved, pushed, lane)


def lane_loss(lane: Tensor, log_scale: Tensor, wanted: Tensor, unit: Tensor, recipe: TrainRecipe) -> Tensor:
    """Negative log likelihood of Laplace distributions with scales exp(``log_scale``), in ``unit``, less log 2.

    An unsure estimate costs less if it says so (Kendall & Gal 2017, eq. 8, with |·| for the square). Mean over the
    values, offset and heading weighted by ``recipe.pose_weight``. Frames whose ``wanted`` is NaN cost nothing.
    """
    known = wanted.isfinite().all(dim=-1)
    if not known.all():
        lane, log_scale, wanted = lane[known], log_scale[known], wanted[known]
    if not known.any():
        return lane.sum()  # of nothing, so that the gradient is zero
    relative = log_scale - unit.log()
    each = ((lane - wanted) / unit).abs() * torch.exp(-relative) + relative
    weight = torch.ones_like(unit)
    weight[:2] = recipe.pose_weight
    return (each * weight).mean() / weight.mean()


def tau_loss(tau: Tensor, recipe: TrainRecipe) -> Tensor:
    """Mean squared logarithm by which time constants ``tau`` (N,) [s] leave the recipe's range, weighted."""
    outside = (tau / recipe.tau_high).log().clamp(min=0) + (recipe.tau_low / tau).log().clamp(min=0)
    return recipe.tau_weight * outside.square().mean()


def baselines(batches: list[Batch], recipe: TrainRecipe) -> dict[str, float]:
    """Command losses of two that do not look: always zero, and the expert's command of the frame before."""
    found: dict[str, float] = {}
    for name, make in (("zero", torch.zeros_like), ("last", _before)):
        for key, unit in (("curvature", recipe.curvature_unit), ("acceleration", recipe.acceleration_unit)):
            cost, weights = 0.0, 0.0
            for batch in batches:
                wanted = torch.from_numpy(getattr(batch, key))
                weight = _weight(torch.from_numpy(batch.curvature), max(recipe.warm_up, 1), recipe)
                part, count = _command_cost(make(wanted).nan_to_num(), wanted, weight, unit)
                cost, weights = cost + float(part), weights + float(count)
            found[f"{key}_{name}"] = cost / max(weights, 1e-9)
    return found


def _weight(curvature: Tensor, skipped: int, recipe: TrainRecipe) -> Tensor:
    """(B, T): bends count more than straights, the first ``skipped`` frames nothing."""
    weight = 1 + curvature.abs() / recipe.bend_unit
    weight[:, :skipped] = 0
    return weight


def _command_cost(predicted: Tensor, wanted: Tensor, weight: Tensor, unit: float) -> tuple[Tensor, Tensor]:
    """Weighted sum of the Huber loss in ``unit`` and the sum of the weights; a ``wanted`` of NaN counts nothing."""
    counted = weight * wanted.isfinite()
    each = smooth_l1_loss(predicted / unit, wanted.nan_to_num() / unit, reduction="none", beta=0.5)
    return (counted * each).sum(), counted.sum()


def _before(values: Tensor) -> Tensor:
    return torch.cat([values[:, :1], values[:, :-1]], dim=1)
