# SPDX-License-Identifier: Apache-2.0
"""Sequences of unequal length in one batch, steps of unequal length in one sequence; and how the kernels get them."""

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
        ValueError: the shapes do not belong together, or a step that is present does not last longer than 0 s.
    """
    for name, given in (("dt", dt), ("mask", mask)):
        if given is not None and given.shape != inputs.shape[:2]:
            raise ValueError(f"{name} has shape {tuple(given.shape)}; must be (B, T) = {tuple(inputs.shape[:2])}")
    if mask is not None:
        inputs, dt = torch.where(mask[..., None], inputs, 0.0), torch.where(mask, dt, 1.0)
    if not traced(dt) and not (dt > 0).all():  # NaN is not
        sample, step = (~(dt > 0)).nonzero()[0].tolist()
        raise ValueError(f"dt of sample {sample}, step {step} is {dt[sample, step].item():g} s; must be > 0")
    return inputs, dt


def traced(value: Tensor) -> bool:
    """Whether the numbers of ``value`` cannot be read: under ``torch.compile`` and ``torch.func``, on no device."""
    return torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active() or value.is_meta


def first_derivatives_only() -> None:
    """To be called by the kernels' ``backward``.

    torch's ``once_differentiable`` is not enough: it is silent where the gradient by the states is a constant.

    Raises:
        RuntimeError: the gradient is to be differentiated again (``create_graph=True``).
    """
    if torch.is_grad_enabled():
        raise RuntimeError(
            "the compiled kernels have no second derivatives (create_graph=True); build the cell with compiled=False"
        )


def samples_last(value: Tensor) -> NDArray[Any]:
    """A copy of (B, T, …) as (T, …, B), as the kernels take them."""
    return np.array(np.moveaxis(value.detach().numpy(), 0, -1), order="C")


def samples_first(value: NDArray[Any]) -> Tensor:
    """A copy of (T, …, B) as (B, T, …)."""
    return torch.from_numpy(np.array(np.moveaxis(value, -1, 0), order="C"))
