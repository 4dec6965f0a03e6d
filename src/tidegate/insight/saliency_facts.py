# SPDX-License-Identifier: Apache-2.0
"""What the maps of many moments say, as plain values, as one chart, and as one sheet of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tidegate.insight.charts import CORAL, FOAM, MUTED, SAND, SEA, figure, svg
from tidegate.insight.moments import clustered
from tidegate.insight.saliency import (
    BACKPROP,
    CHANCE,
    ELSEWHERE,
    FRACTIONS,
    GRADIENTS,
    METHODS,
    OCCLUSION,
    Image,
    Judged,
)
from tidegate.insight.sheet import sheet
from tidegate.perception.saliency import overlay
from tidegate.records import Floats

COLOURS = {BACKPROP: SEA, GRADIENTS: SAND, OCCLUSION: FOAM, ELSEWHERE: MUTED, CHANCE: CORAL}


def findings(judged: Sequence[Judged]) -> dict[str, Any]:
    """All figures by method; intervals are 95 %, over worlds.

    ``shares``: by class [mean, low, high] of the saliency, ``picture`` the class's share of what the network looks at.
    ``deletion`` and ``insertion``: ``better``, share of the moments in which the area under the curve is on the right
    side of that by chance, and ``advantage``, ratio of the mean areas, above 1 = better than chance.
    ``ssim`` with the map of the noisy picture by variance; ``agreement`` with occlusion, Spearman over patches.
    """
    worlds = [(one.scene, one.seed) for one in judged]
    told: dict[str, Any] = {"moments": len(judged), "worlds": len(set(worlds)), "methods": {}}
    for name in (*METHODS, ELSEWHERE):
        entry: dict[str, Any] = {
            "deletion": _against_chance([one.deletion for one in judged], name, worlds, larger=True),
            "insertion": _against_chance([one.insertion for one in judged], name, worlds, larger=False),
        }
        if name in METHODS:
            entry["shares"] = {
                kind: {
                    "saliency": clustered(np.array([one.shares[name][kind] for one in judged]), worlds),
                    "picture": float(np.mean([one.areas[kind] for one in judged])),
                }
                for kind in judged[0].areas
            }
        if name in judged[0].ssim:
            kinds = judged[0].ssim[name]
            entry["ssim"] = {
                kind: clustered(np.array([one.ssim[name][kind] for one in judged]), worlds) for kind in kinds
            }
        if name in judged[0].agreement:
            ranks = [one.agreement[name] for one in judged]
            entry["agreement"] = float(np.mean([rank for rank in ranks if rank is not None]))
        told["methods"][name] = entry
    return told


def _against_chance(
    curves: Sequence[dict[str, Floats]], name: str, worlds: Sequence[object], *, larger: bool
) -> dict[str, Any]:
    own, chance = (np.array([area(one[key]) for one in curves]) for key in (name, CHANCE))
    better = own > chance if larger else own < chance
    over, under = (own, chance) if larger else (chance, own)
    return {
        "better": clustered(better.astype(float), worlds),
        "advantage": float(over.mean() / under.mean()) if under.mean() > 0 else None,
    }


def area(values: Floats) -> float:
    """Area under a curve over ``FRACTIONS``."""
    return float(np.sum(np.diff(FRACTIONS) * (values[1:] + values[:-1]) / 2))


def chart(judged: Sequence[Judged]) -> str:
    """Mean curves of deletion and insertion over shares of what the network looks at, each method and chance."""
    with figure(3.2, columns=2, sharey=True) as (made, both):
        for axes, kind in zip(both, ("deletion", "insertion"), strict=True):
            for name, colour in COLOURS.items():
                mean = np.mean([getattr(one, kind)[name] for one in judged], axis=0)
                axes.plot(100 * np.array(FRACTIONS), 100 * mean, color=colour, marker="o", markersize=3, label=name)
            what = "blurred" if kind == "deletion" else "back in a blurred picture"
            axes.set(xlabel=f"{what} [%]", title=kind)
        both[0].set(ylabel="command moved [% of full scale]")
        both[0].set_ylim(bottom=0)
        made.legend(*both[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        return svg(made)


def pictures(judged: Sequence[Judged]) -> Image:
    """A row per moment: the picture, and each method's map laid over it, brightest 2 % of its pixels full."""
    tiles = []
    for one in judged:
        tiles.append((f"{one.scene} {one.seed}", one.picture))
        for name in METHODS:
            map_ = one.maps[name]
            tiles.append((name, overlay(one.picture, map_ / max(float(np.quantile(map_, 0.98)), 1e-12))))
    return sheet(tiles, 1 + len(METHODS))
