# SPDX-License-Identifier: Apache-2.0
"""The policy as a tree: it finds what is a tree, claims no more, and says the same in words, in Python and in C."""

from __future__ import annotations

import ctypes
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.tree import DecisionTreeRegressor

from tidegate.errors import BundleError
from tidegate.export.compiled import compiler
from tidegate.insight import tree_source
from tidegate.insight.model_tree import Leaf, answer, grow, leaves
from tidegate.insight.policy_tree import MOST_LEAVES, PolicyTree, features_of, state_quantities
from tidegate.records import Floats

PREVIEW = (0.0, 12.0, 24.0, 36.0)
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-O2")


def states(seed: int, count: int = 3000) -> Floats:
    """Offset, heading, four curvatures and speed, all independent."""
    rng = np.random.default_rng(seed)
    spread = np.array([0.3, 0.1, 0.03, 0.03, 0.03, 0.03])
    return np.column_stack([rng.uniform(-1, 1, (count, 6)) * spread, rng.uniform(0, 16, count)])


def driver(state: Floats) -> Floats:
    """Brakes for what lies 24 m ahead, else drives up to 14 m/s; steers by a formula."""
    sideways = state[:, 6] ** 2 * np.abs(state[:, 4])
    force = np.where(sideways > 2.0, -1500 - 100 * (sideways - 2), np.minimum(2000, 400 * (14 - state[:, 6])))
    return np.column_stack([force, state[:, 2] - 0.02 * state[:, 0] - 0.25 * state[:, 1]])


@pytest.fixture(scope="module")
def tree() -> PolicyTree:
    made = states(1)
    return PolicyTree.fit("made", PREVIEW, made, driver(made), "linear", MOST_LEAVES)


def explained(tree: PolicyTree, state: Floats) -> Floats:
    asked = driver(state)
    return 1 - ((tree.commands(state) - asked) ** 2).mean(axis=0) / asked.var(axis=0)


def test_a_policy_of_questions_and_formulas_is_found(tree: PolicyTree) -> None:
    force, curvature = explained(tree, states(2))
    assert force > 0.98
    assert curvature > 0.999
    assert tree.leaves <= MOST_LEAVES
    assert isinstance(tree.curvature, Leaf)  # one formula does, so no question is asked
    assert dict(tree.curvature.terms) == pytest.approx({0: -0.02, 1: -0.25, 2: 1.0}, rel=0.02)


def test_constant_leaves_say_less_of_it_and_are_never_more_than_allowed(tree: PolicyTree) -> None:
    made = states(1)
    constant = PolicyTree.fit("made", PREVIEW, made, driver(made), "constant", MOST_LEAVES)
    assert constant.leaves == MOST_LEAVES
    assert (explained(constant, states(2)) < explained(tree, states(2))).all()
    assert not any(leaf.terms for root in constant.roots for leaf in leaves(root))


def test_with_constant_leaves_it_is_nearly_as_good_as_cart_that_tries_every_threshold() -> None:
    def smooth(features: Floats) -> Floats:
        return 1000 * np.tanh(features[:, 9] - 2) + 60 * features[:, 6]

    made, other = features_of(states(1)), features_of(states(2))
    (root,) = grow(made, smooth(made)[:, None], [[]], 8)
    cart = DecisionTreeRegressor(max_leaf_nodes=sum(1 for _ in leaves(root)), random_state=0).fit(made, smooth(made))
    mine = np.array([answer(root, sample) for sample in other.tolist()])
    assert ((mine - smooth(other)) ** 2).mean() < 1.2 * ((cart.predict(other) - smooth(other)) ** 2).mean()


def test_bends_of_one_direction_tell_of_the_other() -> None:
    made, other = states(1), states(2)
    left, right = made[made[:, 2] > 0], other[other[:, 2] < 0]
    assert (explained(PolicyTree.fit("made", PREVIEW, left, driver(left), "linear", 16), right) > 0.97).all()


def test_a_leaf_answers_nothing_that_was_not_asked_for_where_it_was_fitted(tree: PolicyTree) -> None:
    far = states(3) * 10
    asked, answers = driver(states(1)), tree.commands(far)
    assert (answers[:, 0] >= asked[:, 0].min() * 1.001).all()
    assert (answers[:, 0] <= asked[:, 0].max() * 1.001).all()
    assert np.abs(answers[:, 1]).max() <= np.abs(asked[:, 1]).max() * 1.001


def test_noise_is_not_called_an_explanation() -> None:
    rng = np.random.default_rng(0)
    made, other = states(1), states(2)
    noise, more = rng.normal(size=(len(made), 2)), rng.normal(size=(len(other), 2))
    tree = PolicyTree.fit("noise", PREVIEW, made, noise, "linear", MOST_LEAVES)
    assert (1 - ((tree.commands(other) - more) ** 2).mean(axis=0) < 0.05).all()


def test_a_state_that_is_not_known_is_not_commanded(tree: PolicyTree) -> None:
    for index in range(7):
        state = states(1)[0]
        state[index] = np.nan
        assert np.isnan(tree.command(state)).all()


def test_too_few_leaves_and_nothing_to_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="2 trees need as many leaves"):
        PolicyTree.fit("made", PREVIEW, states(1), driver(states(1)), "linear", 1)
    with pytest.raises(ValueError, match="some samples"):
        PolicyTree.fit("made", PREVIEW, states(1)[:0], driver(states(1)[:0]), "linear", 8)


def test_it_is_kept_in_a_file_and_a_file_that_is_none_is_refused(tree: PolicyTree, tmp_path: Path) -> None:
    file = tmp_path / "tree.json"
    tree.save(file)
    assert PolicyTree.load(file) == tree
    text = file.read_text("utf-8")
    for broken in ("", "{}", text.replace('"threshold"', '"limit"', 1), text.replace('"feature": ', '"feature": 9', 1)):
        file.write_text(broken, "utf-8")
        with pytest.raises(BundleError, match=r"tree\.json: is no tree"):
            PolicyTree.load(file)


def test_every_number_is_in_the_text_with_its_unit(tree: PolicyTree) -> None:
    text = tree_source.text(tree)
    assert "lateral acceleration 24 m ahead ≤ 2" in text
    for root in tree.roots:
        for leaf in leaves(root):
            assert f"({leaf.share:.1%} of states)" in text
            assert all(f"{abs(weight):g}" in text for _, weight in leaf.terms)
    shares = [float(one) for one in re.findall(r"\(([\d.]+)% of states\)", text)]
    assert sum(shares) == pytest.approx(200, abs=1.0)  # every state falls into a leaf of either tree
    assert "× heading in the lane" in text
    assert "− 0.02" in text.partition("path curvature [1/m]")[2]


Call = Callable[[Floats], tuple[float, float]]


def in_python(tree: PolicyTree) -> Call:
    room: dict[str, Callable[..., tuple[float, float]]] = {}
    exec(tree_source.python(tree), room)
    return lambda state: room[tree_source.FUNCTION](*state.tolist())


def in_c(tree: PolicyTree, folder: Path) -> Call:
    command = compiler()
    assert command is not None
    (folder / "tree.c").write_text(tree_source.c(tree), "utf-8")
    build = [command, *STRICT, "-fPIC", "-shared", "-o", "tree.so", "tree.c", "-lm"]
    made = subprocess.run(build, cwd=folder, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    function = ctypes.CDLL(str(folder / "tree.so"))[tree_source.FUNCTION]

    def call(state: Floats) -> tuple[float, float]:
        force, curvature = ctypes.c_double(), ctypes.c_double()
        function(*map(ctypes.c_double, state), ctypes.byref(force), ctypes.byref(curvature))
        return force.value, curvature.value

    return call


@pytest.mark.parametrize("kind", ["linear", "constant"])
def test_python_and_c_say_what_the_tree_says(kind: str, tmp_path: Path) -> None:
    if compiler() is None:
        pytest.skip("no C compiler is installed")
    made = states(1)
    tree = PolicyTree.fit('odd */ "name"\n', PREVIEW, made, driver(made), kind, MOST_LEAVES)
    python, c = in_python(tree), in_c(tree, tmp_path)
    for state in [*states(4, 500), *(states(5, 100) * 10)]:
        expected = tree.command(state)
        assert python(state) == pytest.approx(expected, rel=1e-12)
        assert c(state) == pytest.approx(expected, rel=1e-12)
    for index in range(len(state_quantities(PREVIEW))):
        for value in (np.nan, np.inf):
            state = states(6, 1)[0]
            state[index] = value
            assert np.isnan([*python(state), *c(state)]).all()
