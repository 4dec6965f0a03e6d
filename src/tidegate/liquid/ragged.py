# SPDX-License-Identifier: Apache-2.0
"""Sequences of unequal length in one batch, and steps of unequal length in one sequence."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def present(inputs: Tensor, dt: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Inputs (B, T, I) and step lengths (B, T) [s] with zeros and ones where ``mask`` (B, T) is False.

    What is left out may be anything, NaN too: a cell holds its state there.

    Raises:
        ValueError: the shapes do not belong together.
    """
    for name, given in (("dt", dt), ("mask", mask)):
        if given is not None and given.shape != inputs.shape[:2]:
            raise ValueError(f"{name} has shape {tuple(given.shape)}; must be (B, T) = {tuple(inputs.shape[:2])}")
    if mask is None:
        return inputs, dt
    return torch.where(mask[..., None], inputs, 0.0), torch.where(mask, dt, 1.0)


def samples_last(value: Tensor) -> NDArray[Any]:
    """A copy of (B, T, …) as (T, …, B), as the kernels take them."""
    return np.array(np.moveaxis(value.detach().numpy(), 0, -1), order="C")


def samples_first(value: NDArray[Any]) -> Tensor:
    """A copy of (T, …, B) as (B, T, …)."""
    return torch.from_numpy(np.array(np.moveaxis(value, -1, 0), order="C"))
