# SPDX-License-Identifier: Apache-2.0
"""The surrogate tree: faithful where the policy is a tree, honest where it is not."""

import numpy as np
import pytest

from tidegate.insight.tree import GAP_MAX, Sheet, fit, picture


def drive(seed: int, rule) -> Sheet:
    rng = np.random.default_rng(seed)
    state = rng.uniform(-1, 1, (600, 5))
    state[:, 4] = np.where(state[:, 4] > 0, np.inf, 40 + 30 * state[:, 4])
    return Sheet(state, rule(state, rng))


def stepped(state, rng):
    side = np.where(np.abs(state[:, 0]) > 0.2, -0.05 * np.sign(state[:, 0]), 0.0)
    return np.stack([side, np.where(state[:, 4] < 50, -3.0, 1.0)], axis=1)


def test_a_policy_that_is_a_tree_is_found_exactly():
    curvature, acceleration = fit([drive(seed, stepped) for seed in (1, 2)], [drive(3, stepped)])
    assert curvature.r2_held_out > 0.98
    assert acceleration.r2_held_out > 0.98
    assert np.argmax(curvature.importance) == 0
    assert np.argmax(acceleration.importance) == 4
    assert curvature.tree.get_n_leaves() <= 16
    assert acceleration.tree.tree_.threshold[0] < GAP_MAX


def test_bends_of_one_direction_tell_of_the_other():
    left, right = drive(1, stepped), drive(2, stepped)
    one, other = left.state[:, 0] > 0, right.state[:, 0] < 0
    fitted, held_out = Sheet(left.state[one], left.output[one]), Sheet(right.state[other], right.output[other])
    curvature, _ = fit([fitted], [held_out])
    assert curvature.r2_held_out > 0.9  # where exactly the threshold lies, few samples say


def test_a_policy_that_pulls_to_one_side_is_not_called_explained():
    lopsided = lambda state, rng: stepped(state, rng) + np.where(state[:, :1] > 0.2, [[0.2, 0.0]], 0.0)  # noqa: E731
    curvature, acceleration = fit([drive(seed, lopsided) for seed in (1, 2)], [drive(3, lopsided)])
    assert curvature.r2_held_out < 0.7
    assert curvature.r2_fitted < 0.7
    assert acceleration.r2_held_out > 0.98


def test_noise_is_not_called_an_explanation():
    noise = lambda state, rng: rng.normal(size=(len(state), 2))  # noqa: E731
    for surrogate in fit([drive(seed, noise) for seed in (1, 2)], [drive(3, noise)]):
        assert surrogate.r2_held_out < 0.1
        assert surrogate.r2_fitted > surrogate.r2_held_out


def test_the_picture_names_the_question_at_the_root():
    curvature, _ = fit([drive(1, stepped)], [drive(2, stepped)])
    text = picture(curvature)
    assert text.startswith("<svg")
    assert "lane offset" in text


def test_whole_drives_must_be_held_out():
    with pytest.raises(ValueError, match="hold out"):
        fit([drive(1, stepped)], [])
