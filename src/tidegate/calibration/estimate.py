# SPDX-License-Identifier: Apache-2.0
"""A measured value with its interval, from repeated experiments."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import OptimizeWarning, curve_fit

from tidegate.records import Floats

CONFIDENCE = 0.95
FEWEST = 3
"""Experiments below which there is no interval worth its name."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Mean of ``count`` experiments and its 95 % interval (Student's t)."""

    value: float
    low: float
    high: float
    count: int

    def scaled(self, factor: float, offset: float = 0.0) -> Estimate:
        """The estimate of ``factor`` × this + ``offset``; ``factor`` ≥ 0."""
        value, low, high = (factor * one + offset for one in (self.value, self.low, self.high))
        return Estimate(value, low, high, self.count)


Measured = Estimate | str
"""An estimate, or in words why there is none."""


def estimate(samples: Sequence[float], experiments: str) -> Measured:
    """The mean of ``samples``; ``experiments`` names in words what each of them comes from."""
    count = len(samples)
    if count < FEWEST:
        return f"{count} {experiments}; at least {FEWEST} are needed"
    mean, spread = float(np.mean(samples)), float(stats.sem(samples))
    reach = spread * float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1))
    return Estimate(mean, mean - reach, mean + reach, count)


def fit(
    model: Callable[..., Floats],
    at: Floats,
    seen: Floats,
    start: Sequence[float],
    bounds: tuple[Sequence[float], Sequence[float]] | None = None,
) -> tuple[list[float], Floats]:
    """Least squares: parameters (P,) with which ``model(at, *parameters)`` comes nearest to ``seen``, their covariance
    (P, P); it is inf where the parameters are not determined."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OptimizeWarning)  # says that the covariance is inf
        try:
            found, covariance = curve_fit(model, at, seen, p0=start, bounds=bounds or (-np.inf, np.inf))
        except RuntimeError:  # no minimum within the solver's own limit of steps
            return list(start), np.full((len(start), len(start)), np.inf)
    return found.tolist(), covariance


def stretches(wanted: NDArray[np.bool_], shortest: int, longest: int) -> Iterator[slice]:
    """Runs of at least ``shortest`` samples in which ``wanted`` (T,) holds, cut into pieces of at most ``longest``."""
    edges = np.flatnonzero(np.diff(wanted.astype(np.int8), prepend=0, append=0)).tolist()
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        for first in range(start, end, longest):
            if min(first + longest, end) - first >= shortest:
                yield slice(first, min(first + longest, end))
