# SPDX-License-Identifier: Apache-2.0
"""The policy as a small tree: what perception and odometry say in, force and path curvature out.

The tree knows nothing that a person could not read off an instrument: offset, heading and curvatures of the lane as
the camera network estimates them, and the speed. It has no memory, no look at the picture, and sees nobody else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.errors import BundleError
from tidegate.insight.model_tree import Leaf, Node, Split, answer, grow, leaves, path
from tidegate.records import Floats, LaneEstimate, Odometry

MOST_LEAVES = 16
LEAF_KINDS = ("linear", "constant")


@dataclass(frozen=True, slots=True)
class Quantity:
    """Something with a unit: ``name`` in programmes, ``words`` in text."""

    name: str
    words: str
    unit: str


FORCE = Quantity("force", "drive force", "N")
CURVATURE = Quantity("curvature", "path curvature", "1/m")
OUTPUTS = (FORCE, CURVATURE)


def state_quantities(preview: Sequence[float]) -> list[Quantity]:
    """What a tree is given: the lane estimate with curvatures at the distances ``preview`` [m], and the speed."""
    bends = [Quantity(f"lane_curvature_{_place(at)}", f"lane curvature {_where(at)}", "1/m") for at in preview]
    offset = Quantity("offset", "lane offset", "m")
    return [offset, Quantity("heading", "heading in the lane", "rad"), *bends, Quantity("speed", "speed", "m/s")]


def feature_quantities(preview: Sequence[float]) -> list[Quantity]:
    """What it asks for: the state, and the lateral acceleration that each curvature would mean at this speed."""
    sideways = [Quantity(f"lateral_{_place(at)}", f"lateral acceleration {_where(at)}", "m/s²") for at in preview]
    return [*state_quantities(preview), *sideways]


def _place(distance: float) -> str:
    return f"{distance:g}m".replace(".", "_")


def _where(distance: float) -> str:
    return f"{distance:g} m ahead" if distance else "here"


def state_of(lane: LaneEstimate, odometry: Odometry) -> Floats:
    """The state (3 + P,) of one frame, in the order of ``state_quantities``."""
    return np.array([lane.offset, lane.heading, *lane.curvature, odometry.speed])


def features_of(states: Floats) -> Floats:
    """The features (…, 3 + 2 P) of states (…, 3 + P): speed² · |curvature| [m/s²] added for each place."""
    sideways = states[..., -1:] ** 2 * np.abs(states[..., 2:-1])
    return np.concatenate([states, sideways], axis=-1)


@dataclass(frozen=True, slots=True)
class PolicyTree:
    """One tree for the force [N] and one for the path curvature [1/m]; ``preview`` [m] as in the bundle's perception.

    ``bundle`` names the network that it was distilled from.
    """

    bundle: str
    preview: tuple[float, ...]
    force: Node
    curvature: Node

    @classmethod
    def fit(
        cls, bundle: str, preview: Sequence[float], states: Floats, commands: Floats, kind: str, most: int
    ) -> PolicyTree:
        """Fit to states (K, 3 + P) and the (force, curvature) (K, 2) that the network asked for there.

        Each state is taken with its mirror image, or a few roads would teach bends of one direction. Formulas of
        ``linear`` leaves: the force by speed and lateral accelerations, the curvature by the lane.

        Raises:
            ValueError: nothing to fit, or ``most`` leaves are too few.
        """
        signs = np.append(-np.ones(states.shape[1] - 1), 1.0)
        features = features_of(np.concatenate([states, states * signs]))
        asked = np.concatenate([commands, commands * [1.0, -1.0]])
        width, places = states.shape[1], len(preview)
        terms = [[width - 1, *range(width, width + places)], list(range(width - 1))]
        force, curvature = grow(features, asked, terms if kind == "linear" else [[], []], most)
        return cls(bundle, tuple(preview), force, curvature)

    @property
    def roots(self) -> tuple[Node, Node]:
        """In the order of ``OUTPUTS``."""
        return self.force, self.curvature

    @property
    def leaves(self) -> int:
        """In both trees together."""
        return sum(1 for root in self.roots for _ in leaves(root))

    def command(self, state: Floats) -> tuple[float, float]:
        """Force [N] and curvature [1/m] in one state (3 + P,); NaN where the state is not known."""
        if not np.isfinite(state).all():
            return float("nan"), float("nan")
        features = features_of(state).tolist()
        return answer(self.force, features), answer(self.curvature, features)

    def commands(self, states: Floats) -> Floats:
        """The same for states (K, 3 + P): (K, 2)."""
        return np.array([self.command(state) for state in states]).reshape(-1, 2)

    def taken(self, state: Floats) -> list[tuple[list[tuple[Split, bool]], Leaf]]:
        """For each output the questions with their answers, and the leaf."""
        features = features_of(state).tolist()
        return [path(root, features) for root in self.roots]

    def save(self, file: Path) -> None:
        """Write it as JSON."""
        document = {"bundle": self.bundle, "preview_m": self.preview}
        trees = {quantity.name: asdict(root) for quantity, root in zip(OUTPUTS, self.roots, strict=True)}
        file.write_text(json.dumps({**document, **trees}, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, file: Path, preview: Sequence[float] | None = None) -> PolicyTree:
        """Read what ``save`` wrote; ``preview`` [m] are the distances that it must go by, None = any.

        Raises:
            BundleError: the file cannot be read as a tree, or the tree goes by other distances.
        """
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
            known = tuple(float(distance) for distance in told["preview_m"])
            features = len(feature_quantities(known))
            force, curvature = (_node(told[quantity.name], features) for quantity in OUTPUTS)
            tree = cls(str(told["bundle"]), known, force, curvature)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise BundleError(f"{file}: is no tree of 'tidegate distil' ({type(error).__name__}: {error})") from error
        if preview is not None and tuple(preview) != known:
            raise BundleError(f"{file}: its tree goes by the lane {known} m ahead, the bundle by {tuple(preview)} m")
        return tree


def _node(told: dict[str, Any], features: int) -> Node:
    if "threshold" in told:
        yes, no = _node(told["yes"], features), _node(told["no"], features)
        return Split(_index(told["feature"], features), float(told["threshold"]), yes, no)
    terms = tuple((_index(feature, features), float(weight)) for feature, weight in told["terms"])
    return Leaf(float(told["constant"]), terms, float(told["low"]), float(told["high"]), float(told["share"]))


def _index(value: Any, features: int) -> int:
    index = int(value)
    if not 0 <= index < features:
        raise ValueError(f"feature {index}; there are {features}")
    return index
