# SPDX-License-Identifier: Apache-2.0
"""One decision tree per neuron, from the interpretable state to its response, and how far neurons can be told apart.

The method is that of Wang, Xiao, Seyde, Hasani and Rus, "Measuring Interpretability of Neural Policies of Robots with
Disentangled Representation" (CoRL 2023): a decision path of a neuron's tree is a statement about the state, and
stands for a factor of variation. The formulas are those written below; figures made by others may be normalised
otherwise. All measures are taken on drives that no tree was fitted to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import mutual_info_score, r2_score
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tidegate.records import Floats

MOST_LEAVES = 16
FEWEST_SHARE = 0.01
"""A leaf holds at least this share of the samples that a tree is fitted to."""
LEVELS = 20
"""Steps, equally often taken, that a response is divided into where information is counted."""

Paths = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class NeuronTree:
    """One neuron: how well the state explains it, and how much it stands for something of its own.

    ``r2``: share of its variance that its tree explains. ``variance``: what is left of it within a path, of 1.
    ``gap``: I(own response; own path) less the most that another neuron's response tells of that path, over H(path);
    below zero = another neuron tells more of it. ``modularity``: 1 − Σ I(response; other's path)² / ((N − 1) most²):
    1 = it tells of one neuron's paths alone. ``accuracy``: how often the path can be read off the response;
    ``usual``: how often guessing the most frequent path would be right. ``asks``: features by how much of the tree's
    fit they make, largest first.
    """

    name: str
    leaves: int
    r2: float
    variance: float
    gap: float
    modularity: float
    accuracy: float
    usual: float
    asks: list[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class NeuronTrees:
    """All neurons. ``conflict``: share of (state, pair of neurons) in which the paths read off the two responses
    contradict one another: no state can be in both. ``frames`` were measured on."""

    neurons: list[NeuronTree]
    conflict: float
    frames: int


def explain_neurons(
    fitted: tuple[Floats, Floats], held_out: tuple[Floats, Floats], features: Sequence[str], neurons: Sequence[str]
) -> NeuronTrees:
    """Fit a tree to each neuron and measure it.

    Args:
        fitted: features (K, M) and responses (K, N) of the drives to fit.
        held_out: the same of other drives.
        features: M names.
        neurons: N names, at least two.

    Raises:
        ValueError: fewer than two neurons.
    """
    if len(neurons) < 2:
        raise ValueError("at least two neurons are needed to tell one from another")
    (given, responses), (state, measured) = fitted, held_out
    fewest = max(5, int(FEWEST_SHARE * len(given)))
    trees, readers = [], []
    for column in range(len(neurons)):
        tree = DecisionTreeRegressor(max_leaf_nodes=MOST_LEAVES, min_samples_leaf=fewest, random_state=0)
        trees.append(tree.fit(given, responses[:, column]))
        reader = DecisionTreeClassifier(max_leaf_nodes=2 * MOST_LEAVES, min_samples_leaf=fewest, random_state=0)
        readers.append(reader.fit(responses[:, [column]], tree.apply(given)))
    paths = [tree.apply(state) for tree in trees]
    read = [reader.predict(measured[:, [column]]) for column, reader in enumerate(readers)]
    told = _information(measured, paths)
    made = []
    for column, (name, tree) in enumerate(zip(neurons, trees, strict=True)):
        response, path = measured[:, column], paths[column]
        others = np.delete(told[:, column], column)
        most = told[column].max()
        rest = np.delete(told[column], told[column].argmax())
        made.append(
            NeuronTree(
                name=name,
                leaves=int(tree.get_n_leaves()),
                r2=float(r2_score(response, tree.predict(state))),
                variance=within(response, path),
                gap=float((told[column, column] - others.max()) / max(mutual_info_score(path, path), 1e-12)),
                modularity=float(1 - (rest**2).mean() / max(most**2, 1e-12)),
                accuracy=float((read[column] == path).mean()),
                usual=float(np.bincount(path).max() / len(path)),
                asks=_asks(tree, features),
            )
        )
    return NeuronTrees(made, _conflict(trees, read), len(state))


def within(response: Floats, path: Paths) -> float:
    """Variance of a response (K,) about its mean on its path (K,), as a share of its whole variance."""
    left = sum(((response[path == one] - response[path == one].mean()) ** 2).sum() for one in np.unique(path))
    return float(left / max(((response - response.mean()) ** 2).sum(), 1e-12))


def _information(responses: Floats, paths: Sequence[Paths]) -> Floats:
    """Mutual information [nat] of each response with each neuron's path: (N, N)."""
    steps = np.linspace(0, 1, LEVELS + 1)[1:-1]
    levels = [np.searchsorted(np.unique(np.quantile(one, steps)), one) for one in responses.T]
    return np.array([[mutual_info_score(level, path) for path in paths] for level in levels])


def _asks(tree: DecisionTreeRegressor, features: Sequence[str]) -> list[tuple[str, float]]:
    ranked = sorted(zip(features, tree.feature_importances_.tolist(), strict=True), key=lambda pair: -pair[1])
    return [(name, share) for name, share in ranked if share >= 0.01]


def _conflict(trees: Sequence[DecisionTreeRegressor], read: Sequence[Paths]) -> float:
    """A path is a box of features: two contradict where their boxes do not meet."""
    boxes = [_boxes(tree.tree_) for tree in trees]
    low = [box[0][path] for box, path in zip(boxes, read, strict=True)]
    high = [box[1][path] for box, path in zip(boxes, read, strict=True)]
    apart = [
        (np.maximum(low[one], low[two]) >= np.minimum(high[one], high[two])).any(axis=1).mean()
        for one, two in combinations(range(len(trees)), 2)
    ]
    return float(np.mean(apart))


def _boxes(tree: object) -> tuple[Floats, Floats]:
    """Bounds (nodes, M) of what reaches each node: above the first, at most the second."""
    left, right, feature, threshold = tree.children_left, tree.children_right, tree.feature, tree.threshold  # type: ignore[attr-defined]
    low = np.full((len(left), tree.n_features), -np.inf)  # type: ignore[attr-defined]
    high = -low
    for node in range(len(left)):  # parents come before their children
        for child, bounds, bound in ((left[node], high, min), (right[node], low, max)):
            if child >= 0:
                low[child], high[child] = low[node], high[node]
                at = feature[node]
                bounds[child, at] = bound(bounds[child, at], threshold[node])
    return low, high
