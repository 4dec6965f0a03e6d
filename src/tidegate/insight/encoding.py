# SPDX-License-Identifier: Apache-2.0
"""What each neuron tells about the known state: mutual information on drives that nothing was chosen on.

I(x; y) in bits by nearest neighbours (Kraskov et al. 2004, as scikit-learn's ``mutual_info_regression``). Frames of one
drive resemble their neighbours, so that even unrelated signals seem to share something. The baseline therefore keeps
both signals as they are and shifts one in time against the other, within each drive and around its end: what is left is
what autocorrelation and the differences between whole drives make by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.feature_selection import mutual_info_regression

from tidegate.evaluation.circuit import Circuit
from tidegate.records import Floats

EVERY = 5
"""Of so many frames one is used."""

SHIFTS = 39
"""What exceeds all shifted pairs would do so by chance once in forty."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """Bits (N, K) by neuron and known quantity: ``fitted`` on some drives, ``held_out`` and its ``baseline`` on others.

    ``baseline`` is the largest of ``shifts`` shifted pairs. ``best`` (N,) is the quantity that each neuron tells most
    of above its baseline on the fitted drives; -1 = none.
    """

    fitted: Floats
    held_out: Floats
    baseline: Floats
    best: NDArray[np.int64]
    shifts: int

    @property
    def told(self) -> NDArray[np.bool_]:
        """(N, K) whether a neuron tells more than its baseline, where nothing was chosen."""
        found: NDArray[np.bool_] = self.held_out > self.baseline
        return found

    @property
    def summary(self) -> dict[str, float]:
        """How many fields there are, exceed their baseline and would by chance; for how many neurons a quantity was
        chosen, and for how many of these it exceeds its baseline where nothing was chosen."""
        told, chosen = self.told, np.flatnonzero(self.best >= 0)
        return {
            "shifts": self.shifts,
            "fields": told.size,
            "exceeding": int(told.sum()),
            "by_chance": told.size / (self.shifts + 1),
            "chosen": len(chosen),
            "confirmed": int(told[chosen, self.best[chosen]].sum()),
        }


def encoding(fitted: Sequence[Circuit], held_out: Sequence[Circuit], shifts: int = SHIFTS) -> Encoding:
    """Mutual information of every neuron with every known quantity.

    Raises:
        ValueError: no drives of one kind.
    """
    if not fitted or not held_out:
        raise ValueError("what neurons encode needs drives to choose on and other drives to measure on")
    chosen_on, chosen_baseline = _with_baseline(fitted, shifts)
    bits, baseline = _with_baseline(held_out, shifts)
    excess = chosen_on - chosen_baseline
    best = np.where(excess.max(axis=1) > 0, excess.argmax(axis=1), -1)
    return Encoding(chosen_on, bits, baseline, best, shifts)


def _with_baseline(circuits: Sequence[Circuit], shifts: int) -> tuple[Floats, Floats]:
    neurons = np.concatenate([one.neurons[::EVERY] for one in circuits])
    known = [one.known[::EVERY] for one in circuits]
    random = np.random.default_rng(0)
    shifted = [_information(neurons, np.concatenate([_turned(one, random) for one in known])) for _ in range(shifts)]
    return _information(neurons, np.concatenate(known)), np.max(shifted, axis=0)


def _turned(values: Floats, random: np.random.Generator) -> Floats:
    """One drive's values (T, K), all moved by the same fifth to four fifths of its length."""
    return np.roll(values, int(random.integers(len(values) // 5, max(len(values) * 4 // 5, 1) + 1)), axis=0)


def _information(neurons: NDArray[np.float32], known: Floats) -> Floats:
    """Bits (N, K); none of what never changes."""
    bits = np.zeros((neurons.shape[1], known.shape[1]))
    for column in np.flatnonzero(np.ptp(known, axis=0) > 0):
        bits[:, column] = mutual_info_regression(neurons, known[:, column], random_state=0) / np.log(2)
    return bits


def components(fitted: Sequence[Circuit], held_out: Sequence[Circuit], hidden: int) -> tuple[Floats, Floats]:
    """Share of the variance of the first ``hidden`` neurons along each principal component of the ``fitted`` drives.

    Returns:
        on the fitted drives and on those held out, each (``hidden``,); those that command are left out, as they are the
        command.
    """
    states = np.concatenate([one.neurons[:, :hidden] for one in fitted]).astype(np.float64)
    others = np.concatenate([one.neurons[:, :hidden] for one in held_out]).astype(np.float64)
    found = PCA().fit(states)
    along = found.transform(others).var(axis=0)
    share: Floats = along / along.sum()
    return found.explained_variance_ratio_, share
