# SPDX-License-Identifier: Apache-2.0
"""Regression trees whose leaves are constants or linear formulas, several outputs sharing one number of leaves.

Grown best first, as CART with ``max_leaf_nodes``: the leaf whose best question removes the most squared error is split
next, whichever output it belongs to. The error is that of the least-squares formula of each side, so a formula is not
split where it fits already (Quinlan 1992, "Learning with continuous classes", fits the formulas only afterwards; Potts
and Sammut 2004, "Incremental learning of linear model trees", as here). With no terms the leaves are constants: CART.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidegate.records import Floats

Indices = NDArray[np.intp]

CANDIDATES = 32
"""Thresholds that are tried for a question: quantiles of the samples in the leaf."""
FEWEST_SHARE = 0.01
"""A leaf holds at least this share of all samples."""
LEAST_GAIN = 0.005
"""A question must explain at least this share of its output's variance."""
RIDGE = 1e-4
"""Of standardised terms, so that terms that say the same share the weight."""
SLIGHT = 0.02
"""A term that moves a leaf's answer by less, in standard deviations of the output, is left out of its formula."""
DIGITS = 4
"""Significant digits of every number: what is printed is what computes."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """Answers ``constant + Σ weight · feature`` for the (feature, weight) of ``terms``, kept inside ``low``, ``high``.

    Both are the smallest and largest answers of the samples that fell here: a leaf does not extrapolate.
    ``share`` is the share of samples that fell here.
    """

    constant: float
    terms: tuple[tuple[int, float], ...]
    low: float
    high: float
    share: float


@dataclass(frozen=True, slots=True)
class Split:
    """Asks whether ``feature`` is at most ``threshold``."""

    feature: int
    threshold: float
    yes: Node
    no: Node


Node = Leaf | Split


def answer(node: Node, features: Sequence[float]) -> float:
    """What the tree says of one sample (M,)."""
    leaf = path(node, features)[1]
    value = leaf.constant + sum(weight * features[feature] for feature, weight in leaf.terms)
    return min(max(value, leaf.low), leaf.high)


def path(node: Node, features: Sequence[float]) -> tuple[list[tuple[Split, bool]], Leaf]:
    """The questions that one sample (M,) meets with their answers, and the leaf that it reaches."""
    asked = []
    while isinstance(node, Split):
        yes = bool(features[node.feature] <= node.threshold)
        asked.append((node, yes))
        node = node.yes if yes else node.no
    return asked, node


def leaves(node: Node) -> Iterator[Leaf]:
    """All leaves, from yes to no."""
    if isinstance(node, Leaf):
        yield node
    else:
        yield from leaves(node.yes)
        yield from leaves(node.no)


def grow(features: Floats, targets: Floats, terms: Sequence[Sequence[int]], most: int) -> list[Node]:
    """Grow one tree per output, with at most ``most`` leaves in all of them together.

    Args:
        features: (K, M); every one may be asked for.
        targets: (K, O).
        terms: for each output the features that its formulas use; none = constants.
        most: leaves, at least one per output.

    Raises:
        ValueError: fewer leaves than outputs, or nothing to fit.
    """
    count, outputs = targets.shape
    if most < outputs or not count:
        raise ValueError(f"{outputs} trees need as many leaves and some samples; there are {most} and {count}")
    growing = [_Growing(features, targets[:, output], terms[output]) for output in range(outputs)]
    while sum(len(one.ends) for one in growing) < most:
        tree = max(growing, key=lambda one: one.best.gain)
        if tree.best.gain < LEAST_GAIN:
            break
        tree.split()
    return [one.node() for one in growing]


@dataclass(slots=True, eq=False)
class _End:
    """A leaf that may still be split: its samples, and the best question for them."""

    samples: Indices
    gain: float
    feature: int = 0
    threshold: float = 0.0
    yes: _End | None = None
    no: _End | None = None


class _Growing:
    """One output's tree while it grows."""

    def __init__(self, features: Floats, target: Floats, terms: Sequence[int]) -> None:
        self._features, self._target, self._terms = features, target, list(terms)
        used = features[:, self._terms]
        self._mean, self._scale = used.mean(axis=0), used.std(axis=0) + 1e-12
        self._centre, self._spread = target.mean(), target.std() + 1e-12
        self._table = np.column_stack(
            [np.ones(len(target)), (used - self._mean) / self._scale, (target - self._centre) / self._spread]
        )
        self._root = self._end(np.arange(len(target)))
        self.ends = [self._root]

    @property
    def best(self) -> _End:
        """The leaf with the most to gain."""
        return max(self.ends, key=lambda end: end.gain)

    def split(self) -> None:
        """Split ``best``."""
        end = self.best
        yes = self._features[end.samples, end.feature] <= end.threshold
        end.yes, end.no = self._end(end.samples[yes]), self._end(end.samples[~yes])
        self.ends.remove(end)
        self.ends += [end.yes, end.no]

    def node(self) -> Node:
        """What has grown."""
        return self._made(self._root)

    def _end(self, samples: Indices) -> _End:
        table, fewest = self._table[samples], max(2, int(FEWEST_SHARE * len(self._target)))
        products = (table[:, :, None] * table[:, None, :]).reshape(len(table), -1)
        whole = products.sum(axis=0)
        found = _End(samples, 0.0)
        for feature in range(self._features.shape[1]):
            values = self._features[samples, feature]
            cuts = np.unique([_rounded(cut) for cut in np.quantile(values, np.linspace(0, 1, CANDIDATES + 2)[1:-1])])
            bins = np.searchsorted(cuts, values)  # a value of at most cuts[k] is in a bin of at most k
            inside = (bins == np.arange(len(cuts))[:, None]).astype(float)
            count = inside.sum(axis=1).cumsum()
            fits = (count >= fewest) & (len(samples) - count >= fewest)
            if not fits.any():
                continue
            below = (inside @ products).cumsum(axis=0)[fits]
            error = self._error(below) + self._error(whole - below)
            gain = float(self._error(whole[None])[0] - error.min()) / len(self._target)
            if gain > found.gain:
                found = _End(samples, gain, feature, float(cuts[fits][error.argmin()]))
        return found

    def _error(self, products: Floats) -> Floats:
        """Squared error of the best formula, penalty included, from sums of products (B, q·q)."""
        width = self._table.shape[1]
        square = products.reshape(-1, width, width)
        inner, cross = square[:, :-1, :-1], square[:, :-1, -1:]
        solved = np.linalg.solve(inner + self._penalty(inner[:, 0, 0]), cross)
        error: Floats = square[:, -1, -1] - (cross * solved).sum(axis=(1, 2))
        return error

    def _penalty(self, counts: Floats) -> Floats:
        size = self._table.shape[1] - 1
        diagonal: Floats = np.eye(size) * (RIDGE * counts[:, None, None] + 1e-9)
        diagonal[:, 0, 0] = 1e-9
        return diagonal

    def _made(self, end: _End) -> Node:
        if end.yes is not None and end.no is not None:
            return Split(end.feature, end.threshold, self._made(end.yes), self._made(end.no))
        weights = self._formula(end.samples)
        slopes = self._spread * weights[1:] / self._scale
        constant = self._centre + self._spread * weights[0] - float(slopes @ self._mean)
        constant = constant if abs(constant) > SLIGHT * self._spread else 0.0
        asked = self._target[end.samples]
        return Leaf(
            _rounded(constant),
            tuple((term, _rounded(slope)) for term, slope in zip(self._terms, slopes, strict=True) if slope),
            _rounded(asked.min()),
            _rounded(asked.max()),
            _rounded(len(end.samples) / len(self._target)),
        )

    def _formula(self, samples: Indices) -> Floats:
        """Weights (1 + T,) of the constant and of the standardised terms; slight ones are left out."""
        table, kept = self._table[samples], np.ones(1 + len(self._terms), bool)
        design, target = table[:, :-1], table[:, -1]
        weights = np.zeros(len(kept))
        for _ in range(2):
            inner = design[:, kept].T @ design[:, kept]
            penalty = self._penalty(inner[:1, 0])[0][: kept.sum(), : kept.sum()]
            weights[:] = 0.0
            weights[kept] = np.linalg.solve(inner + penalty, design[:, kept].T @ target)
            kept[1:] = np.abs(weights[1:]) * design[:, 1:].std(axis=0) > SLIGHT
        return weights


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
