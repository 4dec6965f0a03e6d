# SPDX-License-Identifier: Apache-2.0
"""A small decision tree that stands in for the policy: interpretable state → what the network asks for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import r2_score
from sklearn.tree import DecisionTreeRegressor

from tidegate.insight.charts import FOAM, INK, MUTED, SEA, figure, svg
from tidegate.records import Floats

STATE = ("lane offset [m]", "heading [rad]", "curvature [1/m]", "speed [m/s]", "gap [m]")
OUTPUT = ("path curvature [1/m]", "acceleration [m/s²]")
STATE_MIRRORED, OUTPUT_MIRRORED = np.array([-1.0, -1.0, -1.0, 1.0, 1.0]), np.array([-1.0, 1.0])
"""Signs of both when left and right are exchanged."""
GAP_MAX = 80.0
"""A clear road reads as this gap [m]: what the range sensor can see."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One drive as a table: ``state`` (K, 5) in the order of ``STATE``, ``output`` (K, 2) in that of ``OUTPUT``."""

    state: Floats
    output: Floats


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A tree per output and how faithful it is.

    ``r2_held_out`` is the share of the network's variance that the tree explains on drives that it was not fitted to,
    ``r2_fitted`` that on its own; ``importance`` (5,) says how much each state contributes to the fit.
    """

    output: str
    tree: DecisionTreeRegressor
    r2_fitted: float
    r2_held_out: float
    importance: Floats


def fit(fitted: list[Sheet], held_out: list[Sheet], leaves: int = 16) -> list[Surrogate]:
    """Fit one tree of at most ``leaves`` leaves per output; whole drives are held out, never frames of one drive.

    It is fitted to each drive and to its mirror image, or a few drives would teach it bends of one direction only.
    What is held out is as it was driven.

    Raises:
        ValueError: no drive to fit, or none to hold out.
    """
    if not fitted or not held_out:
        raise ValueError("a surrogate tree needs drives to fit and other drives to hold out")
    state, output = _stack(fitted)
    other_state, other_output = _stack(held_out)
    made = []
    states = np.concatenate([state, state * STATE_MIRRORED])
    outputs = np.concatenate([output, output * OUTPUT_MIRRORED])
    fewest = max(5, len(states) // 200)
    for column, name in enumerate(OUTPUT):
        tree = DecisionTreeRegressor(max_leaf_nodes=leaves, min_samples_leaf=fewest, random_state=0)
        tree.fit(states, outputs[:, column])
        made.append(
            Surrogate(
                name,
                tree,
                float(r2_score(output[:, column], tree.predict(state))),
                float(r2_score(other_output[:, column], tree.predict(other_state))),
                tree.feature_importances_,
            )
        )
    return made


def _stack(sheets: list[Sheet]) -> tuple[Floats, Floats]:
    state = np.concatenate([sheet.state for sheet in sheets])
    state[:, STATE.index("gap [m]")] = np.minimum(state[:, STATE.index("gap [m]")], GAP_MAX)
    return state, np.concatenate([sheet.output for sheet in sheets])


def picture(surrogate: Surrogate) -> str:
    """The tree as an SVG: boxes ask, leaves answer; the darker a leaf, the more samples end there."""
    tree = surrogate.tree.tree_
    places = _places(tree)
    leaves = sum(tree.children_left[node] < 0 for node in places)
    depth = int(max(y for _, y in places.values()))
    most = max(tree.n_node_samples[node] for node in places if tree.children_left[node] < 0)
    with figure(0.62 * depth + 0.7) as (made, axes):
        for node, (x, y) in places.items():
            for child, word in ((tree.children_left[node], "yes"), (tree.children_right[node], "no")):
                if child < 0:
                    continue
                there = places[child]
                axes.plot([x, there[0]], [-y, -there[1]], color="#c3ced3", linewidth=1, zorder=1)
                if node == 0:
                    axes.text(
                        (x + there[0]) / 2, -(y + there[1]) / 2 + 0.12, word, color=MUTED, ha="center", fontsize=8
                    )
            leaf = tree.children_left[node] < 0
            if leaf:
                share = tree.n_node_samples[node] / most
                text, face = f"{tree.value[node].item():+.3g}", (*_rgb(FOAM), 0.25 + 0.75 * share)
            else:
                name, unit = STATE[tree.feature[node]].split(" [")
                text, face = f"{name}\n≤ {tree.threshold[node]:.3g} {unit[:-1]}", (1.0, 1.0, 1.0, 1.0)
            axes.text(
                x,
                -y,
                text,
                ha="center",
                va="center",
                fontsize=7.2,
                color=INK,
                zorder=3,
                bbox={"boxstyle": "round,pad=0.32", "facecolor": face, "edgecolor": SEA, "linewidth": 0.8},
            )
        axes.set_xlim(-0.7, leaves - 0.3)
        axes.set_ylim(-depth - 0.45, 0.45)
        axes.axis("off")
        return svg(made)


def _places(tree: object) -> dict[int, tuple[float, float]]:
    """Leaves side by side, every parent above the middle of its children: node → (x, depth)."""
    left, right = tree.children_left, tree.children_right  # type: ignore[attr-defined]
    places: dict[int, tuple[float, float]] = {}
    used = 0

    def place(node: int, depth: int) -> float:
        nonlocal used
        if left[node] < 0:
            x = float(used)
            used += 1
        else:
            x = (place(left[node], depth + 1) + place(right[node], depth + 1)) / 2
        places[node] = (x, float(depth))
        return x

    place(0, 0)
    return places


def _rgb(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue
