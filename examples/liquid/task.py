# SPDX-License-Identifier: Apache-2.0
"""What a task of the zoo is: series in true time, drawn from seeds, and how models learn them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from tidegate.liquid.wiring import Wiring


@dataclass(frozen=True, slots=True)
class Series:
    """B time series of T samples.

    Attributes:
        inputs: (B, T, I).
        dt: (B, T) [s] since the sample before: what a robot knows when a sample arrives.
        targets: (B, T, O).
        repeated: (B, T, O), what repeating the last sample would answer.
    """

    inputs: Tensor
    dt: Tensor
    targets: Tensor
    repeated: Tensor

    def untold(self, period: float) -> Series:
        """The same for a model that is not told dt: it believes in one every ``period`` [s]."""
        return replace(self, dt=torch.full_like(self.dt, period))


@dataclass(frozen=True, slots=True)
class Data:
    """One split, the same for all models; ``tests`` by name, the first one is drawn."""

    train: Series
    tests: dict[str, Series]


@dataclass(frozen=True)
class Task(ABC):
    """One task; what is a field may be made smaller for a trial."""

    name: ClassVar[str]
    title: ClassVar[str]
    text: ClassVar[str]
    """What is asked, for the page."""
    inputs: ClassVar[int]
    outputs: ClassVar[int]
    period: ClassVar[float]
    """Usual dt [s]."""
    ahead: ClassVar[float]
    """How long after a sample its target is due [s]."""
    tau: ClassVar[tuple[float, float]]
    """Time constants of the LTC at the start [s]."""
    shown: ClassVar[tuple[int, str]] = (0, "target")
    """Output that is drawn, and what it is."""
    blind: ClassVar[bool] = False
    """Whether the models are also trained without being told dt."""

    steps: int
    """Of the optimiser, for every model."""
    batch: int
    """Series in a step."""

    @abstractmethod
    def draw(self) -> Data:
        """The data; the same at every call."""

    @abstractmethod
    def wiring(self, seed: int) -> Wiring:
        """Of LTC and CfC."""
