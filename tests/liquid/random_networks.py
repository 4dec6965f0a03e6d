# SPDX-License-Identifier: Apache-2.0
"""Random networks and inputs, a thousand of each where a property of any network is shown (a hundred in haste)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from torch import Tensor

from tidegate.liquid.generators import auto_ncp, fully_connected, random_sparse
from tidegate.liquid.ltc import LTC
from tidegate.liquid.wiring import Wiring
from tidegate.settings.policy import SOLVERS

INPUTS = 4

each_solver = pytest.mark.parametrize("solver", SOLVERS)
over_networks = pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])


def wiring_of(random: np.random.Generator) -> Wiring:
    """Any of the generators, 3 to 16 neurons."""
    neurons, seed = int(random.integers(3, 17)), int(random.integers(2**31))
    motor = int(random.integers(1, neurons - 1))
    kind = random.integers(3)
    if kind == 0:
        return auto_ncp(INPUTS, neurons, motor, seed, float(random.uniform(0, 0.9)))
    if kind == 1:
        return fully_connected(INPUTS, neurons, motor, seed)
    return random_sparse(INPUTS, neurons, motor, seed, float(random.uniform(0, 0.95)))


def moved(net: Any, seed: int) -> Any:
    """``net`` in double precision, its parameters far from where they start."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=random))
    return net.double()


def ltcs(count: int, solver: str, substeps: int | None = None) -> Iterator[tuple[int, LTC]]:
    """Random LTCs with their number."""
    for seed in range(count):
        random = np.random.default_rng(seed)
        steps = int(random.integers(1, 7)) if substeps is None else substeps
        generator = torch.Generator().manual_seed(seed)
        yield seed, moved(LTC(wiring_of(random), steps, generator, solver=solver), seed)


def samples(batch: int, steps: int, seed: int, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    inputs = scale * torch.randn(batch, steps, INPUTS, generator=random, dtype=torch.float64)
    return inputs, 10 ** (-3 + 4 * torch.rand(batch, steps, generator=random, dtype=torch.float64))


def on_examples(count: int) -> Callable[[Callable[[], None]], None]:
    """Try what is decorated, which hypothesis draws for, on ``count`` examples."""
    return lambda drawn_for: settings(max_examples=count)(drawn_for)()
