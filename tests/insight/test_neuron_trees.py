# SPDX-License-Identifier: Apache-2.0
"""One tree per neuron: the measures say what they are said to, on neurons of which the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from tidegate.insight.neuron_trees import NeuronTrees, explain_neurons, within
from tidegate.records import Floats

FEATURES = ("a", "b", "c")


def state(seed: int) -> Floats:
    return np.random.default_rng(seed).uniform(-1, 1, (4000, 3))


def steps(values: Floats) -> Floats:
    """A response that is a tree: three levels."""
    return np.select([values < -0.3, values < 0.4], [-1.0, 0.2], 0.9)


def told(*columns: object) -> NeuronTrees:
    def responses(seed: int) -> Floats:
        rng, values = np.random.default_rng(seed + 100), state(seed)
        return np.column_stack([column(values, rng) for column in columns])  # type: ignore[operator]

    names = [f"neuron {index}" for index in range(len(columns))]
    return explain_neurons((state(1), responses(1)), (state(2), responses(2)), FEATURES, names)


def by_a(values: Floats, rng: np.random.Generator) -> Floats:
    return steps(values[:, 0])


def by_b(values: Floats, rng: np.random.Generator) -> Floats:
    return steps(values[:, 1])


def noise(values: Floats, rng: np.random.Generator) -> Floats:
    return rng.normal(size=len(values))


def test_a_neuron_that_is_a_tree_of_one_feature_is_explained_by_it() -> None:
    first, second = told(by_a, by_b).neurons
    for one, feature in ((first, "a"), (second, "b")):
        assert one.r2 > 0.98
        assert one.variance < 0.02
        assert one.accuracy > 0.98 > 0.5 > one.usual
        assert one.asks[0][0] == feature
        assert one.gap > 0.9  # the other tells nothing of it
        assert one.modularity > 0.99


def test_noise_is_not_explained_and_its_path_cannot_be_read_off() -> None:
    _, one = told(by_a, noise).neurons
    assert one.r2 < 0.05
    assert one.variance > 0.95
    assert one.accuracy - one.usual < 0.05


def test_two_neurons_that_say_the_same_have_no_gap_and_no_module() -> None:
    twin = lambda values, rng: -2 * by_a(values, rng)  # noqa: E731
    for one in told(by_a, twin).neurons:
        assert one.gap == pytest.approx(0.0, abs=0.02)
        assert one.modularity < 0.05


def test_paths_contradict_one_another_only_where_a_response_misleads() -> None:
    twin = lambda values, rng: -2 * by_a(values, rng)  # noqa: E731
    misled = lambda values, rng: np.where(rng.random(len(values)) < 0.2, 0.9, by_a(values, rng))  # noqa: E731
    assert told(by_a, twin).conflict < 0.02
    assert told(by_a, by_b).conflict == 0.0  # statements about different things
    assert told(by_a, misled).conflict > 0.08


def test_variance_within_a_path_is_a_share() -> None:
    rng = np.random.default_rng(0)
    path = rng.integers(0, 4, 10_000)
    assert within(path.astype(float), path) == 0.0
    assert within(rng.normal(size=10_000), path) == pytest.approx(1.0, abs=0.01)
    assert within(path + rng.normal(size=10_000) * np.sqrt(path.var()), path) == pytest.approx(0.5, abs=0.02)


def test_one_neuron_has_nothing_to_be_told_from() -> None:
    with pytest.raises(ValueError, match="at least two neurons"):
        told(by_a)
