# SPDX-License-Identifier: Apache-2.0
"""What the lesions of a campaign say: a ranking with its reproducibility, and what was safe; as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from tidegate.insight.lesion import INTACT, Outcome, damage
from tidegate.records import Floats


def heaviest(outcomes: Sequence[Outcome], names: Sequence[str], count: int) -> list[str]:
    """The ``count`` of ``names`` whose loss changes the command most on the pictures of the intact drives."""
    change = replayed(outcomes)
    return sorted((name for name in names if name in change), key=lambda name: -max(change[name]))[:count]


def replayed(outcomes: Sequence[Outcome]) -> dict[str, tuple[float, float]]:
    """By lesion, the mean over the intact drives of the change of curvature and acceleration."""
    tables = [one.replayed for one in outcomes if one.replayed]
    means = {name: np.mean([table[name] for table in tables], axis=0) for name in (tables[0] if tables else ())}
    return {name: (float(curvature), float(acceleration)) for name, (curvature, acceleration) in means.items()}


def agreement(one: Floats, other: Floats) -> float | None:
    """Spearman's rank correlation; None where there are fewer than three values, or all of one side are equal."""
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(spearmanr(one, other).statistic)


def findings(outcomes: Sequence[Outcome], half_width: float) -> dict[str, Any]:
    """All figures of a campaign.

    ``lesions``: one entry each, the heaviest first: ``damage`` (mean over the drives without the filter, None = none),
    ``damage_by_drive``, ``curvature_change`` and ``acceleration_change`` (as ``Outcome.replayed``), ``safe`` of
    ``driven`` behind the filter and what went wrong in the others. ``agreement``: see ``_agreements``.
    """
    unfiltered = {(one.scene, one.seed, one.lesion): one for one in outcomes if not one.filtered}
    roads = [(scene, seed) for scene, seed, lesion in unfiltered if lesion == INTACT]
    change = replayed(outcomes)
    rows: list[dict[str, Any]] = []
    for name in dict.fromkeys(one.lesion for one in outcomes):
        mine = [(scene, seed) for scene, seed in roads if (scene, seed, name) in unfiltered]
        by_drive = {
            f"{scene} {seed}": damage(unfiltered[scene, seed, name], unfiltered[scene, seed, INTACT], half_width)
            for scene, seed in mine
        }
        behind = [one for one in outcomes if one.filtered and one.lesion == name]
        harmed = {f"{one.scene} {one.seed}": one.harm for one in behind if one.harm}
        curvature, acceleration = change.get(name, (None, None))
        rows.append(
            {
                "lesion": name or "none",
                "kind": "intact" if name == INTACT else "synapse" if ">" in name else "neuron",
                "damage": float(np.mean(list(by_drive.values()))) if by_drive else None,
                "damage_by_drive": by_drive,
                "unfiltered_ends": [unfiltered[scene, seed, name].end for scene, seed in mine],
                "curvature_change": curvature,
                "acceleration_change": acceleration,
                "driven": len(behind),
                "safe": len(behind) - len(harmed),
                "harmed": harmed,
                "min_gap_m": min((one.min_gap_m for one in behind if one.min_gap_m is not None), default=None),
            }
        )
    rows.sort(key=lambda row: -(row["damage"] or 0.0))
    return {"lesions": rows, "agreement": _agreements(rows, outcomes)}


def _agreements(rows: list[dict[str, Any]], outcomes: Sequence[Outcome]) -> dict[str, float | None]:
    """Spearman's correlations; None where too little was driven.

    Between every other drive and the rest: ``damage`` of the neurons, ``neurons_replayed`` and ``synapses_replayed``,
    the larger change of the command. Between damage and that change, of the neurons: ``damage_and_replayed``.
    """
    neurons = [row for row in rows if row["kind"] == "neuron" and row["damage"] is not None]
    most = max((len(row["damage_by_drive"]) for row in neurons), default=0)
    neurons = [row for row in neurons if len(row["damage_by_drive"]) == most]
    damages = np.array([list(row["damage_by_drive"].values()) for row in neurons]).reshape(len(neurons), most)
    tables = [{name: max(pair) for name, pair in one.replayed.items()} for one in outcomes if one.replayed]
    names = list(tables[0]) if tables else []
    changes = np.array([[table[name] for table in tables] for name in names]).reshape(len(names), len(tables))
    cut = np.array([">" in name for name in names], bool)
    told = [row for row in neurons if row["lesion"] in names]
    mean = dict(zip(names, changes.mean(axis=1), strict=True)) if names else {}
    return {
        "damage": _halves(damages),
        "neurons_replayed": _halves(changes[~cut]),
        "synapses_replayed": _halves(changes[cut]),
        "damage_and_replayed": agreement(
            np.array([row["damage"] for row in told]), np.array([mean[row["lesion"]] for row in told])
        ),
    }


def _halves(table: Floats) -> float | None:
    """Agreement of the means over every other column of ``table`` (L, D) and over the rest."""
    if table.shape[1] < 2:
        return None
    return agreement(table[:, ::2].mean(axis=1), table[:, 1::2].mean(axis=1))
