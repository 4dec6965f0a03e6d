# SPDX-License-Identifier: Apache-2.0
"""What distilling a policy found, as plain values: the JSON beside the page, and all that the page says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.evaluation.metrics import Run
from tidegate.insight.distil import Driven, Round, r2, stacked
from tidegate.insight.neuron_trees import explain_neurons
from tidegate.insight.policy_tree import (
    LEAF_KINDS,
    OUTPUTS,
    PolicyTree,
    feature_quantities,
    features_of,
)
from tidegate.insight.tree_source import state_names, taken, text
from tidegate.records import Floats

Facts = dict[str, Any]
MEASURES = ("r2", "variance", "gap", "modularity", "accuracy", "usual")
"""Of a neuron's tree, each with a mean over the neurons."""
SHOWN = 6
"""Frames in which tree and network differ most, of all held-out drives."""


def distil_facts(
    tree: PolicyTree,
    kind: str,
    most: int,
    fitted: list[Driven],
    rounds: list[Round],
    held_out: list[Driven],
    neurons: Sequence[str],
) -> tuple[Facts, list[NDArray[np.uint8]]]:
    """What was found, and the pictures (H, W, 3) of ``disagreements``, in their order.

    Args:
        tree: with leaves of ``kind``, ``most`` at most.
        fitted: drives that it was fitted to, with their ``rounds``.
        held_out: others, in which it drove.
        neurons: names of the network's.
    """
    states, commands = stacked(fitted)
    compared = {
        one: tree if one == kind else PolicyTree.fit(tree.bundle, tree.preview, states, commands, one, most)
        for one in LEAF_KINDS
    }
    apart = sorted((one for drive in held_out for one in drive.disagreements), key=lambda one: -one.size)[:SHOWN]
    facts: Facts = {
        "bundle": tree.bundle,
        "tree": text(tree),
        "leaf_kind": kind,
        "leaves": tree.leaves,
        "fitted_frames": len(states),
        "fitted_seeds": [one.seed for one in fitted],
        "held_out_frames": len(stacked(held_out)[0]),
        "held_out_seeds": [one.seed for one in held_out],
        "r2": {
            one: {"leaves": other.leaves, "fitted": named(r2(other, fitted)), "held_out": named(r2(other, held_out))}
            for one, other in compared.items()
        },
        "rounds": [asdict(one) | {"r2_met": named(one.r2_met)} for one in rounds],
        "drives": {},
        "disagreements": [
            {
                "seed": one.seed,
                "time_s": one.time_s,
                "standard_deviations": one.size,
                "state": dict(zip(state_names(tree), one.state.tolist(), strict=True)),
                "network": named(one.network.tolist()),
                "tree": named(one.tree.tolist()),
                "path": taken(tree, one.state),
            }
            for one in apart
        ],
        "neurons": _neurons(tree, fitted, held_out, neurons),
    }
    return facts, [one.image for one in apart]


def named(values: Sequence[float]) -> dict[str, float]:
    """A value for the force and one for the curvature; none where there are none."""
    return {one.name: value for one, value in zip(OUTPUTS, values, strict=False)}


def drives_facts(runs: list[Run]) -> Facts:
    """How drives to the end went."""
    return {
        "completed": sum(run.completed for run in runs),
        "total": len(runs),
        "collisions": sum(run.collisions for run in runs),
        "limit_violations": sum(run.limit_violations for run in runs),
        "max_abs_lane_error_m": max(run.max_abs_lane_error_m for run in runs),
        "runs": [run.as_dict() for run in runs],
    }


def _neurons(tree: PolicyTree, fitted: list[Driven], held_out: list[Driven], neurons: Sequence[str]) -> Facts:
    words = [f"{one.words} [{one.unit}]" for one in feature_quantities(tree.preview)]
    given, measured = (_responses(drives) for drives in (fitted, held_out))
    found = explain_neurons(given, measured, words, neurons)
    mean = {key: float(np.mean([getattr(one, key) for one in found.neurons])) for key in MEASURES}
    return asdict(found) | {"mean": mean}


def _responses(drives: list[Driven]) -> tuple[Floats, Floats]:
    """Features (K, M) and neurons (K, N) of all frames whose state is known."""
    states, neurons = (np.concatenate([getattr(one, name) for one in drives]) for name in ("states", "neurons"))
    known = np.isfinite(states).all(axis=1) & np.isfinite(neurons).all(axis=1)
    return features_of(states[known]), neurons[known].astype(np.float64)
